"""Images that models of the LLaVA-NeXT kind see twice: as one overview tile, and cut into many tiles.

::

    image ── squeezed ──────────────────> tile 0: the overview
      └───── resized, padded, cut up ───> tiles 1, 2, ... n: side by side, a mosaic

The vision tower sees one tile after another. The language model sees the overview, then the mosaic row by
row. The rows and columns of the mosaic that are only padding are removed. It may be reduced to fewer cells
than there are patches. A newline token, which is no cell, follows each row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers.image_processing_utils import get_patch_output_size, select_best_resolution
from transformers.image_utils import ChannelDimension
from transformers.models.llava_next.modeling_llava_next import unpad_image

from groundviz.models.adapter.grids import with_tokens
from groundviz.models.adapter.image_geometry import Size, blank
from groundviz.models.adapter.mismatch import check_belonging
from groundviz.models.adapter.tile_layout import COLOURS, join_tiles, tile_pixels
from groundviz.models.adapter.tiling import Tiling, tiling_of
from groundviz.models.prompting.encode import Asked
from groundviz.record.geometry import other_cells, pixel_grid, scale_shift, squeezed
from groundviz.record.types import Bools, Grid, Ints, Stage
from groundviz.runtime.inputs.encoded import PIXELS, Cells


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """The pixels of an image as it is shown: its overview and its mosaic of tiles."""

    shape: Size
    overview: Grid
    mosaic: Grid

    def tile_counts(self, side: int) -> Size:
        """Rows and columns of tiles in the mosaic, `side` pixels along a side of each."""
        return self.mosaic.rows // side, self.mosaic.cols // side


def tiled_cells(vlm: Any, asked: Asked, shapes: Sequence[Size], **options: Any) -> dict[str, Cells]:
    """The cells of each image's overview and mosaic at every stage.

    Args:
        vlm: The model with its processor.
        asked: The prompt.
        shapes: Rows and columns of each source image.
        options: Further arguments of the model's own `pack_image_features`.

    Raises:
        UnsupportedModel: Model and processor do not belong together.
    """
    tiling = tiling_of(vlm)
    tokens = asked.where(vlm.model.config.image_token_id)
    resolutions = vlm.processor.image_processor.image_grid_pinpoints
    views = [_view(tiling, shape, number, resolutions) for number, shape in enumerate(shapes)]
    wholes, patches = [], []
    for view in views:
        for whole in (view.overview, view.mosaic):
            wholes.append(whole)
            patches.append(_patches(tiling, whole, view.shape, "vision"))
    pack = partial(vlm.model.model.pack_image_features, **options)
    grids, held = _packed(tiling, views, pack)
    check_belonging(
        len(held) == len(tokens),
        f"The prompt holds {len(tokens)} image tokens, and the model makes {len(held)} of the images.",
    )
    tokens = tokens[held]
    projected = [replace(grid, stage="projector") for grid in patches]
    slots = asked.inputs[PIXELS].shape[1]
    return {
        "pixels": Cells(grids=tuple(wholes), index=_pixel_index(views, tiling.side, slots)),
        "vision": Cells(grids=tuple(patches), index=_patch_index(views, tiling, tiling.class_tokens)),
        "projector": Cells(grids=tuple(projected), index=_patch_index(views, tiling, 0)),
        "language": Cells(grids=with_tokens(grids, tokens), index=tokens),
    }


def _view(tiling: Tiling, shape: Size, number: int, resolutions: Any) -> _View:
    """How an image is shown."""
    side = tiling.side
    canvas = select_best_resolution(shape, resolutions)
    rows, cols = get_patch_output_size(blank(shape), canvas, input_data_format=ChannelDimension.FIRST)
    scale = (shape[0] / rows, shape[1] / cols)
    # The resized image is in the middle of the canvas.
    padding = ((canvas[0] - rows) // 2, (canvas[1] - cols) // 2)
    to_source = scale_shift(scale, (-padding[0] * scale[0], -padding[1] * scale[1]))
    return _View(
        shape=shape,
        overview=squeezed((side, side), shape, image=number, label="overview"),
        mosaic=pixel_grid(tuple(canvas), to_source, shape, image=number, label="tiles"),
    )


def _patches(tiling: Tiling, whole: Grid, shape: Size, stage: Stage) -> Grid:
    """All patches of one tile, or of a mosaic of several.

    Patches may leave a rim of each tile unseen. In a mosaic they are then not evenly spaced, and the grid
    is the evenly spaced one whose cells are nowhere further off than half the rim.
    """
    rows = whole.rows // tiling.side * tiling.across
    cols = whole.cols // tiling.side * tiling.across
    pitch, rim = float(tiling.patch), 0.0
    if (whole.rows, whole.cols) != (tiling.side, tiling.side):
        pitch = tiling.side / tiling.across
        rim = (tiling.side - tiling.across * tiling.patch) / 2
    return other_cells(whole, (rows, cols), scale_shift((pitch, pitch), (-rim, -rim)), shape, stage)


def _packed(tiling: Tiling, views: Sequence[_View], pack: Callable[..., Any]) -> tuple[list[Grid], Bools]:
    """The cells that the language model sees, and which of all image tokens stand for a cell.

    The model's own packing runs on features that are all zero, and puts ones in as newlines: a token that is
    zero stands for a cell.
    """
    per_tile = tiling.across**2
    features = []
    for view in views:
        down, across = view.tile_counts(tiling.side)
        features.append(torch.zeros(1 + down * across, per_tile, 1))
    shapes = torch.tensor([view.shape for view in views])
    packed, _ = pack(features, shapes, image_newline=torch.ones(1))
    held, grids = [], []
    for view, tokens in zip(views, packed, strict=True):
        is_cell = np.asarray(tokens[:, 0] == 0)
        # Each row of the mosaic ends in one newline.
        rows = int((~is_cell).sum())
        cols = int(is_cell[per_tile:].sum()) // rows
        overview = _patches(tiling, view.overview, view.shape, "language")
        mosaic = _patches(tiling, view.mosaic, view.shape, "language")
        grids += [overview, _without_padding(mosaic, (rows, cols), view.shape)]
        held.append(is_cell)
    return grids, np.concatenate(held)


def _without_padding(patches: Grid, size: Size, shape: Size) -> Grid:
    """The part of a mosaic that shows the image, divided into `size` rows and columns of cells."""
    numbers = torch.arange(patches.rows * patches.cols).reshape(1, patches.rows, patches.cols)
    kept = unpad_image(numbers, shape)[0]
    top, left = divmod(int(kept[0, 0]), patches.cols)
    scale = kept.shape[0] / size[0], kept.shape[1] / size[1]
    to_patches = scale_shift(scale, (float(top), float(left)))
    return other_cells(patches, size, to_patches, shape, "language")


def _pixel_index(views: Sequence[_View], side: int, slots: int) -> Ints:
    """Positions of the pixels' numbers in pixel values (image, tile, colour, row, col).

    Args:
        views: Of each image.
        side: Rows and columns of a tile, in pixels.
        slots: How many tiles there is room for in each image.
    """
    stacks = tile_pixels(slots * len(views), side).reshape(-1, slots, side, side, COLOURS)
    return _in_view_order(stacks, views, side)[None]


def _patch_index(views: Sequence[_View], tiling: Tiling, before: int) -> Ints:
    """Positions of the patches among the tokens of all tiles; `before` tokens precede those of each tile."""
    counts = []
    for view in views:
        down, across = view.tile_counts(tiling.side)
        counts.append(1 + down * across)
    length = before + tiling.across**2
    positions = np.arange(sum(counts) * length).reshape(-1, length)[:, before:]
    tiles = positions.reshape(-1, tiling.across, tiling.across)
    return _in_view_order(np.split(tiles, np.cumsum(counts)[:-1]), views, tiling.side)


def _in_view_order(stacks: Iterable[Ints], views: Sequence[_View], side: int) -> Ints:
    """Numbers of tiles (tile, row, col, ...) as cells: each image's overview, then its mosaic row by row."""
    ordered = []
    for tiles, view in zip(stacks, views, strict=True):
        ordered.append(tiles[0].reshape(-1, *tiles.shape[3:]))
        ordered.append(join_tiles(tiles[1:], *view.tile_counts(side)))
    return np.concatenate(ordered)
