"""One sample: the model is asked, what it answers is explained, and the controls are measured.

It is the road of `groundviz.explain`, in one loan of the model, with two differences: what is explained is
chosen when the answer is known, and a method that cannot do one sample is a row that says so.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from groundviz.datasets.sample import Sample
from groundviz.errors import (
    GroundvizError,
    ModelBusy,
    ModelChanged,
    OutOfMemory,
    TargetError,
    UnsupportedMethod,
)
from groundviz.evaluation.cases.asked import Asked, words_of
from groundviz.evaluation.cases.outcome import (
    ERROR,
    OK,
    OUT_OF_MEMORY,
    RANDOM_WEIGHTS,
    SHUFFLED,
    SKIPPED,
    Outcome,
    Row,
    control_of,
    has_reference,
)
from groundviz.evaluation.storage import maps as store
from groundviz.evaluation.storage.geometry import columns_of
from groundviz.evaluation.storage.keys import canonical, key_of
from groundviz.evidence.needs_image import POOLED
from groundviz.evidence.running.examine import checks_of, examine
from groundviz.evidence.toolkit.check import Case
from groundviz.evidence.toolkit.remeasuring import Reading, again, drop, reading
from groundviz.methods.running.measure import measure
from groundviz.models import VLM
from groundviz.record.evidence import NEEDS_IMAGE
from groundviz.record.targets import Phrase, find
from groundviz.record.types import Answer, Heatmap, Provenance, SourceImage, Target
from groundviz.runtime import Live, borrow
from groundviz.runtime.passes.batches import is_out_of_memory

# What the answer loses, by the name of its column.
_LOSSES = {"vr_blurred": "blurred", "vr_local_mean": "local mean", "vr_meanpool": POOLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What one sample needs beside the model.

    Attributes:
        sample: The question, and what is known to be right.
        cluster_id: Of its patient or image.
        order: Its place in the data set.
        images: The image.
        other: Another patient's image, of the same size; None where no control is wanted, or none was read.
        other_reason: Why there is none.
        other_status: How that is to be taken.
    """

    sample: Sample
    cluster_id: str
    order: int
    images: tuple[SourceImage, ...]
    other: tuple[SourceImage, ...] | None = None
    other_reason: str = ""
    other_status: str = SKIPPED


def explained(vlm: VLM, replica: VLM | None, asked: Asked, given: Given) -> Outcome:
    """Everything that is measured of one sample; what cannot be measured has a status and a reason.

    Cost: one answer, three forwards for the evidence, each method once; and for a sample with reference
    regions each method once more for each control.

    Raises:
        KeyboardInterrupt: Ctrl-C; nothing of the sample is returned.
        ModelChanged: Another thread trains the model.
        ModelBusy: This thread is explaining with the model already.
    """
    case = _Case(vlm, replica, asked, given, Outcome(_known(asked, given)))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            case.measure()
        except (ModelChanged, ModelBusy):
            raise
        except (Exception, MemoryError) as error:
            case.fail(error)
    notes = [str(one.message) for one in heard if issubclass(one.category, RuntimeWarning)]
    case.outcome.answer["notes"] = list(dict.fromkeys(notes))
    return case.outcome


def failed(vlm: VLM, asked: Asked, given: Given, error: BaseException) -> Outcome:
    """The outcome of a sample whose image could not be read."""
    case = _Case(vlm, None, asked, given, Outcome(_known(asked, given)))
    case.fail(error)
    return case.outcome


def failure(error: BaseException) -> tuple[str, str]:
    """The status and the reason of what went wrong, without anybody's identity."""
    if isinstance(error, OutOfMemory | MemoryError):
        return OUT_OF_MEMORY, str(error) if isinstance(error, OutOfMemory) else "Memory ran out."
    if isinstance(error, UnsupportedMethod):
        return SKIPPED, str(error)
    if isinstance(error, GroundvizError):
        return ERROR, str(error)
    if is_out_of_memory(error):
        return OUT_OF_MEMORY, "The accelerator's memory ran out."
    # The message of an error of another library may hold a path.
    return ERROR, f"{type(error).__name__} was raised while the sample was measured."


def _known(asked: Asked, given: Given) -> Row:
    """What is known of a sample before the model is asked."""
    sample = given.sample
    question = asked.question(sample)
    return {
        # Replaced once the prompt is known: a sample that failed has a key, too.
        "answer_key": key_of({"sample_id": sample.sample_id, "question": question, "failed": True}),
        "sample_id": sample.sample_id,
        "cluster_id": given.cluster_id,
        "order": given.order,
        "finding": sample.finding,
        "split": sample.split,
        "question": question,
        "reference": sample.answer or sample.phrase,
        "answer_type": sample.answer_type,
        "seed": asked.seed,
        "needs_image": "not measured",
        "status": OK,
        "reason": "",
        "notes": [],
    }


