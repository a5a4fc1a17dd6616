"""Standard errors of maps, in words: how far off their cells may be by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from groundviz.record.types import Heatmap, Heatmaps

# Beyond so many times the largest value, an error is not given in per cent.
_MOST_TIMES = 10


def uncertainty(heatmap: Heatmap, maps: Heatmaps | None = None) -> str:
    """The standard error of a map's cells, relative to its largest value; empty where there is none.

    Both the worst cell and the median are given: the first bounds what can be believed of a single cell,
    the second tells whether that cell is alone.

    Args:
        heatmap: The map.
        maps: What it was taken from, so that it is told where these have errors and a map put together
            from several of them has none that is known.
    """
    if heatmap.standard_error is None:
        if maps is not None and maps.standard_error is not None:
            return "standard error not known for this combination"
        return ""
    errors = heatmap.standard_error[np.isfinite(heatmap.values)].astype(np.float64)
    known = errors[np.isfinite(errors)]
    if not known.size:
        return "standard error not known"
    most = _of_largest(heatmap, float(known.max()))
    median = _of_largest(heatmap, float(np.median(known)))
    # An error of many times the map needs no second number.
    if most > _MOST_TIMES:
        text = f"standard error {_at_most(most)} the largest value"
    else:
        text = f"standard error {_at_most(most)} of the largest value, {_about(median)} in the median cell"
    unknown = errors.size - known.size
    if unknown:
        text += f", not known in {unknown} of {errors.size} cells"
    return text


def uncertainties(heatmaps: Sequence[Heatmap]) -> str:
    """The standard errors of maps side by side, in one line about the worst; empty where none is known."""
    if len(heatmaps) == 1:
        return uncertainty(heatmaps[0])
    sampled = 0
    worst: list[float] = []
    for heatmap in heatmaps:
        error = heatmap.standard_error
        if error is None:
            continue
        sampled += 1
        if np.isfinite(error).any():
            worst.append(_of_largest(heatmap, float(np.nanmax(error))))
    if not worst:
        return "standard errors not known" if sampled else ""
    most = max(worst)
    # "more than 10 times a map's largest value", but "at most 5% of" it.
    text = f"standard errors {_at_most(most)} "
    if most <= _MOST_TIMES:
        text += "of "
    text += "a map's largest value"
    if len(worst) < len(heatmaps):
        text += f", known of {len(worst)} of {len(heatmaps)} maps"
    return text


def _of_largest(heatmap: Heatmap, error: float) -> float:
    """An error as a share of the map's largest value; of a map of zeros, any error is infinitely large."""
    largest = float(np.nanmax(np.abs(heatmap.values), initial=0.0))
    if largest > 0.0:
        return error / largest
    return math.inf if error else 0.0


def _at_most(share: float) -> str:
    if share > _MOST_TIMES:
        return f"more than {_MOST_TIMES} times"
    if share < 0.01:
        return "below 1%"
    # Rounded first, for 0.07 * 100 is a little more than 7.
    return f"at most {math.ceil(round(100 * share, 3))}%"


def _about(share: float) -> str:
    return "below 1%" if share < 0.01 else f"{100 * share:.0f}%"
