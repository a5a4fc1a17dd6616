"""Where is the location lost? How much of each layer's evidence lies on a known place."""

from __future__ import annotations

import numpy as np

from groundviz.record.geometry import area_inside, area_shown
from groundviz.record.types import Bools, Doubles, Floats, Grid, Heatmaps, Target


def share_inside(values: Floats | Doubles, grid: Grid, mask: Bools) -> tuple[Doubles, float]:
    """The share of the mass of some maps that lies inside a mask, and the share that an even map would have.

    This is the metric "energy" of `groundviz.metrics`, of many maps at once: what a cell holds is spread
    evenly over it, and the part beyond the image does not count.

    Args:
        values: (..., rows, cols) without a value below zero; NaN where a cell holds none.
        grid: Where the cells sit.
        mask: bool (rows, cols) in pixels of the image that the maps lie on.

    Returns:
        float64 (...,) from 0 to 1, zero where a map is empty; and the mask's share of the area of the cells
        that hold a value in the first map.
    """
    inside, area = area_inside(grid, mask), area_shown(grid, (mask.shape[0], mask.shape[1]))
    amounts = np.nan_to_num(values.astype(np.float64))
    within, whole = (amounts * inside).sum(axis=(-2, -1)), (amounts * area).sum(axis=(-2, -1))
    shares = np.divide(within, whole, out=np.zeros_like(whole), where=whole > 0)
    held = np.isfinite(values.reshape(-1, grid.rows, grid.cols)[0])
    return shares, float(inside[held].sum() / area[held].sum())


def localization_curve(maps: Heatmaps, target: Target, mask: Bools) -> tuple[Floats, float]:
    """The share of each layer's map that lies inside a mask, and the share that chance would put there.

    Args:
        maps: With layers told apart and no value below zero, such as those of `stage_audit`, whose
            `params["sites"]` name the layers.
        target: One that was measured.
        mask: bool (rows, cols) in pixels of the image that the maps lie on.

    Returns:
        float32 (layer,) shares from 0 to 1, a cell half inside counting half; zero where a layer's
        map is empty. And the mask's share of the area of all cells: what an even map would give.

    Raises:
        TargetError: The target was not measured.

    >>> import groundviz
    >>> from groundviz.demo.phantoms import phantom
    >>> image = phantom(3, findings=["nodule"])
    >>> explanation = groundviz.explain(
    ...     "demo", image.pixels, "Where is the nodule?", methods="stage_audit"
    ... )
    >>> (maps,), target = explanation.record.heatmaps, explanation.record.target
    >>> curve, chance = localization_curve(maps, target, image.mask("nodule"))
    >>> maps.params["sites"][3], bool(curve[3] > 10 * chance)
    ('vision.3', True)
    """
    layers = np.stack([maps.at(target, layer=layer).values for layer in maps.layers])
    curve, chance = share_inside(layers, maps.grid, mask)
    return curve.astype(np.float32), chance
