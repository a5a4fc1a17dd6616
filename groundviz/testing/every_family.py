"""Checks of a method on a tiny random model of every family.

`groundviz.testing.conformance.check_method` says what each of them demands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from groundviz import models
from groundviz.errors import TargetError, UnsupportedMethod
from groundviz.models import VLM
from groundviz.record.geometry import apply
from groundviz.record.targets import Named, Question
from groundviz.record.types import Floats, Foil, Heatmaps, Target
from groundviz.runtime import Live, borrow
from groundviz.testing.families import TINY as BUILDERS
from groundviz.testing.families import Builder
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.tiny.planted import QUESTION
from groundviz.testing.trial import ANSWER_TOKENS, SOURCE_IMAGE, Measured, Trial

NAMED: tuple[Named | None, ...] = (None, 0, (1, 3))
ANSWER, FOIL = "left lung nodule and effusion", "pneumothorax device"
# Where a method keeps what speaks for a word alone, a random model may have nothing for some of them.
WORDS = ("nodule", "effusion", "left", "opacity", "heart", "size")
# Passes of other shapes round differently.
CLOSE = 1e-3


def _vlm_of(build: Builder) -> VLM:
    model, processor = build()
    model.generation_config.max_new_tokens = ANSWER_TOKENS
    vlm = models.resolve(model, processor)
    # A measured family passes images through the model when it first sees their shape, for all methods.
    vlm.encode((SOURCE_IMAGE,), QUESTION)
    return vlm


# Every family has at least one entry.
TINY: Mapping[str, Callable[[], VLM]] = MappingProxyType(
    {kind: partial(_vlm_of, build) for kind, build in BUILDERS.items()}
)


def lies_on_its_grids(trial: Trial, kind: str) -> str:
    """Each map is float32, fits its grid, and holds every target that was asked for."""
    found = _both(trial, kind).first
    if not found.maps:
        return "it returned no map"
    wrong = (_misfit(one, found.targets) for one in found.maps)
    return next(filter(None, wrong), "")


def is_finite(trial: Trial, kind: str) -> str:
    """NaN stands where a cell has no token, or shows nothing, and nowhere else."""
    return _not_finite(_both(trial, kind).first)


def names_its_unit(trial: Trial, kind: str) -> str:
    """The unit of the maps is the one that the method's facts state."""
    for one in _both(trial, kind).first.maps:
        if one.unit != trial.facts.unit:
            return f"a map's unit is {one.unit!r}, and the method's facts state {trial.facts.unit!r}"
    return ""


def is_the_same_again(trial: Trial, kind: str) -> str:
    """Run twice in one loan, it gives the same maps to the last bit."""
    both = _both(trial, kind)
    return _apart(both.first, both.second, 0.0)


def leaves_the_random_streams(trial: Trial, kind: str) -> str:
    """The random streams are where they were, so the method that runs next gets its own numbers."""
    return _listed(line for line in _both(trial, kind).changed if line.startswith("random "))


def leaves_no_trace_in_the_loan(trial: Trial, kind: str) -> str:
    """The model is as it was for the method that runs next, too."""
    return _listed(line for line in _both(trial, kind).changed if not line.startswith("random "))


def takes_targets_in_any_order(trial: Trial, kind: str) -> str:
    """Several targets give the same maps in either order, and as one does alone."""
    several = _both(trial, kind).first
    backwards = trial.run(_vlm(trial, kind), named=NAMED[::-1])
    return _apart(several, backwards, CLOSE) or _apart(_alone(trial, kind)[0], several, CLOSE)


def shares_its_passes(trial: Trial, kind: str) -> str:
    """Three targets cost no more forward passes than one, unless its facts say so."""
    one, several = _alone(trial, kind)[1], _both(trial, kind).images
    if several <= one or trial.facts.pass_per_target:
        return ""
    return f"three targets took {several} images through the model, one took {one}"


def generated_or_given(trial: Trial, kind: str) -> str:
    """The model's own answer gives the same maps when it is handed in."""
    own = _both(trial, kind).first
    token_ids = own.answer.token_ids.tolist()
    return _apart(own, trial.run(_vlm(trial, kind), given=token_ids, named=NAMED), CLOSE)


