"""From a model, a data set and settings to a run in a folder, and from the folder back to these."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from groundviz import datasets, models
from groundviz.datasets.sample import Dataset, Sample
from groundviz.errors import OptionError, StoreError
from groundviz.evaluation import families
from groundviz.evaluation.cases import session
from groundviz.evaluation.cases.asked import DESCRIBE, Asked
from groundviz.evaluation.cases.covered import Covering
from groundviz.evaluation.cases.curving import Curving
from groundviz.evaluation.cases.outcome import has_reference
from groundviz.evaluation.cases.reopened import require_unchanged
from groundviz.evaluation.cases.scoring import Evaluation, Scoring, class_of
from groundviz.evaluation.cases.session import Session
from groundviz.evaluation.executors import shards
from groundviz.evaluation.executors.shards import Watcher, Work
from groundviz.evaluation.storage import manifest, plan, tables
from groundviz.evaluation.storage.keys import canonical, key_of
from groundviz.evaluation.storage.layout import Layout
from groundviz.evaluation.storage.leases import TTL_SECONDS
from groundviz.evaluation.storage.manifest import Manifest
from groundviz.models import VLM
from groundviz.record import files
from groundviz.record.types import Provenance
from groundviz.runtime.identity.provenance import describe_run

# Of the images that were explained, before more are: all of them would take long.
_COMPARED = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model or a data set is found again; a source of None was given as an object.

    Attributes:
        name: What loads it.
        path: The folder of a data set.
        options: The options of a data set; how a model is loaded.
    """

    name: str | None = None
    path: str | None = None
    options: Mapping[str, Any] | None = None

    def model(self, processor: Any = None) -> VLM:
        """The model, loaded.

        Under torchrun, and beside other workers, each process takes the accelerator of its number.

        Raises:
            UnsupportedModel: It cannot be loaded.
        """
        options = dict(self.options or {})
        rank = os.environ.get("LOCAL_RANK", "")
        if options.get("device") == "cuda" and rank.isdecimal():
            options["device"] = f"cuda:{int(rank) % session.accelerators()}"
        if not options:
            return models.resolve(str(self.name), processor)
        return models.load(str(self.name), processor=processor, **options)


