"""An answer read again on other images, or by another model, and its maps there."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from groundviz.methods import METHODS
from groundviz.methods.running.measure import signed_off
from groundviz.record.targets import find
from groundviz.record.types import Answer, Heatmap, Target
from groundviz.runtime import Live


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A model that has read an answer, and how probable it was to it.

    Attributes:
        live: The model with its prompt.
        answer: The same tokens, with the log-probabilities that they have here.
    """

    live: Live
    answer: Answer


def reading(live: Live, answer: Answer) -> Reading:
    """A model that has read its prompt, with an answer teacher-forced behind it; one forward pass."""
    return Reading(live, live.answer(live.prompt, given=answer.token_ids.tolist()))


def drop(before: Answer, now: Answer) -> float:
    """By how many nats the log-probability of an answer falls from one reading to another."""
    tokens = list(find(before).tokens)
    return float((before.logprobs - now.logprobs)[tokens].sum(dtype="float64"))


def again(read: Reading, target: Target, like: Heatmap) -> list[Heatmap]:
    """The map of a target by the method of another map, with its options: one for each grid.

    Raises:
        KeyboardInterrupt: The method was interrupted; a map that rests on less cannot be compared.
    """
    name, options = like.method, _options(like)
    maps = METHODS[name](read.live, read.live.prompt, read.answer, (target,), **options)
    if read.live.interrupted:
        raise KeyboardInterrupt
    return [signed_off(name, METHODS.facts(name), options, one, read.live).at(target) for one in maps]


def _options(heatmap: Heatmap) -> Mapping[str, Any]:
    """The options that a map's method was run with, as its `params` keep them."""
    known = inspect.signature(METHODS[heatmap.method]).parameters.values()
    wanted = {one.name: one.default for one in known if one.kind is one.KEYWORD_ONLY}
    return {name: heatmap.params.get(name, default) for name, default in wanted.items()}


def mean(found: Iterable[float | None]) -> float | None:
    """The mean of the numbers that there are."""
    known = [one for one in found if one is not None]
    return sum(known) / len(known) if known else None
