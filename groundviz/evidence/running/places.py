"""Places that somebody else marked, such as a radiologist's outline, put to the same test as maps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from groundviz.errors import ImageError
from groundviz.record.evidence import GIVEN
from groundviz.record.geometry import cell_coverage
from groundviz.record.types import Bools, Grid, Heatmaps, Record


def given(record: Record, places: Mapping[str, npt.ArrayLike]) -> tuple[Heatmaps, ...]:
    """Places as maps on the model's own cells, each holding the share of its area that the place covers.

    Args:
        record: The answer that they are to be tested with.
        places: By name, a bool mask (rows, cols) of the first image.

    Raises:
        ImageError: A mask does not fit the image, or marks nothing that the model sees.
    """
    grids = [grid for grid in record.prompt.grids if grid.image == 0]
    found = []
    for name, place in places.items():
        mask = _mask(name, place, record.source_image.shape)
        maps = [_map(record, f"{GIVEN}{name}", grid, mask) for grid in grids]
        if not any(one.values.any() for one in maps):
            raise ImageError(
                f"The place {name!r:.60} marks nothing that the model sees. Mark a part of the image."
            )
        found += maps
    return tuple(found)


def _mask(name: str, place: npt.ArrayLike, shape: tuple[int, int]) -> Bools:
    mask = np.asarray(place)
    if mask.dtype != np.bool_ or mask.shape != shape:
        raise ImageError(
            f"The place {name!r:.60} is {mask.dtype} of shape {mask.shape}: expected a mask of True and "
            f"False of the image's shape, {shape}."
        )
    return mask


def _map(record: Record, name: str, grid: Grid, mask: Bools) -> Heatmaps:
    covered = np.where(grid.valid, cell_coverage(grid, mask), np.nan).astype(np.float32)
    target = record.target
    return Heatmaps(
        values=covered[None, None, None],
        targets=(target,),
        layers=(),
        reduce=("mean", "mean", "mean"),
        method=name,
        unit="share of the cell",
        signed=False,
        grid=grid,
    )
