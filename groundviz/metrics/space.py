"""A map and a reference brought together in one evaluation space, frozen and named."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from groundviz.errors import OptionError
from groundviz.metrics.maps.view import best_iou
from groundviz.metrics.toolkit.cells import EMPTY, NOT_FINITE, UNSEEN, Cells
from groundviz.record.geometry import apply, area_inside, area_shown, held_cells, squeezed, to_source_pixels
from groundviz.record.types import Bools, Doubles, Floats, Grid, Heatmap

# What each evaluation space is, in words that stand in reports.
SPACES = {
    "grid": "the map as it is, on its own cells; the reference as the share of each cell that it covers",
    "image": "the map read at every pixel of the image, bilinear between the centres of cells "
    "(align_corners=False); the reference as its pixels",
}
Space = Literal["grid", "image"]
Maps = Heatmap | Sequence[Heatmap] | npt.ArrayLike
# In pixels: areas of sides that are no thinner do not vanish in rounding.
THINNEST = 1e-9
# A mask, or a density, in pixels of the source image.
Reference = Bools | Doubles


@dataclass(frozen=True, kw_only=True, eq=False)
class _Layer:
    """A map on a grid, and a reference; `held` are the cells that hold a value by the grid's own account."""

    values: Floats
    grid: Grid
    held: Bools
    mask: Reference

    @cached_property
    def area(self) -> Doubles:
        """(rows, cols) the area of each cell that shows the image."""
        return area_shown(self.grid, (self.mask.shape[0], self.mask.shape[1]))

    @cached_property
    def inside(self) -> Doubles:
        """(rows, cols) the area of each cell that the reference covers."""
        return area_inside(self.grid, self.mask)


def place(
    maps: Maps,
    reference: npt.ArrayLike,
    *,
    shape: tuple[int, int] | None = None,
    space: Space = "grid",
    density: bool = False,
) -> Cells:
    """The cells that every metric sees: a map and a reference in one evaluation space.

    Args:
        maps: A heatmap; several of one image, such as tiles and an overview, in image space alone; or an
            array (rows, cols) that covers the whole image evenly, NaN where the model did not look; NaN
            everywhere is a map without values.
        reference: bool (rows, cols), in pixels of the source image; or boxes, float (box, 4) of half-open
            (left, top, right, bottom) in these pixels, whose union counts; or, for a density, float (rows,
            cols) of non-negative numbers.
        shape: Rows and columns of the source image; needed for boxes.
        space: "grid": cells as they are, the reference as the share of each that it covers. "image": pixels.
        density: Whether the reference is a density, such as a gaze map.

    Several maps are added up in units of the smallest cell: what a cell holds is spread evenly over it.
    Pixels that no map shows are outside the view.

    Raises:
        OptionError: Reference and image do not fit, no such space, or several maps in grid space.

    >>> heat = np.array([[0.0, 3.0], [0.0, 1.0]])
    >>> cells = place(heat, np.array([[2.0, 0.0, 4.0, 1.0]]), shape=(4, 4))
    >>> cells.inside.tolist(), cells.area.tolist()
    ([0.0, 0.5, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0])
    """
    if space not in SPACES:
        raise OptionError(f"There is no evaluation space {space!r}. Known: {', '.join(SPACES)}.")
    mask = region(reference, shape, density=density)
    layers = _layers(maps, mask)
    broken = any(_is_broken(layer) for layer in layers)
    if broken:
        # Such a map is scored by expectation, over all that it should have shown.
        layers = [replace(layer, values=np.full_like(layer.values, np.nan)) for layer in layers]
    if space == "grid" and len(layers) > 1:
        raise OptionError(
            f"Grid space is that of one grid, and there are {len(layers)} maps. "
            'Name one of them, or score them together with space="image".'
        )
    if space == "grid":
        cells = _on_grid(layers[0], density=density)
    else:
        cells = _on_image(layers, mask, density=density)
    if broken:
        cells = cells.broken(NOT_FINITE)
    return _about_the_reference(cells, layers, mask)


def region(reference: npt.ArrayLike, shape: tuple[int, int] | None, *, density: bool = False) -> Reference:
    """A reference as bool (rows, cols), or the density itself as float64.

    Boxes are drawn with their borders rounded outwards, so that a thin box never vanishes.

    Raises:
        OptionError: It is neither mask nor boxes, a box is empty or outside the image, or the shape differs.
    """
    if shape is not None:
        shape = image_shape(shape)
    array = _table(reference, float if density else None)
    if array.dtype == bool or density:
        if array.ndim != 2 or (shape is not None and array.shape != shape):
            raise OptionError(
                f"A reference of shape {array.shape} does not fit an image of shape {shape}: expected one "
                "value for each pixel of the source image."
            )
        if not density:
            return array
        if not (np.isfinite(array).all() and (array >= 0).all()):
            raise OptionError("A density must be finite and not below 0. Found others: check the gaze map.")
        return array
    boxes = corners(array)
    if shape is None:
        raise OptionError("Boxes need the shape of the source image. Give shape=(rows, columns).")
    return box_mask(boxes, shape)


