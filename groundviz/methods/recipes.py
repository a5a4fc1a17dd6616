"""From named methods and their options to the maps they make of one answer."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from groundviz.errors import NumericalError, UnknownName
from groundviz.methods.method import METHODS, Method
from groundviz.methods.outcome import images_left_out, tell_of_no_evidence
from groundviz.runtime import Live
from groundviz.targets import answered
from groundviz.types import Answer, Heatmaps, Prompt, Target

Recipes = Mapping[str, Mapping[str, Any]]


def choose(methods: str | Iterable[str] | Recipes) -> Recipes:
    """The options of each named method, the method's own where none are given.

    Args:
        methods: One name, several, or a table of names and their options.

    Raises:
        UnknownName: There is no such method, or it has no such option.

    >>> choose("attention")
    {'attention': {}}
    """
    named = [methods] if isinstance(methods, str) else methods
    wanted = named if isinstance(named, Mapping) else {name: {} for name in named}
    return {name: _filled(name, given) for name, given in wanted.items()}


def measure(
    recipes: Recipes, live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...]
) -> tuple[tuple[Heatmaps, ...], tuple[str, ...]]:
    """All maps of several methods, in their order, and what was not measured.

    Ctrl-C ends the work early: what was measured until then is returned, with a warning. A method whose
    maps say nothing of any target, because all their cells are the same, is named in a warning.

    Returns:
        The maps, and the names of the methods that did not come to any: of those that were left out for
        some of several images, "rise on image 2 of 2".

    Raises:
        TargetError: A target is in the question, and a method explains the answer alone.
        UnsupportedMethod: A method cannot do this model or these targets.
        NumericalError: A map holds NaN or infinity where it should hold a number.
        KeyboardInterrupt: Nothing was measured before the interruption.
    """
    maps: list[Heatmaps] = []
    missing: list[str] = []
    for name in recipes:
        refuse_questions(METHODS[name], targets)
    for name, options in recipes.items():
        if missing or live.interrupted:
            missing.append(name)
            continue
        try:
            live.progress.at(f"measuring {name.replace('_', ' ')}")
            found = METHODS[name](live, prompt, answer, targets, **options)
        except KeyboardInterrupt:
            if not maps:
                raise
            warnings.warn(f"Interrupted during {name}: its maps are missing.", RuntimeWarning, stacklevel=3)
            missing.append(name)
            continue
        signed = [signed_off(name, options, one, live) for one in found]
        missing += images_left_out(name, signed, live)
        tell_of_no_evidence(name, signed, targets)
        maps += signed
    return tuple(maps), tuple(missing)


def refuse_questions(method: Method, targets: tuple[Target, ...]) -> None:
    """Stop a method that explains the answer alone.

    Raises:
        TargetError: One of the targets is in the question.
    """
    if not explains_questions(method):
        for target in targets:
            answered(target)


def explains_questions(method: Method) -> bool:
    """Whether a method measures tokens of the question, too."""
    return getattr(method, "measures_question", False)


def signed_off(name: str, options: Mapping[str, Any], maps: Heatmaps, live: Live) -> Heatmaps:
    """What a method returned, with its name and options in it.

    Raises:
        NumericalError: A cell that has a token, or a pixel, has no number.
    """
    if not np.isfinite(maps.values[..., maps.grid.valid]).all():
        raise NumericalError(
            f"{name} produced NaN or infinity: at least one cell has no number. {live.where_not_finite()} "
            "Load the model in bfloat16 or float32, or use another method."
        )
    return replace(maps, method=name, params={**options, **maps.params})


def _filled(name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """All options of a method: what was given, and its defaults for the rest."""
    parameters = inspect.signature(METHODS[name]).parameters.values()
    known = {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}
    for option in given:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise UnknownName(f"{name} has no option {option!r}: it has {listed}. Name one of these.")
    return {**known, **given}
