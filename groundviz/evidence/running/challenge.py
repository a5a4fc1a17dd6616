"""Further checks of an answer that was explained before; see `groundviz.challenge`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from groundviz import images
from groundviz.errors import OptionError
from groundviz.evidence import CHECKS
from groundviz.evidence.running.examine import examine, names
from groundviz.evidence.toolkit.check import COPIES, Case
from groundviz.evidence.toolkit.cohort import Cohort
from groundviz.evidence.weights import replica_of
from groundviz.models.adapter.vlm import VLM
from groundviz.record import store
from groundviz.record.conversation import asked_again
from groundviz.record.types import Check, Heatmaps, Record, SourceImage
from groundviz.runtime import borrow
from groundviz.runtime.identity import same_model
from groundviz.runtime.loan.progress import Tell

# With fewer even a map that beats all its copies is not improbable enough.
FEWEST = 19


def challenged(
    record: Record,
    vlm: VLM,
    checks: Sequence[str],
    *,
    copies: int = COPIES,
    cohort: Cohort | None = None,
    places: tuple[Heatmaps, ...] = (),
    tell: Tell | None = None,
) -> Record:
    """The record with the outcomes of some checks behind its own; one that was made before is replaced.

    Args:
        record: What is known of the answer; it stays as it is.
        vlm: The model that answered.
        checks: Names of checks.
        copies: How many moved copies a map is compared with.
        cohort: Other images.
        places: What somebody else marked, as maps.
        tell: Called with how far the work has come; it may raise KeyboardInterrupt.

    Raises:
        UnsupportedModel: It is not the model that answered.
        KeyboardInterrupt: Nothing was found before the interruption.
    """
    replica = None
    if "weights" in checks:
        # Copied before it is borrowed: a borrowed model has hooks that a copy would keep.
        replica = replica_of(vlm)
    with borrow(vlm, seed=record.provenance.seed, tell=tell) as live:
        same_model.same_weights(record.provenance, vlm.model)
        live.progress.at("reading the answer")
        prompt = live.encode(record.source_images, asked_again(record.prompt))
        same_model.same_prompt(record.prompt, prompt)

        def examined() -> tuple[Check, ...]:
            again = live.answer(prompt, given=record.answer.token_ids.tolist())
            same_model.same_answer(record.answer, again, record.provenance.dtype)
            case = Case(
                live,
                prompt,
                record.answer,
                record.targets,
                record.heatmaps,
                record.provenance.certificate,
                copies=copies,
                cohort=cohort or Cohort(),
                places=places,
                replica=replica,
            )
            return examine(case, checks)

        found, interrupted = live.steadily(examined), live.interrupted
        seconds = round(record.provenance.seconds + live.provenance.seconds, 3)
    if not found and interrupted:
        raise KeyboardInterrupt
    return replace(
        record,
        checks=_joined(record.checks, found),
        provenance=replace(record.provenance, seconds=seconds),
    )


def chosen(checks: str | Iterable[str] | None, *, with_others: bool) -> tuple[str, ...]:
    """The checks of these names; those that need no other images, or all, when None.

    Raises:
        UnknownName: There is no such check.
        OptionError: These are no names.

    >>> chosen(None, with_others=False)
    ('marked_place', 'stability', 'sufficient')
    """
    if checks is None:
        return names("request", "cohort") if with_others else names("request")
    several = [checks] if isinstance(checks, str) else list(checks)
    if not several:
        raise OptionError(f"No check is named: name at least one of {', '.join(CHECKS)}.")
    return tuple(CHECKS.resolve(several))


def cohort_of(others: Iterable[Any], asked: Sequence[SourceImage]) -> Cohort:
    """Other images, from images in any form, explanations, or files of these.

    Args:
        others: Each an image as `groundviz.explain` takes it, or an explanation, or its .gvz file.
        asked: The images that the question was about.

    Raises:
        OptionError: One of them holds another number of images, or is not another image at all.
        GroundvizError: One of them is none.
    """
    count, known = len(asked), {_shown(asked): 0}
    found = []
    for number, other in enumerate(others, start=1):
        shown = _source_images(other)
        before = known.setdefault(_shown(shown), number)
        if before != number:
            again = f"numbers {before} and {number} of the others are the same image"
            if not before:
                again = f"number {number} of the others is the image that was asked about"
            raise OptionError(
                f"These are not other images: {again}. Give each image once, and others than the one that "
                "was asked about."
            )
        if len(shown) != count:
            raise OptionError(
                f"The question was about {count} image(s), and number {number} of the others has "
                f"{len(shown)}. Give each of the others as many images."
            )
        found.append(shown)
    return Cohort(tuple(found))


def _shown(images: Sequence[SourceImage]) -> tuple[Any, ...]:
    """What tells images apart: their pixels, whatever file they came in."""
    return tuple((image.pixels.shape, hash(image.pixels.tobytes())) for image in images)


def check_copies(copies: int) -> None:
    """Refuse a number of copies with which nothing could be shown.

    Raises:
        OptionError: It is no number, or too few.
    """
    if isinstance(copies, bool) or not isinstance(copies, int) or copies < FEWEST:
        raise OptionError(
            f"copies={copies!r:.60} cannot show anything: expected a whole number of at least {FEWEST}, with "
            "which a map that beats all its copies has p = .05. Give 19, or 99 for a paper."
        )


def _source_images(other: Any) -> tuple[SourceImage, ...]:
    record = getattr(other, "record", None)
    if isinstance(other, str | os.PathLike) and os.fspath(other).endswith(".gvz"):
        record = store.read(other)
    if isinstance(record, Record):
        return record.source_images
    return images.load_each(other)


def _joined(old: Iterable[Check], new: Iterable[Check]) -> tuple[Check, ...]:
    held = {(check.name, check.method): check for check in (*old, *new)}
    return tuple(held.values())