@dataclass(slots=True, kw_only=True)
class Opened:
    """A run, with what is needed to work on it.

    Attributes:
        layout: Its folder.
        manifest: What is run on what.
        vlm: The model.
        dataset: The data set.
        planned: Rows of the plan.
    """

    layout: Layout
    manifest: Manifest
    vlm: VLM
    dataset: Dataset
    planned: list[dict[str, Any]]

    def session(self) -> Session:
        """What computes its shards."""
        return Session(
            vlm=self.vlm,
            dataset=self.dataset,
            asked=asked_of(self.manifest),
            plan=self.planned,
            weights=self.manifest["model"]["weights"],
        )

    def scoring(self, evaluation: Evaluation) -> Scoring:
        """What scores its shards; how is written down first.

        Raises:
            StoreError: The disk refused.
        """
        return Scoring.begun(self.layout, self.dataset, self.planned, evaluation)

    def curving(self, covering: Covering) -> Curving:
        """What makes the curves of its shards; how is written down first.

        Raises:
            StoreError: The disk refused.
        """
        return Curving.begun(self.layout, self.session(), covering)

    def require_images(self) -> None:
        """Refuse to go on with other images than those that were explained: a few of these are compared.

        Raises:
            ImageError: One of them is another one now.
        """
        explained = sorted(self.layout.explained())
        for shard in explained[:: 1 + len(explained) // _COMPARED]:
            # What is damaged is computed again.
            with suppress(StoreError):
                for answer in tables.read(self.layout.answers(shard))[0][:1]:
                    require_unchanged(self.dataset, answer)

    def work(
        self, watcher: Watcher, *, chunk: tuple[int, int] | None = None, ttl: float = TTL_SECONDS
    ) -> Work:
        """Its shards, for one worker; see `executors.shards.of`."""
        return shards.of(self.layout, self.planned, watcher, chunk=chunk, ttl=ttl)


def begin(
    out: str | os.PathLike[str],
    vlm: VLM,
    dataset: Dataset,
    asked: Asked,
    evaluation: Evaluation,
    **settings: Any,
) -> Opened:
    """A run in a folder: a new one, or the one that is there if it is of the same.

    Args:
        out: The folder; it is made if it is not there.
        vlm: The model.
        dataset: The data set.
        asked: The settings of all samples.
        evaluation: How is scored first.
        settings: limit, shard_size, fork, recipe; and where model and data set are found again, as `Source`s:
            model_source, dataset_source. And covers, for curves.

    Raises:
        StoreError: Another run lies there, or the disk refused.
        OptionError: A number is out of range, or no sample can be asked.
    """
    planned = plan.rows(dataset, limit=settings["limit"], shard_size=settings["shard_size"])
    samples = dataset.samples[: len(planned)]
    _require_askable(samples, asked)
    root = files.place(out)
    made = describe_run(vlm, seed=0, seconds=0.0)
    new = Manifest(
        {
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "argv": [Path(sys.argv[0]).name, *sys.argv[1:]] if sys.argv else [],
            "model": _of_model(vlm, made, settings["model_source"]),
            "dataset": _of_dataset(dataset, len(planned), settings["dataset_source"]),
            "asked": asked.facts(),
            "default_question": {"text": DESCRIBE, "samples": sum(map(asked.describes, samples))},
            "methods": {name: dict(options) for name, options in asked.methods.items()},
            "controls": list(asked.controls),
            "shard_size": settings["shard_size"],
            "versions": dict(made.versions),
            "threads": session.thread_count(),
            "evaluation": evaluation.facts(),
            "comparisons": _comparisons(dataset, len(planned), asked, evaluation, settings["covers"]),
            "recipe": settings["recipe"],
            "batch_size": 1,
        }
    )
    if settings["fork"]:
        root = _beside(root, new)
    layout = Layout(files.folder_for_writing(root))
    if not layout.manifest.exists():
        # It takes some passes, and is a fact of the model: once is enough.
        new.facts["model"]["certificate"] = models.verdict_on(vlm)
    there = manifest.write(layout.manifest, new)
    plan.write(layout.plan, planned)
    return Opened(layout=layout, manifest=there, vlm=vlm, dataset=dataset, planned=planned)


def again(path: str | os.PathLike[str], *, vlm: VLM | None = None, dataset: Dataset | None = None) -> Opened:
    """A run that was begun, with its model and data set opened again.

    Raises:
        StoreError: There is no run, or model or data set are not those that it began with.
        OptionError: Model or data set were given as objects, and are not given here.
    """
    layout = Layout(Path(path))
    there = manifest.read(layout.manifest)
    planned, _ = tables.read(layout.plan)
    if vlm is None:
        facts = _named(there, "model")
        vlm = Source(name=facts["source"], options=facts["loading"]).model()
    if dataset is None:
        facts = _named(there, "dataset")
        dataset = datasets.load(facts["source"], facts["path"], **facts["options"])
    facts = dict(there.facts)
    made = describe_run(vlm, seed=0, seconds=0.0)
    facts["model"] = _of_model(vlm, made, Source())
    facts["dataset"] = _of_dataset(dataset, len(planned), Source(options=there["dataset"]["options"]))
    facts["versions"] = dict(made.versions)
    if differences := there.differences(Manifest(json.loads(canonical(facts)))):
        raise StoreError(
            f"This is not what the run began with. It differs in {'; '.join(differences[:6])}. "
            "Use the same model, data and versions, or start another run."
        )
    return Opened(layout=layout, manifest=there, vlm=vlm, dataset=dataset, planned=planned)


def _require_askable(samples: Sequence[Sample], asked: Asked) -> None:
    """Refuse a run in which every sample would be skipped.

    Raises:
        OptionError: It would.
    """
    refusals = Counter(map(asked.refusal, samples))
    if refusals and "" not in refusals:
        (reason, _), *_ = refusals.most_common(1)
        raise OptionError(f"None of the {len(samples)} samples can be asked. {reason}")


def asked_of(there: Manifest) -> Asked:
    """The settings of all samples of a run."""
    known = there["asked"]
    return Asked(
        methods=there["methods"],
        answers=known["answers"],
        controls=tuple(there["controls"]),
        generation=known["generation"],
        system=known["system"],
        prompt=known["prompt"],
        seed=known["seed"],
    )


def evaluation_of(facts: Mapping[str, Any]) -> Evaluation:
    """How is scored, as a manifest or spec.json says it."""
    return Evaluation(space=facts["space"], metrics=tuple(facts["metrics"]), scorers=tuple(facts["scorers"]))


def _named(there: Manifest, what: str) -> dict[str, Any]:
    facts: dict[str, Any] = there[what]
    if facts["source"] is None:
        raise OptionError(
            f"The run's {what} was given as an object, and another process cannot open that again. "
            f"Continue the run where the {what} is: groundviz.evaluate(..., out=...)."
        )
    return facts


def _of_model(vlm: VLM, made: Provenance, source: Source) -> dict[str, Any]:
    return {
        "source": source.name,
        "loading": dict(source.options or {}),
        "name": vlm.name,
        "revision": vlm.revision,
        "family": vlm.family_name,
        "weights": made.weights,
        "adapters": dict(made.adapters),
        "sources": dict(vlm.sources),
        "dtype": made.dtype,
        "device": made.device,
        "attention": made.attention,
        "processor": _processor(vlm.processor),
        "certificate": None,
    }


def _processor(processor: Any) -> str:
    """A hash of how a processor prepares images and prompts."""
    try:
        settings = processor.to_json_string()
    except Exception:
        # One that cannot be written down, as tests and old models have.
        settings = type(processor).__name__
    return key_of([settings, str(getattr(processor, "chat_template", ""))])[:16]


def _of_dataset(dataset: Dataset, n: int, source: Source) -> dict[str, Any]:
    splits = Counter(sample.split for sample in dataset.samples[:n])
    return {
        "source": source.name,
        "path": source.path,
        "options": dict(source.options or {}),
        "name": dataset.name,
        "version": dataset.version,
        "n": n,
        "splits": dict(sorted(splits.items())),
        "dropped": dict(dataset.dropped),
        "annotations": plan.annotations_of(dataset, n),
        **plan.files_of(dataset, n),
    }


def _comparisons(
    dataset: Dataset, n: int, asked: Asked, evaluation: Evaluation, covers: Sequence[str]
) -> dict[str, Any]:
    """What a report is to test, declared before anything is scored."""
    placed = [sample for sample in dataset.samples[:n] if has_reference(sample)]
    found = families.families(
        list(asked.methods),
        [f"{control}:{method}" for method in asked.methods for control in asked.controls],
        findings=sorted({class_of(sample) or families.NOT_NAMED for sample in placed}),
        covers=covers,
    )
    return families.declared(families.primary_of(evaluation.metrics), found)


def _beside(root: Path, new: Manifest) -> Path:
    """The first of RUN, RUN-2, RUN-3 ... that is free, or holds this very run."""
    wanted = Manifest(json.loads(canonical(new.facts)))
    for number in count(1):
        place = root if number == 1 else root.with_name(f"{root.name}-{number}")
        there = Layout(place).manifest
        if not there.exists() or not manifest.read(there).differences(wanted):
            return place
    raise AssertionError("There is always another number.")
