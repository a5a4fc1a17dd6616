"""From named methods and their options to the maps they make of one answer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from groundviz.errors import NumericalError, UnsupportedMethod
from groundviz.methods.running.choose import Recipes
from groundviz.methods.running.outcome import images_left_out, tell_of_no_evidence
from groundviz.methods.running.refusals import refuse_targets, with_others
from groundviz.methods.toolkit.facts import Facts
from groundviz.methods.toolkit.method import METHODS
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live


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
        refuse_targets(name, METHODS.facts(name), targets)
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
            warnings.warn(f"Interrupted during {name}: its maps are missing.", RuntimeWarning, stacklevel=5)
            missing.append(name)
            continue
        except UnsupportedMethod as error:
            raise with_others(error) from None
        signed = [signed_off(name, METHODS.facts(name), options, one, live) for one in found]
        missing += images_left_out(name, signed, live)
        tell_of_no_evidence(name, signed, targets)
        maps += signed
    return tuple(maps), tuple(missing)


def signed_off(name: str, facts: Facts, options: Mapping[str, Any], maps: Heatmaps, live: Live) -> Heatmaps:
    """What a method returned, with its name, unit, options and caution in it.

    Raises:
        NumericalError: A cell that has a token, or a pixel, has no number.
    """
    if not np.isfinite(maps.values[..., maps.grid.valid]).all():
        raise NumericalError(
            f"{name} produced NaN or infinity: at least one cell has no number. {live.where_not_finite()} "
            "Load the model in bfloat16 or float32, or use another method."
        )
    # A method may choose its unit by its options; most have one alone, which their facts state.
    unit = maps.unit or facts.unit
    beside = {"caution": facts.caution} if facts.caution else {}
    return replace(maps, method=name, unit=unit, params={**options, **maps.params, **beside})
