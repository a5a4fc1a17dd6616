"""What a browser may change in a live viewer: a few traits, and only to values that they can hold.

Whoever can open a notebook's page can send its kernel anything: a state update for any trait, whether the
viewer has a control for it or not, and messages of any shape. What is not listed here is not believed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from groundviz.record.types import Record
from groundviz.render.base.colour import COLOURS

Rule = Callable[[Any], bool]

# As many as the viewer has panes; of boxes it draws one.
_MOST_PANES, _MOST_BOXES, _MOST_ZOOM = 8, 16, 24.0
_LONGEST_NAME = 200
# A window's width, in widths of the window that was read; its centre lies no further off than the widest.
NARROWEST, WIDEST = 1e-5, 1e5
NORMS = ("root", "linear", "log", "each", "mass")
TOOLS = ("pan", "window", "box")


def is_name(value: Any) -> bool:
    """Whether this can be the name of a method."""
    return isinstance(value, str) and len(value) <= _LONGEST_NAME


def whole(value: Any, low: int, high: int) -> bool:
    """Whether this is a whole number from `low` to `high`; true and false are none."""
    return type(value) is int and low <= value <= high


def acceptable(record: Record, known: int) -> dict[str, Rule]:
    """For each trait that is meant for the browser, whether it can hold a value.

    Args:
        record: What is shown.
        known: How many outlines are known from elsewhere.

    >>> import groundviz, numpy as np
    >>> explanation = groundviz.explain("demo", np.zeros((112, 112), np.uint8), "Is there a nodule?")
    >>> can_hold = acceptable(explanation.record, 0)
    >>> can_hold["opacity"](0.5), can_hold["opacity"](7), "_pack" in can_hold
    (True, False, False)
    """
    methods = {maps.method for maps in record.heatmaps}
    tokens = {*range(len(record.answer.tokens)), *record.prompt.asked}
    layers = {-1}.union(*(maps.layers for maps in record.heatmaps))
    heads = max((maps.values.shape[2] for maps in record.heatmaps), default=1)
    images = len(record.source_images)
    return {
        "selected": lambda value: _each(value, len(tokens), lambda one: _token(one, tokens)),
        "part": lambda value: whole(value, 0, len(tokens) + len(record.targets)),
        "method": lambda value: is_name(value) and value in methods,
        "compare": lambda value: _each(value, len(methods), lambda one: is_name(one) and one in methods),
        "difference": _truth,
        "pins": lambda value: _each(
            value, _MOST_PANES, lambda pin: _each(pin, len(tokens), lambda one: _token(one, tokens))
        ),
        "rois": lambda value: _each(value, _MOST_BOXES, lambda box: _box(box, record)),
        "hovered_patch": lambda value: value == [] or _cell(value, record),
        "image": lambda value: whole(value, -1, images - 1),
        "slices": lambda value: _each(value, images, lambda one: whole(one, 0, images - 1)),
        "tile": lambda value: whole(value, -1, len(record.heatmaps)),
        "layer": lambda value: type(value) is int and value in layers,
        "head": lambda value: whole(value, -1, heads - 1),
        "norm": lambda value: isinstance(value, str) and value in NORMS,
        "sinks": _truth,
        "smooth": _truth,
        "fill": _truth,
        "contour": _truth,
        "opacity": lambda value: _number(value, 0.0, 1.0),
        "threshold": lambda value: _number(value, 0.0, 1.0),
        "cmap": lambda value: isinstance(value, str) and (value == "" or value in COLOURS),
        "window": lambda value: _number(value, NARROWEST, WIDEST),
        "level": lambda value: _number(value, -WIDEST, WIDEST),
        "invert": _truth,
        "view": _view,
        "tool": lambda value: isinstance(value, str) and value in TOOLS,
        "known": lambda value: whole(value, -1, known - 1),
    }


def _each(value: Any, most: int, rule: Rule) -> bool:
    return isinstance(value, list) and len(value) <= most and all(map(rule, value))


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


def _number(value: Any, low: float, high: float) -> bool:
    """Whether this is a number from `low` to `high`, which NaN never is."""
    return type(value) in (int, float) and low <= value <= high


def _token(value: Any, tokens: set[int]) -> bool:
    return type(value) is int and value in tokens


def _box(value: Any, record: Record) -> bool:
    if not isinstance(value, dict) or value.keys() != {"image", "x0", "y0", "x1", "y1"}:
        return False
    if not whole(value["image"], 0, len(record.source_images) - 1):
        return False
    rows, cols = record.source_images[value["image"]].shape
    across = _number(value["x0"], 0, cols) and _number(value["x1"], 0, cols)
    return across and _number(value["y0"], 0, rows) and _number(value["y1"], 0, rows)


def _cell(value: Any, record: Record) -> bool:
    if not _each(value, 3, lambda one: type(one) is int) or len(value) != 3:
        return False
    image, row, col = value
    grids = [maps.grid for maps in record.heatmaps if maps.grid.image == image]
    return any(0 <= row < grid.rows and 0 <= col < grid.cols for grid in grids)


def _view(value: Any) -> bool:
    """The centre as shares of the image, and the zoom."""
    if not _each(value, 3, lambda one: _number(one, 0.0, _MOST_ZOOM)) or len(value) != 3:
        return False
    across, down, zoom = value
    return bool(across <= 1.0 and down <= 1.0 and zoom >= 1.0)
