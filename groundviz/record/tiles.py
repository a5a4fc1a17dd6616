"""Naming an image, and a tile of it, where a method made a map for each.

Images are counted from 0, as layers and heads are. A model that cuts an image into tiles has a grid of
cells for each tile or for all of them together, and often one more for an overview of the whole image:
all of these are called tiles here.
"""

from __future__ import annotations

from collections.abc import Sequence

from groundviz.errors import UnknownName
from groundviz.record.types import Grid, Heatmaps

Tile = str | int

MOST_DRAWN = 4


def choose(maps: Sequence[Heatmaps], image: int | None = None, tile: Tile | None = None) -> list[Heatmaps]:
    """Those of one method's maps that lie on an image, or on a tile, or both; at least one.

    Args:
        maps: Everything one method measured.
        image: Which image, from 0; None for all.
        tile: Its label, or its number among the tiles of its image, from 0; None for all.

    Raises:
        UnknownName: There is no such map; the message lists what there is.
    """
    found = []
    for tiles in _of_each_image(maps).values():
        for number, one in enumerate(tiles):
            if image in (None, one.grid.image) and tile in (None, number, one.grid.label):
                found.append(one)
    if not found:
        asked = []
        if image is not None:
            asked.append(f"image={image!r}")
        if tile is not None:
            asked.append(f"tile={tile!r}")
        raise UnknownName(
            f"{maps[0].method} has no map of {', '.join(asked)}: it has {_listed(maps)}. Name one of these."
        )
    return found


def drawn(maps: Sequence[Heatmaps]) -> list[Heatmaps]:
    """Those of one method's maps that are drawn unasked.

    All maps of an image, or, where these are more than `MOST_DRAWN`, the first of them.
    """
    shown = []
    for tiles in _of_each_image(maps).values():
        if len(tiles) > MOST_DRAWN:
            # A dozen tiles of each map would fill a figure.
            tiles = tiles[:1]
        shown += tiles
    return shown


def name(one: Heatmaps, maps: Sequence[Heatmaps]) -> str:
    """What the tile of some maps is called among all that its method measured.

    Its label, or its number where an image has several tiles; empty where it has one.

    Args:
        one: The maps.
        maps: Everything that the method measured, `one` among them.
    """
    if one.grid.label:
        return one.grid.label
    beside = _of_each_image(maps)[one.grid.image]
    if len(beside) == 1:
        return ""
    numbers = [number for number, other in enumerate(beside) if other is one]
    return str(numbers[0])


def place(grid: Grid, images: int) -> str:
    """Which of so many images, and which tile of it, a grid lies on; empty where that goes without saying.

    >>> import numpy as np
    >>> grid = Grid(rows=1, cols=1, positions=np.array([5]), to_source=np.eye(2, 3),
    ...             valid=np.ones((1, 1), bool), stage="language", image=1, label="overview")
    >>> place(grid, 2), place(grid, 1)
    ('image 2 of 2, overview', 'overview')
    """
    if images == 1:
        return grid.label
    return ", ".join(filter(None, (which(grid.image, images), grid.label)))


def which(image: int, images: int) -> str:
    """What to call one image where a reader may have several before him.

    >>> which(0, 1), which(1, 3)
    ('image', 'image 2 of 3')
    """
    if images == 1:
        return "image"
    # Counted from 1 for readers, from 0 for programs.
    return f"image {image + 1} of {images}"


def _of_each_image(maps: Sequence[Heatmaps]) -> dict[int, list[Heatmaps]]:
    """The maps of each image, in the order of the images."""
    groups: dict[int, list[Heatmaps]] = {}
    for one in sorted(maps, key=lambda one: one.grid.image):
        groups.setdefault(one.grid.image, []).append(one)
    return groups


def _listed(maps: Sequence[Heatmaps]) -> str:
    """What `choose` would find, in its own words."""
    found = []
    for image, tiles in _of_each_image(maps).items():
        names = [repr(one.grid.label or number) for number, one in enumerate(tiles)]
        told = f"image={image}"
        # A single tile without a label is the image itself.
        if len(tiles) > 1 or tiles[0].grid.label:
            told += f" with tile={' or '.join(names)}"
        found.append(told)
    return "; ".join(found)