def explains_one_token(trial: Trial, kind: str) -> str:
    """An answer of a single token, read from the prompt's last row, has a map that is not flat."""
    for word in WORDS:
        found = trial.run(_vlm(trial, kind), given=word)
        why = _not_finite(found)
        if why or any(np.ptp(values[np.isfinite(values)]) for values in found.values(found.targets[0])):
            return why
    return "every cell holds the same"


def takes_special_tokens(trial: Trial, kind: str) -> str:
    """An answer of nothing but an end token is no reason to fail."""
    vlm = _vlm(trial, kind)
    return _not_finite(trial.run(vlm, given=[vlm.processor.tokenizer.eos_token_id], named=[0]))


def takes_contrasts(trial: Trial, kind: str) -> str:
    """A contrast of several tokens, beside a plain target, which stays what it is."""
    if not trial.facts.contrasts:
        return ""
    vlm = _vlm(trial, kind)
    foil = Foil(text=FOIL, token_ids=tuple(vlm.answer_ids(FOIL)))
    contrast = Target(tokens=(4,), text="effusion", foil=foil)
    found = trial.run(vlm, given=ANSWER, named=[(1, 3), contrast])
    plain = trial.run(vlm, given=ANSWER, named=[(1, 3)])
    missing = not all(one.has(contrast) for one in found.maps)
    return "the contrast was not measured" if missing else _not_finite(found) or _apart(plain, found, CLOSE)


def explains_words_of_the_question_or_refuses(trial: Trial, kind: str) -> str:
    """A word of the question has a map, or there is a TargetError; the answer's maps stay what they are."""
    states = trial.facts.question
    try:
        found = trial.run(_vlm(trial, kind), given=ANSWER, named=[(1, 3), Question("nodule")])
    except TargetError:
        return "its facts say that it measures the question, and it refuses to" if states else ""
    if not states:
        return "it measures words of the question, and its facts do not say so"
    missing = not all(one.has(found.targets[1]) for one in found.maps)
    plain = trial.run(_vlm(trial, kind), given=ANSWER, named=[(1, 3)])
    return "the word was not measured" if missing else _not_finite(found) or _apart(plain, found, CLOSE)


def _where_it_runs(check: Callable[[Trial, str], str]) -> Callable[[Trial, str], str]:
    """A check that a method passes on a family for which it says that it cannot work."""
    return lambda trial, kind: "" if _refused(trial, kind) else check(trial, kind)


