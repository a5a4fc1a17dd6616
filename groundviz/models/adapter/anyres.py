"""Images that models of the LLaVA-NeXT kind are shown twice: squeezed to one tile, and cut into many.

::

    image ── squeezed ──────────────────> tile 0: the overview
      └───── resized, padded, cut up ───> tiles 1, 2, ... n: side by side, a mosaic

The tower sees tiles, one after another. The language model sees the overview, then the mosaic
row by row, without the rows or columns that are nothing but padding, perhaps with fewer cells than
there are patches, and with a token behind each row that says where it ends: no cell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers.image_processing_utils import get_patch_output_size, select_best_resolution
from transformers.image_utils import ChannelDimension
from transformers.models.llava_next.modeling_llava_next import unpad_image

from groundviz.models.adapter.grids import with_tokens
from groundviz.models.adapter.image_geometry import blank
from groundviz.models.adapter.mismatch import check_belonging
from groundviz.models.adapter.tile_layout import COLOURS, side_by_side, tile_pixels
from groundviz.models.adapter.tiling import Tiling, tiling_of
from groundviz.models.prompting.encode import Asked
from groundviz.record.geometry import other_cells, pixel_grid, scale_shift, squeezed
from groundviz.record.types import Bools, Grid, Ints, Stage
from groundviz.runtime.inputs.encoded import PIXELS, Cells

Size = tuple[int, int]


def tiled_cells(vlm: Any, asked: Asked, shapes: Sequence[Size], **options: Any) -> dict[str, Cells]:
    """The cells of each image's overview and mosaic, at every stage.

    Args:
        vlm: The model with its processor.
        asked: The prompt.
        shapes: Rows and columns of each source image.
        options: What the model's own `pack_image_features` is told besides.

    Raises:
        UnsupportedModel: Model and processor do not belong together.
    """
    tiling = tiling_of(vlm)
    tokens = np.flatnonzero(asked.token_ids == vlm.model.config.image_token_id)
    wholes = [
        one
        for number, shape in enumerate(shapes)
        for one in _images(tiling, shape, number, vlm.processor.image_processor.image_grid_pinpoints)
    ]
    patches = [_patches(tiling, one, shapes[one.image], "vision") for one in wholes]
    grids, held = _packed(tiling, wholes, shapes, partial(vlm.model.model.pack_image_features, **options))
    check_belonging(
        len(held) == len(tokens),
        f"The prompt holds {len(tokens)} image tokens, and the model makes {len(held)} of the images.",
    )
    tokens = tokens[held]
    placed = with_tokens(grids, tokens)
    in_tower, behind = (_in_tiles(wholes, tiling, before) for before in (tiling.class_tokens, 0))
    return {
        "pixels": Cells(
            grids=tuple(wholes), index=_pixels(wholes, tiling.side, asked.inputs[PIXELS].shape[1])
        ),
        "vision": Cells(grids=tuple(patches), index=in_tower),
        "projector": Cells(grids=tuple(replace(grid, stage="projector") for grid in patches), index=behind),
        "language": Cells(grids=placed, index=tokens),
    }


def _images(tiling: Tiling, shape: Size, number: int, resolutions: Any) -> list[Grid]:
    """The pixels of an image's overview and of its mosaic."""
    side = tiling.side
    whole = select_best_resolution(shape, resolutions)
    rows, cols = get_patch_output_size(blank(shape), whole, input_data_format=ChannelDimension.FIRST)
    scale = (shape[0] / rows, shape[1] / cols)
    padding = ((whole[0] - rows) // 2, (whole[1] - cols) // 2)
    mosaic = scale_shift(scale, (-padding[0] * scale[0], -padding[1] * scale[1]))
    return [
        squeezed((side, side), shape, image=number, label="overview"),
        pixel_grid(tuple(whole), mosaic, shape, image=number, label="tiles"),
    ]


def _patches(tiling: Tiling, whole: Grid, shape: Size, stage: Stage) -> Grid:
    """All patches of one or of several tiles.

    Where patches leave a rim of each tile unseen, those of several tiles do not lie evenly: then
    the affine is the one that is nowhere further off than half the rim.
    """
    rows, cols = (length // tiling.side * tiling.across for length in (whole.rows, whole.cols))
    alone = whole.rows == whole.cols == tiling.side
    pitch = float(tiling.patch) if alone else tiling.side / tiling.across
    rim = 0.0 if alone else (tiling.side - tiling.across * tiling.patch) / 2
    return other_cells(whole, (rows, cols), scale_shift((pitch, pitch), (-rim, -rim)), shape, stage)


def _packed(
    tiling: Tiling, wholes: Sequence[Grid], shapes: Sequence[Size], pack: Callable[..., Any]
) -> tuple[list[Grid], Bools]:
    """The cells that the language model sees, and which of all image tokens stand for one."""
    tiles = [_tile_count(mosaic, tiling.side) for mosaic in wholes[1::2]]
    features = [torch.zeros(1 + count, tiling.across**2, 1) for count in tiles]
    # Features of nothing but zeros, with another number behind each row.
    packed, _ = pack(features, torch.tensor(shapes), image_newline=torch.ones(1))
    held = [np.asarray(one[:, 0] == 0) for one in packed]
    grids: list[Grid] = []
    for overview, mosaic, shape, kept in zip(wholes[::2], wholes[1::2], shapes, held, strict=True):
        rows = int((~kept).sum())
        size = rows, int(kept[tiling.across**2 :].sum()) // rows
        patches = _patches(tiling, mosaic, shape, "language")
        grids += [_patches(tiling, overview, shape, "language"), _trimmed(patches, size, shape)]
    return grids, np.concatenate(held)


def _trimmed(patches: Grid, size: Size, shape: Size) -> Grid:
    """A mosaic without its padding, in so many cells."""
    numbers = torch.arange(patches.rows * patches.cols).reshape(1, patches.rows, patches.cols)
    kept = unpad_image(numbers, shape)[0]
    first = divmod(int(kept[0, 0]), patches.cols)
    scale = kept.shape[0] / size[0], kept.shape[1] / size[1]
    to_patches = scale_shift(scale, (float(first[0]), float(first[1])))
    return other_cells(patches, size, to_patches, shape, "language")


def _pixels(wholes: Sequence[Grid], side: int, slots: int) -> Ints:
    """Where the numbers of each pixel stand: (image, tile, colour, row, col), so many tiles to an image."""
    images = tile_pixels(slots * len(wholes) // 2, side).reshape(-1, slots, side, side, COLOURS)
    return np.concatenate(
        [_cut(one, mosaic, side) for one, mosaic in zip(images, wholes[1::2], strict=True)]
    )[None]


def _in_tiles(wholes: Sequence[Grid], tiling: Tiling, before: int) -> Ints:
    """Where each patch stands among the tokens of all tiles, of which so many stand before its patches."""
    counts = [1 + _tile_count(mosaic, tiling.side) for mosaic in wholes[1::2]]
    places = np.arange(sum(counts) * (before + tiling.across**2)).reshape(sum(counts), -1)[:, before:]
    images = np.split(places.reshape(-1, tiling.across, tiling.across), np.cumsum(counts)[:-1])
    return np.concatenate(
        [_cut(one, mosaic, tiling.side) for one, mosaic in zip(images, wholes[1::2], strict=True)]
    )


def _cut(tiles: Ints, mosaic: Grid, side: int) -> Ints:
    """Numbers (tile, row, col, ...) of an overview and a mosaic, row by row."""
    laid = side_by_side(tiles[1:], mosaic.rows // side, mosaic.cols // side)
    return np.concatenate([tiles[0].reshape(-1, *tiles.shape[3:]), laid])


def _tile_count(mosaic: Grid, side: int) -> int:
    return (mosaic.rows // side) * (mosaic.cols // side)
