"""A run on disk, read: its answers, maps and scores; neither the model nor torch is needed."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from groundviz.datasets.sample import Dataset, Sample
from groundviz.errors import StoreError, UnknownName
from groundviz.evaluation.cases.outcome import OK
from groundviz.evaluation.cases.scoring import Evaluation, Scoring
from groundviz.evaluation.executors import shards
from groundviz.evaluation.executors.progress import Unwatched
from groundviz.evaluation.storage import manifest, maps, plan, specs, tables
from groundviz.evaluation.storage.geometry import heatmap_of
from groundviz.evaluation.storage.layout import Layout
from groundviz.evaluation.storage.leases import Leases
from groundviz.evaluation.storage.schemas import ANSWER_SCORES, ANSWERS, CURVES, MAPS, PLAN, SCORES, TIMINGS
from groundviz.evaluation.storage.tables import Columns, Schema
from groundviz.record import files
from groundviz.record.types import Heatmap


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How far a run has come, by the names of its files alone.

    Attributes:
        samples: Those of the plan.
        explained: Those whose shard has been explained.
        scored: Those whose shard has been scored, in the way that was asked for last.
        covered: Those whose shard has curves, in the way that was asked for last; None where nobody asked.
        shards: The number of shards.
        working: The pieces of work that somebody is at right now.
    """

    samples: int
    explained: int
    scored: int
    shards: int
    working: tuple[str, ...]
    covered: int | None = None

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.explained == self.scored == self.samples and self.covered in (None, self.samples)


