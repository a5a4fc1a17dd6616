"""What an attribution method is: a function from a lent model and its answer to raw heatmaps."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from groundviz.errors import NumericalError, UnknownName, UnsupportedMethod
from groundviz.registry import Registry
from groundviz.runtime import Live
from groundviz.types import Answer, Floats, Grid, Heatmaps, Prompt, Reduction, Target

Recipes = Mapping[str, Mapping[str, Any]]


# (live, prompt, answer, targets, **options) -> one `Heatmaps` per image grid; options are keyword-only
# and have defaults. Registered by decorator, one file each.
Method = Callable[..., list[Heatmaps]]

METHODS: Registry[Method] = Registry("method", "groundviz.methods")


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
    return {name: {**_options(name), **_known(name, wanted[name])} for name in wanted}


def measure(
    recipes: Recipes, live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...]
) -> tuple[Heatmaps, ...]:
    """All maps of several methods, in their order.

    Ctrl-C ends the work early: what was measured until then is returned, with a warning.

    Raises:
        UnsupportedMethod: A method cannot do this model or these targets.
        NumericalError: A map holds NaN or infinity where it should hold a number.
        KeyboardInterrupt: Nothing was measured before the interruption.
    """
    maps: list[Heatmaps] = []
    for name, options in recipes.items():
        try:
            found = METHODS[name](live, prompt, answer, targets, **options)
        except KeyboardInterrupt:
            if not maps:
                raise
            warnings.warn(f"Interrupted during {name}: its maps are missing.", RuntimeWarning, stacklevel=3)
            break
        maps += [_signed_off(name, options, one) for one in found]
        if live.interrupted:
            break
    return tuple(maps)


def each_token(answer: Answer) -> tuple[Target, ...]:
    """Every token of an answer as a target of its own."""
    return tuple(Target(tokens=(index,), text=text) for index, text in enumerate(answer.tokens))


def each_token_and(answer: Answer, targets: Iterable[Target]) -> tuple[Target, ...]:
    """Every token, and the contrasts among `targets`, which tokens do not add up to."""
    return (*each_token(answer), *(target for target in targets if target.rival))


def refuse_contrasts(method: str, targets: Iterable[Target]) -> None:
    """Stop a method that measures no scalar.

    Raises:
        UnsupportedMethod: One of the targets is a contrast.
    """
    for target in targets:
        if target.rival:
            raise UnsupportedMethod(
                f"{method} cannot show {target.text!r}: it has no scalar whose difference could be taken. "
                "Use gradient_attention, occlusion or another method that explains a contrast."
            )


def laid_out(
    values: Any,
    grids: Sequence[Grid],
    targets: Sequence[Target],
    *,
    unit: str,
    signed: bool = False,
    reduce: tuple[Reduction, Reduction, Reduction] = ("sum", "mean", "mean"),
    layers: Sequence[int] = (),
    params: Mapping[str, Any] | None = None,
) -> list[Heatmaps]:
    """Lay out what was measured for every target and cell, and perhaps every layer and head.

    Args:
        values: (target, layer, head, cell), or (target, cell); cells in the order of the grids.
            A cell without a token has none here, unless a grid has no tokens at all (pixels).
        grids: Where the cells sit.
        targets: What each entry of the first axis is about.
        unit: What a value counts.
        signed: Whether values below zero mean "against".
        reduce: How targets (token by token), layers and heads combine into one map.
        layers: Which layer each entry of the second axis is; empty when they are not told apart.
        params: What the method chose for itself; its options are added to it.

    Returns:
        One `Heatmaps` per grid, NaN where a cell has no token.
    """
    array = np.asarray(values, dtype=np.float32)
    array = array[:, None, None] if array.ndim == 2 else array
    parts = np.split(array, np.cumsum([_held(grid).sum() for grid in grids])[:-1], axis=-1)
    return [
        Heatmaps(
            values=_on_grid(part, grid),
            targets=tuple(targets),
            layers=tuple(layers),
            reduce=reduce,
            method="",
            unit=unit,
            signed=signed,
            grid=grid,
            params=params or {},
        )
        for part, grid in zip(parts, grids, strict=True)
    ]


def _held(grid: Grid) -> Any:
    """Which cells hold a value: those with a token, or all where there are no tokens."""
    tokens = grid.positions >= 0
    return tokens if tokens.any() else np.ones_like(tokens)


def _on_grid(part: Floats, grid: Grid) -> Floats:
    laid = np.full((*part.shape[:-1], grid.rows * grid.cols), np.nan, dtype=np.float32)
    laid[..., _held(grid)] = part
    return laid.reshape(*part.shape[:-1], grid.rows, grid.cols)


def _signed_off(name: str, options: Mapping[str, Any], maps: Heatmaps) -> Heatmaps:
    held = _held(maps.grid).reshape(maps.grid.rows, maps.grid.cols)
    if not np.isfinite(maps.values[..., held]).all():
        raise NumericalError(
            f"{name} produced NaN or infinity: at least one cell has no number. "
            "Load the model in bfloat16 or float32, or use another method."
        )
    return replace(maps, method=name, params={**options, **maps.params})


def _options(name: str) -> dict[str, Any]:
    parameters = inspect.signature(METHODS[name]).parameters.values()
    return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}


def _known(name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    known = _options(name)
    for option in given:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise UnknownName(f"{name} has no option {option!r}: it has {listed}. Name one of these.")
    return given