def image_shape(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of an image.

    Raises:
        OptionError: They are no two whole numbers from 1 on.

    >>> image_shape(np.zeros((2, 3)).shape)
    (2, 3)
    """
    try:
        rows, cols = map(operator.index, shape)
    except (TypeError, ValueError):
        rows = cols = 0
    if rows < 1 or cols < 1:
        raise OptionError(
            f"The shape of the source image is {shape!r}: expected its rows and columns, as in "
            "pixels.shape[:2]."
        )
    return rows, cols


def corners(boxes: npt.ArrayLike) -> Doubles:
    """Boxes as float64 (box, 4).

    Raises:
        OptionError: They are no numbers, or other than four for each.
    """
    array = _table(boxes, None)
    if array.size == 0:
        array = array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise OptionError(
            f"A reference of shape {array.shape} and type {array.dtype} is neither a mask nor boxes: "
            "expected bool (rows, cols), or boxes (box, 4) of (left, top, right, bottom)."
        )
    return _table(array, float)


def _table(numbers: npt.ArrayLike, kind: type[float] | None) -> npt.NDArray[Any]:
    try:
        return np.asarray(numbers, dtype=kind)
    except (TypeError, ValueError):
        raise OptionError(
            "A reference is no table of numbers: its rows have different lengths, or it holds something "
            "else. Expected bool (rows, cols), or boxes (box, 4) of (left, top, right, bottom)."
        ) from None


def box_mask(boxes: npt.ArrayLike, shape: tuple[int, int]) -> Bools:
    """The union of boxes, bool (rows, cols) of `shape`, borders rounded outwards.

    Args:
        boxes: (box, 4) of half-open (left, top, right, bottom) in pixels.
        shape: Rows and columns of the image.

    Raises:
        OptionError: A box has no area, is not finite, or lies outside the image; or these are no boxes.

    >>> box_mask([[1.2, 0, 1.4, 2]], (2, 3)).astype(int).tolist()
    [[0, 1, 0], [0, 1, 0]]
    """
    shape = image_shape(shape)
    mask = np.zeros(shape, dtype=bool)
    for left, top, right, bottom in corners(boxes):
        sides = right - left, bottom - top
        if not (np.isfinite([left, top, right, bottom]).all() and min(sides) > THINNEST):
            raise OptionError(
                f"The box ({left:g}, {top:g}, {right:g}, {bottom:g}) has no area: expected "
                "(left, top, right, bottom), and no widths or heights."
            )
        if min(right, bottom, shape[1] - left, shape[0] - top) <= THINNEST:
            raise OptionError(
                f"The box ({left:g}, {top:g}, {right:g}, {bottom:g}) lies outside an image of {shape[0]} "
                f"rows and {shape[1]} columns. Check that it is in pixels of this image."
            )
        rows = slice(max(int(np.floor(top)), 0), int(np.ceil(bottom)))
        mask[rows, max(int(np.floor(left)), 0) : int(np.ceil(right))] = True
    return mask


def _layers(maps: Maps, mask: Reference) -> list[_Layer]:
    if isinstance(maps, Heatmap):
        maps = [maps]
    if isinstance(maps, Sequence) and maps and all(isinstance(one, Heatmap) for one in maps):
        heatmaps = [one for one in maps if isinstance(one, Heatmap)]
        images = {one.grid.image for one in heatmaps}
        if len(images) > 1:
            raise OptionError(
                f"The maps lie on {len(images)} images, and a reference lies on one. Name the maps of one."
            )
        return [_layer_of(one, mask) for one in heatmaps]
    values = np.asarray(maps)
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.number) or not values.size:
        raise OptionError(
            f"A map must be a heatmap, several of one image, or numbers (rows, cols): found shape "
            f"{values.shape} of type {values.dtype}."
        )
    grid = squeezed((values.shape[0], values.shape[1]), (mask.shape[0], mask.shape[1]))
    # Of an array alone nobody knows which cells should hold a value: NaN is outside the view, unless all is.
    held = ~np.isnan(values)
    return [_Layer(values=values, grid=grid, held=held if held.any() else ~held, mask=mask)]


def _layer_of(heatmap: Heatmap, mask: Reference) -> _Layer:
    held = held_cells(heatmap.grid).reshape(heatmap.values.shape) & heatmap.grid.valid
    return _Layer(values=heatmap.values, grid=heatmap.grid, held=held, mask=mask)


def _is_broken(layer: _Layer) -> bool:
    """Whether some of the cells that should hold a value hold no finite one, but not all."""
    finite = np.isfinite(layer.values[layer.held])
    return bool(np.isinf(layer.values[layer.held]).any() or (finite.any() and not finite.all()))


def _on_grid(layer: _Layer, *, density: bool) -> Cells:
    area, inside = layer.area * layer.held, layer.inside * layer.held
    if not density:
        # Both are computed, and a cell that is covered whole may come out a last digit apart.
        inside = np.minimum(inside, area)
    return Cells.of(
        _finite_or_nan(layer),
        inside,
        np.clip(area, 0.0, 1.0),
        centres=_at_centres(layer.grid, layer.mask),
        density=density,
    )


def _finite_or_nan(layer: _Layer) -> npt.NDArray[np.floating]:
    """The values of the cells that hold one; a map that is broken is flagged by `place`."""
    return np.where(layer.held, layer.values, np.nan).astype(np.result_type(layer.values, np.float32))


def _at_centres(grid: Grid, mask: Reference) -> Doubles:
    """The mask at the centre of each cell; 0 where that lies outside the image."""
    rows, cols = np.meshgrid(np.arange(grid.rows) + 0.5, np.arange(grid.cols) + 0.5, indexing="ij")
    # A centre on a border of pixels belongs to the pixel that begins there, whatever the last digit.
    at = np.floor(apply(grid.to_source, np.stack([rows, cols], axis=-1)) + 1e-9).astype(int)
    inside = ((at >= 0) & (at < mask.shape)).all(axis=-1)
    row, col = at[..., 0].clip(0, mask.shape[0] - 1), at[..., 1].clip(0, mask.shape[1] - 1)
    return np.asarray(mask[row, col] * inside)


def _on_image(layers: list[_Layer], mask: Reference, *, density: bool) -> Cells:
    finest = min(_cell_area(layer.grid) for layer in layers)
    total, seen = np.zeros(mask.shape), np.zeros(mask.shape, dtype=bool)
    for layer in layers:
        values = np.asarray(_finite_or_nan(layer))
        pixels = to_source_pixels(values, layer.grid, (mask.shape[0], mask.shape[1]), smooth=True)
        shown = np.isfinite(pixels)
        total[shown] += pixels[shown] * (finest / _cell_area(layer.grid))
        seen |= shown
    if not seen.any():
        # Maps without a value are scored by expectation, over what they would show.
        seen = np.any([_shown(layer.grid, layer.held, mask.shape) for layer in layers], axis=0)
        return Cells.of(np.full(mask.shape, np.nan, np.float32), mask * seen, seen, density=density)
    values = np.where(seen, total, np.nan).astype(np.float32)
    return Cells.of(values, mask * seen, seen, density=density)


def _cell_area(grid: Grid) -> float:
    return float(abs(grid.to_source[0, 0] * grid.to_source[1, 1]))


def _shown(grid: Grid, held: Bools, shape: tuple[int, int]) -> Bools:
    """Which pixels cells that hold a value show."""
    marked = np.where(held, 1.0, np.nan).astype(np.float32)
    return np.isfinite(to_source_pixels(marked, grid, shape))


def _about_the_reference(cells: Cells, layers: list[_Layer], mask: Reference) -> Cells:
    """The cells, and what is known of the reference without any map."""
    whole = float(mask.sum())
    if not whole > 0:
        return replace(cells, flag=cells.flag or EMPTY)
    finest = min(_cell_area(layer.grid) for layer in layers)
    parts = [layer for layer in layers if _cell_area(layer.grid) <= finest * (1 + 1e-9)]
    inside = np.concatenate([one.inside[one.held] for one in parts])
    area = np.concatenate([one.area[one.held] for one in parts])
    shows = area > 0
    seen = float(inside.sum()) * finest
    if len(layers) > 1:
        # Tiles may overlap, and a pixel that two of them show is seen once.
        seen = float(mask[np.any([_shown(one.grid, one.held, mask.shape) for one in layers], axis=0)].sum())
    flag = cells.flag
    if not flag and not cells.inside.any():
        flag = UNSEEN
    return replace(
        cells,
        flag=flag,
        # Areas are computed: what is seen whole may come out a last digit off.
        outside=max(round(1 - seen / whole, 12), 0.0),
        ceiling=best_iou(inside[shows], area[shows]),
    )
