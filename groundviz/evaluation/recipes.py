"""The settings with which papers evaluated, as data: decoding, split and scorer; prompts are the models' own.

A published layout is loaded with the prompt of its own evaluation script, see `groundviz.models.checkpoints`,
so a recipe holds what stands outside the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from groundviz.errors import OptionError, UnknownName

_GREEDY = {"do_sample": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one paper evaluated.

    Attributes:
        models: The checkpoints that it is of.
        data: By name of each data set that it is for, the options that it is loaded with.
        generation: The settings of the answers.
        scorer: Of `groundviz.metrics.answers.SCORERS`; empty for reports.
        source: Where the settings stand.
        caveat: What differs all the same, and what to beware of in the published numbers.
        published: The models of `groundviz.metrics.published.VQA_ROWS` that its numbers stand beside.
    """

    models: tuple[str, ...]
    data: Mapping[str, Mapping[str, Any]]
    generation: Mapping[str, Any]
    scorer: str
    source: str
    caveat: str
    published: tuple[str, ...] = ()

    def facts(self, name: str) -> dict[str, Any]:
        """For the manifest."""
        return {"name": name, "scorer": self.scorer, "source": self.source, "caveat": self.caveat}


_VQA: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "vqa_rad": {"split": "test"},
        "slake": {"split": "test", "language": "en"},
        "pathvqa": {"split": "test"},
    }
)
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "sigphi": Recipe(
            models=("nykxo99/SigPhi-Med",),
            data=_VQA,
            generation={"do_sample": True, "temperature": 0.4, "max_new_tokens": 1024},
            scorer="sigphi",
            source="SigPhi-Med's run_eval2 and its VQA loader",
            published=("SigPhi-Med",),
            caveat=(
                "The published answers were sampled without a seed, so no run repeats them; here the seed of "
                "the run decides. The scorer takes every answer that contains the reference for right, and "
                'drops questions of the type "CLOSED ".'
            ),
        ),
        "med_moe": Recipe(
            models=(),
            data=_VQA,
            generation={**_GREEDY, "max_new_tokens": 2048},
            scorer="sigphi",
            source="Med-MoE's VQA loader and run_eval2",
            published=("Med-MoE 2.7B x 4", "Med-MoE 1.6B x 4"),
            caveat="Others did not reach the published numbers (Med-MoE's issues 13 and 15).",
        ),
        "llava_med": Recipe(
            models=(),
            data=_VQA,
            generation={"do_sample": True, "temperature": 0.7, "max_new_tokens": 1024},
            scorer="llava_med",
            source="LLaVA-Med v1.0's model_vqa_med and run_eval_batch",
            published=("LLaVA-Med 7B",),
            caveat=(
                "The published answers were sampled without a seed. Some come from a second pass that asks "
                "for the answer again, which is not repeated here. Which of three scripts scored them is not "
                "stated; run_eval_batch is the likeliest."
            ),
        ),
        "llava_med_v15": Recipe(
            models=("microsoft/llava-med-v1.5-mistral-7b",),
            data=_VQA,
            generation={**_GREEDY, "max_new_tokens": 1024},
            scorer="llava_med",
            source="LLaVA-Med v1.5's README",
            published=("LLaVA-Med v1.5",),
            caveat="The published zero-shot row is of another group, which does not state its decoding.",
        ),
        "llava_rad": Recipe(
            models=("microsoft/llava-rad",),
            data={"llava_rad": {"split": "test"}},
            generation={**_GREEDY, "max_new_tokens": 256},
            scorer="",
            source="LLaVA-Rad's evaluation script: rule-based findings of AP and PA views",
            caveat=(
                "The paper answers eight questions of equal length at once, which changes last digits. Its "
                "numbers are medians of 500 draws of reports that ignore which patient they are of."
            ),
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What a recipe settles, or nothing where none was chosen.

    Attributes:
        data: The options of the data set.
        generation: The settings of the answers.
        facts: For the manifest; None without a recipe.
    """

    data: Mapping[str, Any] = field(default_factory=dict)
    generation: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] | None = None


def chosen(
    name: str | None, dataset: str, *, data: Mapping[str, Any], generation: Mapping[str, Any]
) -> Chosen:
    """The settings of a recipe for a data set, beside those that were given.

    Args:
        name: Of `RECIPES`; None for no recipe.
        dataset: The name of the data set.
        data: Options of the data set that were given.
        generation: Settings of the answers that were given.

    Raises:
        UnknownName: There is no such recipe.
        OptionError: It is not for the data set, or something was given that it settles otherwise.

    >>> chosen("llava_rad", "llava_rad", data={}, generation={}).generation["max_new_tokens"]
    256
    """
    if name is None:
        return Chosen(data=data, generation=generation)
    if name not in RECIPES:
        raise UnknownName(f"There is no recipe called {name!r:.40}. Known: {', '.join(RECIPES)}.")
    recipe = RECIPES[name]
    if dataset not in recipe.data:
        raise OptionError(
            f"The recipe {name!r} is for {', '.join(recipe.data)}, and the data set is {dataset!r:.40}. "
            "Name one of these, or leave the recipe out."
        )
    _refuse_other("the data set", name, data, recipe.data[dataset])
    _refuse_other("the answers", name, generation, recipe.generation)
    return Chosen(
        data={**data, **recipe.data[dataset]}, generation=recipe.generation, facts=recipe.facts(name)
    )


def _refuse_other(what: str, name: str, given: Mapping[str, Any], settled: Mapping[str, Any]) -> None:
    """Refuse a setting that a recipe has another value of.

    Raises:
        OptionError: There is one.
    """
    for option, value in given.items():
        if option in settled and settled[option] != value:
            raise OptionError(
                f"The recipe {name!r} has {option}={settled[option]!r} for {what}, and {value!r:.40} was "
                "given. Leave that out, or the recipe."
            )
