"""Where is the location lost? How much of each layer's evidence lies on a known place."""

from __future__ import annotations

import numpy as np

from groundviz.record.geometry import cell_coverage
from groundviz.record.types import Bools, Floats, Heatmaps, Target


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
    coverage = cell_coverage(maps.grid, mask)
    layers = np.stack([maps.at(target, layer=layer).values for layer in maps.layers])
    held = np.isfinite(layers[0])
    parts = layers[:, held].astype(np.float64)
    inside, whole = parts @ coverage[held], parts.sum(axis=1)
    curve = np.divide(inside, whole, out=np.zeros_like(whole), where=whole > 0)
    return curve.astype(np.float32), float(coverage[held].mean())