_EVERY = {
    "lies on its grids": lies_on_its_grids,
    "is finite": is_finite,
    "names its unit": names_its_unit,
    "is the same again": is_the_same_again,
    "leaves the random streams alone": leaves_the_random_streams,
    "leaves no trace in the loan": leaves_no_trace_in_the_loan,
    "takes targets in any order": takes_targets_in_any_order,
    "shares its passes": shares_its_passes,
    "generated or given": generated_or_given,
    "explains one token": explains_one_token,
    "takes special tokens": takes_special_tokens,
    "takes contrasts": takes_contrasts,
    "explains words of the question, or refuses to": explains_words_of_the_question_or_refuses,
}
CHECKS = {name: _where_it_runs(check) for name, check in _EVERY.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Both:
    """Two runs in one loan: what they came to, what the second one changed, what the first one cost."""

    first: Measured
    second: Measured
    changed: list[str]
    images: int


def _vlm(trial: Trial, kind: str) -> VLM:
    return trial.once(kind, TINY[kind])


def _refused(trial: Trial, kind: str) -> bool:
    def make() -> bool:
        try:
            _both(trial, kind)
        except UnsupportedMethod:
            return True
        return False

    return trial.once(("refused", kind), make)


def _both(trial: Trial, kind: str) -> _Both:
    return trial.once(("both", kind), lambda: _twice(trial, _vlm(trial, kind)))


def _twice(trial: Trial, vlm: VLM) -> _Both:
    with _counted(vlm.model) as images, borrow(vlm) as live:
        prompt = live.encode(SOURCE_IMAGE, QUESTION)
        answer = live.answer(prompt)
        targets = live.targets(answer, list(NAMED), None)  # type: ignore[arg-type]
        first = trial.measure(live, prompt, answer, targets)
        cost, before = sum(images), fingerprint(vlm.model)
        second = trial.measure(live, prompt, answer, targets)
        changed = difference(before, fingerprint(vlm.model))
        noted = _noted_by_every_pass(live, targets)
    changed = [line for line in changed if line.partition(":")[0] not in noted]
    runs = [Measured(prompt=prompt, answer=answer, targets=targets, maps=maps) for maps in (first, second)]
    return _Both(first=runs[0], second=runs[1], changed=changed, images=cost)


def _noted_by_every_pass(live: Live, targets: tuple[Target, ...]) -> set[str]:
    """What a model writes down about itself whenever it runs, and gets back when the loan ends."""
    before = fingerprint(live.vlm.model)
    live.scores(targets)
    return {line.partition(":")[0] for line in difference(before, fingerprint(live.vlm.model))}


def _alone(trial: Trial, kind: str) -> tuple[Measured, int]:
    """A single target, and how many images went through the model for it."""

    def make() -> tuple[Measured, int]:
        vlm = _vlm(trial, kind)
        with _counted(vlm.model) as images:
            found = trial.run(vlm, named=NAMED[1:2])
        return found, sum(images)

    return trial.once(("alone", kind), make)


@contextmanager
def _counted(model: Any) -> Iterator[list[int]]:
    """The batch size of each pass of a model."""
    sizes: list[int] = []

    def count(module: Any, args: Any, options: Any) -> None:
        sizes.append(len(options["input_ids"]))

    handle = model.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield sizes
    finally:
        handle.remove()


def _misfit(maps: Heatmaps, targets: Sequence[Target]) -> str:
    grid, shape = maps.grid, maps.values.shape
    cells = (grid.rows, grid.cols)
    if maps.values.dtype != np.float32 or len(shape) != 5:
        return f"values are {maps.values.dtype} of shape {shape}, not float32 (target, layer, head, row, col)"
    if shape[3:] != cells or grid.valid.shape != cells or grid.positions.shape != (grid.rows * grid.cols,):
        return f"values {shape} do not fit a grid of {grid.rows} by {grid.cols}"
    if shape[0] != len(maps.targets) or (maps.layers and shape[1] != len(maps.layers)):
        return f"values {shape} do not fit {len(maps.targets)} targets and {len(maps.layers)} layers"
    missing = [target.text for target in targets if not maps.has(target)]
    if missing:
        return f"{missing[0]!r} was asked for and not measured"
    return "" if _in_the_image(maps) else "valid cells of a grid lie outside the image"


def _in_the_image(maps: Heatmaps) -> bool:
    at = apply(maps.grid.to_source, np.argwhere(maps.grid.valid).astype(np.float64) + 0.5)
    reach = np.abs(np.diag(maps.grid.to_source[:, :2]))
    return bool(((at > -reach) & (at < np.array(SOURCE_IMAGE.shape) + reach)).all())


def _not_finite(found: Measured) -> str:
    for one in found.maps:
        tokens = one.grid.positions.reshape(one.grid.rows, one.grid.cols) >= 0
        held = tokens if tokens.any() else one.grid.valid
        if not np.isfinite(one.values[..., held]).all():
            return "a cell that has a token or shows the image has no finite number"
        # Padding may have been measured among pixels; no token is no cell.
        if tokens.any() and not np.isnan(one.values[..., ~tokens]).all():
            return "a cell without a token has a number"
    return ""


def _apart(one: Measured, other: Measured, tolerance: float) -> str:
    """Whether the targets of `one` have other maps in `other`."""
    for target in one.targets:
        pairs = zip(one.values(target), other.values(target), strict=True)
        apart = max(_distance(a, b) for a, b in pairs)
        if apart > tolerance:
            return f"the two maps of {target.text!r} differ by {apart:.2g} of their largest value"
    return ""


def _distance(one: Floats, other: Floats) -> float:
    seen = np.isfinite(one)
    if not np.array_equal(seen, np.isfinite(other)):
        return np.inf
    scale = np.abs(one[seen]).max(initial=np.finfo(np.float32).tiny)
    return float(np.abs(one[seen] - other[seen]).max(initial=0.0) / scale)


def _listed(changed: Iterator[str]) -> str:
    lines = list(changed)
    more = f", and {len(lines) - 2} more" if len(lines) > 2 else ""
    return "; ".join(lines[:2]) + more
