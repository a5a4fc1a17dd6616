"""Further methods on an answer that is known already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from groundviz import models
from groundviz.errors import OptionError
from groundviz.methods.running.choose import Recipes, choose
from groundviz.methods.running.measure import measure
from groundviz.models.adapter.vlm import VLM
from groundviz.record import arguments
from groundviz.record.conversation import asked_again
from groundviz.record.types import Heatmaps, Record
from groundviz.runtime import borrow
from groundviz.runtime.identity import same_model
from groundviz.runtime.loan.progress import Tell


def named_more(
    record: Record,
    model: Any,
    methods: str | Iterable[str] | Recipes,
    *,
    processor: Any = None,
    tell: Tell | None = None,
) -> Record:
    """The record with the maps of further methods, by their names, and of a model in any form.

    Args:
        record: As in `measure_more`.
        model: The model that answered, as `groundviz.explain` takes it.
        methods: Names of methods, or a table of names and their options.
        processor: The model's processor, when it does not lie beside its weights.
        tell: As in `measure_more`.

    Raises:
        OptionError: These are no names of methods, or an option has a value of another kind.
        UnknownName: There is no such method, or it has no such option.
        UnsupportedModel: It is not the model that answered.
        GroundvizError: A method refuses.
        KeyboardInterrupt: Nothing was measured before the interruption.
    """
    arguments.check_methods(methods)
    if methods is None:
        raise OptionError("methods is None: expected what to measure. Give for example methods='occlusion'.")
    vlm, recipes = models.resolve(model, processor), choose(methods)
    return measure_more(record, vlm, recipes, tell)


def measure_more(record: Record, vlm: VLM, recipes: Recipes, tell: Tell | None = None) -> Record:
    """The record with the maps of further methods behind its own, see `groundviz.explain_more`.

    Args:
        record: What is known of the answer; it stays as it is.
        vlm: The model that answered.
        recipes: Methods with their options. One that the record holds already is measured again.
        tell: Called with how far the work has come; it may raise KeyboardInterrupt.

    Raises:
        UnsupportedModel: It is not the model that answered.
        GroundvizError: A method refuses.
        KeyboardInterrupt: Nothing was measured before the interruption.
    """
    with borrow(vlm, seed=record.provenance.seed, tell=tell) as live:
        same_model.same_weights(record.provenance, vlm.model)
        live.progress.at("reading the answer")
        prompt = live.encode(record.source_images, asked_again(record.prompt))
        same_model.same_prompt(record.prompt, prompt)

        def measured() -> tuple[tuple[Heatmaps, ...], tuple[str, ...]]:
            again = live.answer(prompt, given=record.answer.token_ids.tolist())
            same_model.same_answer(record.answer, again, record.provenance.dtype)
            return measure(recipes, live, prompt, record.answer, record.targets)

        maps, unmeasured = live.steadily(measured)
        seconds = round(record.provenance.seconds + live.provenance.seconds, 3)
    joined = _joined(record.heatmaps, maps)
    # What was asked for again is measured now, or missing now.
    before = (name for name in record.unmeasured if name.split(" on ")[0] not in recipes)
    held = {one.method for one in joined}
    missing = (*before, *(name for name in unmeasured if name not in held))
    provenance = replace(record.provenance, seconds=seconds)
    # What was found out about a map does not hold for the one in its place.
    checks = tuple(check for check in record.checks if check.method not in recipes)
    return replace(record, heatmaps=joined, unmeasured=missing, provenance=provenance, checks=checks)


def _joined(old: Iterable[Heatmaps], new: Iterable[Heatmaps]) -> tuple[Heatmaps, ...]:
    """Old maps and new ones, method by method; new ones in the place of old ones of the same method."""
    held = _by_method(old) | _by_method(new)
    return tuple(one for found in held.values() for one in found)


def _by_method(maps: Iterable[Heatmaps]) -> dict[str, list[Heatmaps]]:
    found: dict[str, list[Heatmaps]] = {}
    for one in maps:
        found.setdefault(one.method, []).append(one)
    return found
