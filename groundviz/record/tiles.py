"""Naming an image, and a tile of it, where a method made a map for each.

Images are counted from 0, as layers and heads are. A model that cuts an image into tiles has a grid of
cells for each tile or for all of them together, and often one more for an overview of the whole image:
all of these are called tiles here.
"""

from __future__ import annotations

from collections.abc import Sequence

from groundviz.errors import UnknownName
from groundviz.record.types import Grid, Heatmaps, SourceImage

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


def place(grid: Grid, images: Sequence[SourceImage]) -> str:
    """Which of some images, and which tile of it, a grid lies on; empty where that goes without saying.

    >>> import numpy as np
    >>> from groundviz.images import load
    >>> grid = Grid(rows=1, cols=1, positions=np.array([5]), to_source=np.eye(2, 3),
    ...             valid=np.ones((1, 1), bool), stage="language", image=1, label="overview")
    >>> one = load(np.zeros((2, 2), np.uint8))
    >>> place(grid, [one, one]), place(grid, [one])
    ('image 2 of 2, overview', 'overview')
    """
    if len(images) <= 1:
        return grid.label
    return ", ".join(filter(None, (which(grid.image, images), grid.label)))


def which(image: int, images: Sequence[SourceImage]) -> str:
    """What to call one of some images: by its number, or as a slice of its stack.

    >>> import numpy as np
    >>> from groundviz.images import load
    >>> one = load(np.zeros((2, 2), np.uint8))
    >>> which(0, [one]), which(1, [one, one, one])
    ('image', 'image 2 of 3')
    """
    # Counted from 1 for readers, from 0 for programs.
    found = images[image].slice if images else None
    if found is not None:
        return ", ".join(filter(None, (whose(image, images), f"slice {found.number + 1} of {found.of}")))
    if len(images) <= 1:
        return "image"
    return f"image {image + 1} of {len(images)}"


def whose(image: int, images: Sequence[SourceImage]) -> str:
    """What to call the stack of a slice among some images; empty where that goes without saying.

    >>> import numpy as np
    >>> from groundviz.images import load_each
    >>> two = load_each([[np.zeros((2, 2), np.uint8)] * 2] * 2)
    >>> whose(2, two), whose(0, two[:2])
    ('stack 2', '')
    """
    found = images[image].slice
    stacks = {one.slice.stack for one in images if one.slice is not None}
    return f"stack {found.stack + 1}" if found is not None and len(stacks) > 1 else ""


def briefly(image: int, images: Sequence[SourceImage]) -> str:
    """What to call one of some images where a reader knows how many there are.

    >>> import numpy as np
    >>> from groundviz.images import load
    >>> briefly(1, [load(np.zeros((2, 2), np.uint8))] * 3)
    'image 2'
    """
    if images[image].slice is not None:
        return which(image, images)
    return f"image {image + 1}"


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