@dataclass(slots=True)
class _Case:
    """One sample on its way."""

    vlm: VLM
    replica: VLM | None
    asked: Asked
    given: Given
    outcome: Outcome

    def measure(self) -> None:
        row, sample = self.outcome.answer, self.given.sample
        refusal = self.asked.refusal(sample)
        if refusal:
            self._end(SKIPPED, refusal)
            return
        image = self.given.images[0]
        row["image_sha256"] = image.sha256
        row["image_rows"], row["image_cols"] = image.shape
        with borrow(self.vlm, seed=self.asked.seed, tell=unheard) as live:
            measured = live.steadily(lambda: self._read(live))
            if live.interrupted:
                raise KeyboardInterrupt
        if measured is not None and self._wants(RANDOM_WEIGHTS):
            self._random_weights(*measured)

    def fail(self, error: BaseException) -> None:
        """Say of the sample, and of each method that did not come to anything, what went wrong."""
        self._end(*failure(error))

    def _end(self, status: str, reason: str) -> None:
        row = self.outcome.answer
        row["status"], row["reason"] = status, reason
        measured = {one["method"] for one in self.outcome.maps}
        for method in self.asked.methods:
            if method not in measured:
                self._keep_row(method, method, status=status, reason=reason)

    def _read(self, live: Live) -> tuple[Answer, Target, dict[str, list[Heatmap]]] | None:
        """The answer, what is explained of it, and its maps; None where there is nothing to explain."""
        row = self.outcome.answer
        # It may be the second time, where another thread trained the model meanwhile.
        self.outcome.maps.clear()
        self.outcome.cells.clear()
        self.outcome.timings.clear()
        with self._timed("answer"):
            prompt = live.encode(self.given.images, self.asked.asking(self.given.sample))
            answer = live.answer(
                prompt, given=self.asked.given(self.given.sample), generation=dict(self.asked.generation)
            )
            made = live.provenance
        self._tell_answer(answer, prompt.text, made)
        target, row["target_source"] = _target(answer, self.given.sample)
        row["target"], row["target_tokens"] = target.text, list(target.tokens)
        maps = {}
        for method in self.asked.methods:
            with self._timed(method):
                found = self._method(live, method, answer, target)
            if found:
                maps[method] = found
        with self._timed("evidence"):
            self._evidence(live, answer, target)
        if self._wants(SHUFFLED, maps=False):
            self._shuffled(live, answer, target, maps)
        return answer, target, maps

    def _tell_answer(self, answer: Answer, prompt: str, made: Provenance) -> None:
        row = self.outcome.answer
        self.outcome.weights = made.weights
        row["answer_key"] = key_of(
            {
                "sample_id": self.given.sample.sample_id,
                "image": row["image_sha256"],
                "model": [made.model, made.revision, made.weights, made.dtype, dict(made.sources)],
                "prompt": prompt,
                "given": self.asked.given(self.given.sample),
                "generation": dict(made.generation),
                "seed": self.asked.seed,
            }
        )
        row |= {
            "text": answer.text,
            "token_ids": answer.token_ids.tolist(),
            "logprobs": answer.logprobs.tolist(),
            "confidence": answer.confidence,
            "source": "reference" if answer.source == "given" else answer.source,
            "finished": answer.finished,
        }

    def _method(self, live: Live, method: str, answer: Answer, target: Target) -> list[Heatmap]:
        """The maps of one method, one for each grid, kept in the outcome."""
        options = self.asked.methods[method]
        try:
            found, _ = measure({method: options}, live, live.prompt, answer, (target,))
        except (ModelChanged, KeyboardInterrupt):
            raise
        except (Exception, MemoryError) as error:
            self._keep_failure(method, error)
            return []
        heatmaps = [one.at(target) for one in found]
        self._keep(method, method, heatmaps)
        return heatmaps

    def _evidence(self, live: Live, answer: Answer, target: Target) -> None:
        """Whether the answer needs the image, and how much attention went to it."""
        row = self.outcome.answer
        for check in examine(Case(live, live.prompt, answer, (target,), (), None), checks_of("quick")):
            if check.name == NEEDS_IMAGE:
                row["needs_image"] = check.verdict
                row |= {name: check.numbers.get(twin) for name, twin in _LOSSES.items()}
            if check.name == "image_share":
                row["image_share"] = check.value

    def _shuffled(self, live: Live, answer: Answer, target: Target, maps: dict[str, list[Heatmap]]) -> None:
        """The same question and answer on another patient's image, whose maps lie on this one's cells."""
        if self.given.other is None:
            for method in maps if self._wants(SHUFFLED) else ():
                status, reason = self.given.other_status, self.given.other_reason
                self._keep_row(f"{SHUFFLED}:{method}", method, status=status, reason=reason)
            return
        with self._timed(SHUFFLED):
            read = reading(live.ask(images=self.given.other), answer)
            self.outcome.answer["vr_shuffle"] = drop(answer, read.answer)
            if self._wants(SHUFFLED):
                self._control(SHUFFLED, read, target, maps)

    def _random_weights(self, answer: Answer, target: Target, maps: dict[str, list[Heatmap]]) -> None:
        """The same question and answer on a copy of the model that has learnt nothing."""
        if self.replica is None:
            for method in maps:
                reason = "The model could not be copied, and is not changed itself."
                self._keep_row(f"{RANDOM_WEIGHTS}:{method}", method, status=SKIPPED, reason=reason)
            return
        with (
            self._timed(RANDOM_WEIGHTS),
            borrow(self.replica, seed=self.asked.seed, tell=unheard) as live,
        ):
            live.encode(self.given.images, self.asked.asking(self.given.sample))
            self._control(RANDOM_WEIGHTS, reading(live, answer), target, maps)
            if live.interrupted:
                raise KeyboardInterrupt

    def _control(self, control: str, read: Reading, target: Target, maps: dict[str, list[Heatmap]]) -> None:
        for method, own in maps.items():
            name = f"{control}:{method}"
            try:
                others = again(read, target, own[0])
            except (ModelChanged, KeyboardInterrupt):
                raise
            except (Exception, MemoryError) as error:
                self._keep_failure(method, error, name=name)
                continue
            self._keep(name, method, others, own)

    # --- what is kept ----------------------------------------------------------------------------

    def _keep(
        self, name: str, method: str, heatmaps: Sequence[Heatmap], places: Sequence[Heatmap] | None = None
    ) -> None:
        """Store the maps of one method; those of a control lie where the method's own lie."""
        constant = not any(heatmap.has_evidence for heatmap in heatmaps)
        placed = list(places or heatmaps)
        if [one.shape for one in heatmaps] != [one.shape for one in placed]:
            reason = "The other image is seen in other cells, so the maps cannot be compared."
            self._keep_row(name, method, status=SKIPPED, reason=reason)
            return
        for number, (heatmap, place) in enumerate(zip(heatmaps, placed, strict=True)):
            row = self._keep_row(name, method, **columns_of(place.grid), constant=constant)
            key = row["map_key"] = f"{row['explain_key']}.{number}"
            row["unit"], row["signed"] = heatmap.unit, heatmap.signed
            self.outcome.cells[key], row["scale"] = store.halved(heatmap.values)

    def _keep_failure(self, method: str, error: BaseException, name: str = "") -> None:
        status, reason = failure(error)
        self._keep_row(name or method, method, status=status, reason=reason)

    def _keep_row(self, name: str, method: str, **facts: Any) -> Row:
        """A row of the table of maps."""
        answer, options = self.outcome.answer, dict(self.asked.methods[method])
        other = None
        if control_of(name) == SHUFFLED and self.given.other:
            other = self.given.other[0].sha256
        depends = [
            answer["answer_key"],
            answer.get("token_ids"),
            answer.get("target_tokens"),
            name,
            options,
            other,
        ]
        row: Row = {
            "explain_key": key_of(depends),
            "answer_key": answer["answer_key"],
            "sample_id": answer["sample_id"],
            "method": name,
            "params_hash": key_of(options)[:16],
            "params": canonical(options),
            "status": OK,
            "reason": "",
            **facts,
        }
        self.outcome.maps.append(row)
        return row

    def _wants(self, control: str, *, maps: bool = True) -> bool:
        """Whether a control is measured of this sample, with its maps, which need a place to be scored."""
        return control in self.asked.controls and (not maps or has_reference(self.given.sample))

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        seconds = round(time.perf_counter() - began, 4)
        sample_id = self.given.sample.sample_id
        self.outcome.timings.append({"sample_id": sample_id, "what": what, "seconds": seconds})


def _target(answer: Answer, sample: Sample) -> tuple[Target, str]:
    """What is explained: the finding's words where they are in the answer, else the whole answer.

    Raises:
        TargetError: The answer has no words.
    """
    text, finding = answer.text.lower(), words_of(sample.finding or "").lower()
    # Lower case may be longer than what it stands for, as that of a few letters is.
    at = text.find(finding) if finding and len(text) == len(answer.text) else -1
    if at >= 0:
        try:
            return find(answer, Phrase(answer.text[at : at + len(finding)])), "finding"
        except TargetError:
            pass
    return find(answer, None), "answer"


def unheard(*_: object) -> None:
    """Nobody watches a single case: the run's progress is what is shown."""