class Run:
    """What an evaluation has written to a folder, finished or not.

    Tables are dicts of columns, lists of one length, in the order of the data set.

    Attributes:
        path: The folder.

    Raises:
        StoreError: There is no run in the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        _ = self.manifest

    @property
    def layout(self) -> Layout:
        """Where its files lie."""
        return Layout(self.path)

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """What was run on what: model, data set, methods, settings and versions."""
        return manifest.read(self.layout.manifest).facts

    @cached_property
    def plan(self) -> Columns:
        """The samples in their order, each with its shard and its cluster."""
        return tables.columns([self.layout.plan], PLAN)

    def status(self) -> Status:
        """How far it has come; only names of files are read."""
        sizes = Counter(self.plan["shard"])
        scored = self.layout.scored(self._hash(None)) if self.evaluations() else set()
        coverings = self.layout.coverings()
        covered = None
        if coverings:
            covered = sum(sizes[shard] for shard in self.layout.covered(coverings[-1]))
        return Status(
            samples=len(self.plan["order"]),
            explained=sum(sizes[shard] for shard in self.layout.explained()),
            scored=sum(sizes[shard] for shard in scored),
            shards=len(sizes),
            working=tuple(Leases(self.layout.leases).held()) if self.layout.leases.is_dir() else (),
            covered=covered,
        )

    def evaluations(self) -> dict[str, Mapping[str, Any]]:
        """The ways in which it was scored, by their hashes, the oldest first: space, metrics, scorers."""
        return {name: specs.read(self.layout.scoring(name)) for name in self.layout.evaluations()}

    def coverings(self) -> dict[str, Mapping[str, Any]]:
        """The ways in which images were covered for curves, by their hashes, the oldest first."""
        return {name: specs.read(self.layout.covering(name)) for name in self.layout.coverings()}

    def answers(self, evaluation: str | None = None) -> Columns:
        """A row for each sample: what was asked and answered, if it needs the image, and how it was scored.

        The columns are those of `storage.schemas.ANSWERS`; behind them, for each scorer of answers, a column
        `score_SCORER` with 0 to 1, or None where that scorer drops the row.

        Args:
            evaluation: One of `evaluations`; the last one when None.

        Raises:
            StoreError: A table is damaged.
            UnknownName: It was never scored in this way.
        """
        found = self._answers()
        if self.evaluations():
            found |= self._by_scorer(found["sample_id"], self._hash(evaluation))
        return found

    def maps_table(self) -> Columns:
        """A row for each map and grid: its method, where its cells lie, and its status; see `maps`."""
        return tables.columns([self.layout.index(shard) for shard in self._explained()], MAPS)

    def scores(self, evaluation: str | None = None) -> Columns:
        """A row for each number of each map, and of each prior: `storage.schemas.SCORES`.

        Args:
            evaluation: One of `evaluations`; the last one when None.

        Raises:
            StoreError: A table is damaged.
            UnknownName: It was never scored in this way.
        """
        name = self._hash(evaluation)
        return tables.columns(
            [self.layout.scores(name, shard) for shard in sorted(self.layout.scored(name))], SCORES
        )

    def curves(self, covering: str | None = None) -> Columns:
        """A row for each deletion and insertion curve: `storage.schemas.CURVES`; empty where nobody asked.

        Args:
            covering: One of `coverings`; the last one when None.

        Raises:
            StoreError: A table is damaged.
            UnknownName: Images were never covered in this way.
        """
        known = self.layout.coverings()
        if covering is None and not known:
            return tables.columns([], CURVES)
        name = _one_of(known, covering, "covered")
        places = [self.layout.curves(name, shard) for shard in sorted(self.layout.covered(name))]
        return tables.columns(places, CURVES)

    def failed(self) -> dict[str, int]:
        """How many samples have each status but "ok", so far."""
        statuses: Counter[str] = Counter()
        for (name, _), count in self.reasons().items():
            statuses[name] += count
        return dict(sorted(statuses.items()))

    def reasons(self) -> dict[tuple[str, str], int]:
        """How many samples have each status but "ok" for each reason, so far; the most frequent first."""
        answers = self._answers()
        counts = Counter(zip(answers["status"], answers["reason"], strict=True))
        return {key: count for key, count in counts.most_common() if key[0] != OK}

    def means(self, evaluation: str | None = None) -> dict[tuple[str, str], tuple[float, int]]:
        """By method and metric, the mean over samples and of how many; for a look, without intervals."""
        found: dict[tuple[str, str], list[float]] = {}
        table = self.scores(evaluation)
        for method, metric, value in zip(table["method"], table["metric"], table["value"], strict=True):
            if value is not None and not math.isnan(value):
                found.setdefault((method, metric), []).append(value)
        return {key: (math.fsum(values) / len(values), len(values)) for key, values in sorted(found.items())}

    def score(self, metrics: Iterable[str] | None = None, space: str = "grid") -> bool:
        """Score all maps and answers in one more way; the model is not needed.

        Args:
            metrics: As in `groundviz.evaluate`.
            space: As in `groundviz.evaluate`.

        Returns:
            False where some samples have not been explained yet, and nothing was scored.

        Raises:
            UnknownName: There is no such metric.
            StoreError: The data set is not what the run was made on, or a table is damaged.
        """
        evaluation = Evaluation.of(space, metrics)
        planned = tables.read(self.layout.plan)[0]
        work = shards.of(self.layout, planned, Unwatched())
        scoring = Scoring.begun(self.layout, self.dataset, planned, evaluation)
        if not work.all_explained:
            return False
        work.do(work.scoring(scoring))
        return True

    def merge(self) -> tuple[Path, ...]:
        """Write each table as one file, into the folder `merged`; the parts stay.

        `answers` has a column for each scorer, as `answers()` has; `answer_scores` has a row for each answer
        and scorer, with the reason where the scorer drops it.

        Raises:
            StoreError: A table is damaged, or the disk refused.
        """
        folder = files.folder_for_writing(self.path / "merged")
        answers = self.answers()
        scored: Schema = {name: "float" for name in answers if name not in ANSWERS}
        joined: dict[str, tuple[Schema, Columns]] = {
            "answers": ({**ANSWERS, **scored}, answers),
            "maps": (MAPS, self.maps_table()),
        }
        if self.evaluations():
            joined["scores"] = (SCORES, self.scores())
            joined["answer_scores"] = (ANSWER_SCORES, self._answer_scores(self._hash(None)))
        if self.layout.coverings():
            joined["curves"] = (CURVES, self.curves())
        written = []
        for name, (schema, found) in joined.items():
            rows = [
                dict(zip(schema, row, strict=True))
                for row in zip(*(found[one] for one in schema), strict=True)
            ]
            written.append(folder / f"{name}.parquet")
            tables.write(written[-1], rows, schema)
        return tuple(written)

    def timings(self) -> Columns:
        """Seconds of each part of each sample; they are the only numbers that differ from run to run."""
        places = [self.layout.timings(shard) for shard in self._explained()]
        return tables.columns([place for place in places if place.exists()], TIMINGS)

    def maps(self, explain_key: str) -> tuple[Heatmap, ...]:
        """The map of one method of one sample as it was stored, one for each grid of cells.

        A control's map, such as that of a shuffled image, lies on the cells of the sample's own image.

        Raises:
            UnknownName: There is no such map: it failed, or was never asked for.
            StoreError: It is damaged.
        """
        if explain_key not in self._places:
            raise UnknownName(
                f"There is no map {explain_key!r:.40} in this run. "
                "Take an explain_key of maps_table() or scores()."
            )
        found = []
        for row in self._places[explain_key]:
            if row["status"] != "ok":
                raise UnknownName(f"This map was not measured ({row['status']}): {row['reason']}")
            cells = maps.read(self.layout.maps(row["shard"]), [row["map_key"]])
            found.append(heatmap_of(row, cells[row["map_key"]]))
        return tuple(found)

    def samples(self) -> tuple[Sample, ...]:
        """The samples in the order of the plan, from the data set where it lies.

        Raises:
            StoreError: The data set is not what the run was made on, or was given as an object.
        """
        return self.dataset.samples[: len(self.plan["order"])]

    @cached_property
    def dataset(self) -> Dataset:
        """The data set, opened again.

        Raises:
            StoreError: It is not what the run was made on, or was given as an object.
        """
        from groundviz import datasets

        facts = self.manifest["dataset"]
        if facts["source"] is None:
            raise StoreError(
                "The data set was given as an object, and a run cannot open that again. Give it in Python: "
                "groundviz.evaluate(..., dataset, out=...)."
            )
        found = datasets.load(facts["source"], facts["path"], **facts["options"])
        count = len(self.plan["order"])
        now = {"annotations": plan.annotations_of(found, count), **plan.files_of(found, count)}
        if any(facts.get(name, one) != one for name, one in now.items()):
            raise StoreError(
                f"The data set {facts['name']} says something else than when the run was made. "
                "Give the same files, or evaluate again in another folder."
            )
        return found

    def __repr__(self) -> str:
        status = self.status()
        return f"<Run {self.manifest['run_id']}: {status.explained} of {status.samples} samples explained>"

    @cached_property
    def _places(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of the table of maps by their keys, each with its shard."""
        found: dict[str, list[dict[str, Any]]] = {}
        for shard in self._explained():
            for row in tables.read(self.layout.index(shard))[0]:
                found.setdefault(row["explain_key"], []).append({**row, "shard": shard})
        return found

    def _answers(self) -> Columns:
        return tables.columns([self.layout.answers(shard) for shard in self._explained()], ANSWERS)

    def _explained(self) -> list[int]:
        return sorted(self.layout.explained())

    def _hash(self, evaluation: str | None) -> str:
        return _one_of(self.layout.evaluations(), evaluation, "scored")

    def _answer_scores(self, name: str) -> Columns:
        """A row for each answer and scorer."""
        places = [self.layout.answer_scores(name, shard) for shard in sorted(self.layout.scored(name))]
        return tables.columns(places, ANSWER_SCORES)

    def _by_scorer(self, sample_ids: list[str], name: str) -> Columns:
        """A column for each scorer of answers, in the order of the answers."""
        rows = self._answer_scores(name)
        by_scorer: dict[str, dict[str, float | None]] = {}
        for scorer, sample_id, value in zip(rows["scorer"], rows["sample_id"], rows["value"], strict=True):
            by_scorer.setdefault(scorer, {})[sample_id] = value
        return {
            f"score_{scorer}": [values.get(sample_id) for sample_id in sample_ids]
            for scorer, values in sorted(by_scorer.items())
        }


def _one_of(known: Sequence[str], name: str | None, made: str) -> str:
    """The last of some hashes, or the one that was named.

    Raises:
        UnknownName: It is none of them.
    """
    if name is None and known:
        return known[-1]
    if name is None or name not in known:
        raise UnknownName(
            f"The run was not {made} as {name!r:.40}: known are {', '.join(known) or 'none'}. "
            "Name one of these."
        )
    return name
