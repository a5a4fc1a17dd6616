"""Boxes that a model wrote, or that a second reader drew, against a reference.

>>> box_scores([[10, 10, 30, 30]], [[20, 10, 40, 30]], shape=(64, 64))["acc@0.3"]
1.0
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from groundviz.errors import OptionError
from groundviz.metrics.space import box_mask, corners, region
from groundviz.record.types import Doubles

# IoUs from which on a box counts as right.
ACCURATE = (0.3, 0.5)
# RadFact asks whether half of the predicted pixels lie in the reference, on a raster of this side.
ENTAILED, RASTER = 0.5, 224

# What each number of `box_scores` is, in words that stand in reports.
BOX_METRICS: Mapping[str, str] = MappingProxyType(
    {
        "box_iou": "exact IoU of the union of predicted boxes and that of reference boxes",
        "box_precision": "share of the predicted area that lies in the reference",
        "box_recall": "share of the reference that lies in predicted boxes",
        "acc@0.3": "whether box_iou is at least 0.3",
        "acc@0.5": "whether box_iou is at least 0.5",
        "radfact_spatial": f"whether at least {ENTAILED:g} of the predicted pixels lie in the reference, "
        f"on a raster of {RASTER} x {RASTER} (RadFact's spatial entailment)",
    }
)


def box_scores(
    predicted: npt.ArrayLike, reference: npt.ArrayLike, *, shape: tuple[int, int]
) -> dict[str, float]:
    """Predicted boxes against reference boxes, by the names of `BOX_METRICS`.

    Args:
        predicted: (box, 4) of half-open (left, top, right, bottom) in source pixels; none is a miss.
        reference: (box, 4) likewise.
        shape: Rows and columns of the source image.

    Returns:
        NaN everywhere where there is no reference; precision and entailment are NaN where nothing is
        predicted.

    Raises:
        OptionError: A box has no area or lies outside the image.

    >>> scores = box_scores([[0, 0, 2, 2]], [[0, 0, 2, 4]], shape=(4, 4))
    >>> scores["box_iou"], scores["box_precision"], scores["acc@0.5"]
    (0.5, 1.0, 1.0)
    """
    found, truth = _clipped(predicted, shape), _clipped(reference, shape)
    nan = float("nan")
    if not len(truth):
        return dict.fromkeys(BOX_METRICS, nan)
    inside, area, whole = _areas(found, truth)
    overlap = inside / (area + whole - inside)
    precision = entailed = nan
    if area > 0:
        precision = inside / area
        entailed = float(_raster_precision(found, truth, shape) >= ENTAILED)
    scores = {"box_iou": overlap, "box_precision": precision, "box_recall": inside / whole}
    scores |= {f"acc@{least:g}": float(overlap >= least) for least in ACCURATE}
    return {**scores, "radfact_spatial": entailed}


def reader_iou(first: npt.ArrayLike, second: npt.ArrayLike, *, shape: tuple[int, int] | None = None) -> float:
    """How far two readers agree on a place: IoU of their regions, pixel by pixel. A ceiling for any map.

    Args:
        first: bool (rows, cols), or boxes (box, 4); no box where the reader marked nothing.
        second: Likewise.
        shape: Rows and columns of the source image; needed for boxes.

    Returns:
        0 where one of them marked nothing, NaN where both did.

    Raises:
        OptionError: As for `groundviz.metrics.place`; or the masks differ in shape.

    >>> reader_iou([[0, 0, 2, 2]], [[1, 0, 3, 2]], shape=(4, 4))
    0.3333333333333333
    """
    one, other = region(first, shape) > 0, region(second, shape) > 0
    if one.shape != other.shape:
        raise OptionError(
            f"Two readers marked images of {one.shape} and {other.shape}. Give them in one frame."
        )
    either = int((one | other).sum())
    if not either:
        return float("nan")
    return int((one & other).sum()) / either


def _clipped(boxes: npt.ArrayLike, shape: tuple[int, int]) -> Doubles:
    array = corners(boxes)
    # It says what is wrong with a box.
    box_mask(array, shape)
    return np.clip(array, 0.0, [shape[1], shape[0], shape[1], shape[0]])


def _areas(found: Doubles, truth: Doubles) -> tuple[float, float, float]:
    """The exact areas of the intersection of two unions of boxes, and of each union."""
    every = np.concatenate([found, truth])
    xs, ys = np.unique(every[:, [0, 2]]), np.unique(every[:, [1, 3]])
    parts = np.outer(np.diff(ys), np.diff(xs))
    of_found, of_truth = _covered(found, xs, ys), _covered(truth, xs, ys)
    return (
        float(parts[of_found & of_truth].sum()),
        float(parts[of_found].sum()),
        float(parts[of_truth].sum()),
    )


def _covered(boxes: Doubles, xs: Doubles, ys: Doubles) -> npt.NDArray[np.bool_]:
    """Which parts between the edges of all boxes some boxes cover."""
    covered = np.zeros((len(ys) - 1, len(xs) - 1), dtype=bool)
    for left, top, right, bottom in boxes:
        rows = (ys[:-1] >= top) & (ys[1:] <= bottom)
        cols = (xs[:-1] >= left) & (xs[1:] <= right)
        covered |= rows[:, None] & cols
    return covered


def _raster_precision(found: Doubles, truth: Doubles, shape: tuple[int, int]) -> float:
    scale = RASTER / np.array([shape[1], shape[0], shape[1], shape[0]])
    predicted = box_mask(found * scale, (RASTER, RASTER))
    return float(box_mask(truth * scale, (RASTER, RASTER))[predicted].mean())
