"""The cells of the images at every stage of a model, put together from what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from groundviz.models.measured.lattice import View, views
from groundviz.models.measured.layout import Block
from groundviz.models.measured.unmeasurable import Unmeasurable
from groundviz.models.measured.wiring import Wiring
from groundviz.record.geometry import cells_in_view, compose, held_cells, pixel_grid, scale_shift
from groundviz.record.types import Bools, Doubles, Grid, Ints, Stage
from groundviz.runtime.inputs.encoded import Cells

Shape = tuple[int, int]
# A view of at least this share of an image along both sides shows the whole of it.
WHOLE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """The part of the source images that feeds each of some places.

    Attributes:
        at: The source row and column of its middle, float (place, 2); NaN where nothing feeds it.
        size: How many source rows and columns it covers, float (place, 2).
        image: int (place,), the source image; -1 where nothing feeds it.
    """

    at: Doubles
    size: Doubles
    image: Ints

    @property
    def fed(self) -> Ints:
        """The places that something feeds."""
        return np.flatnonzero(self.image >= 0)


def cells_of(blocks: Sequence[Block], wiring: Wiring, shapes: Sequence[Shape]) -> dict[str, Cells]:
    """The cells at every stage; positions of image tokens are their numbers, counted from 0.

    Args:
        blocks: How pixels lie in the image inputs.
        wiring: What each of their numbers feeds.
        shapes: Rows and columns of each source image.

    Raises:
        Unmeasurable: The image tokens lie on no lattice.
    """
    fields = _fields(blocks, wiring.token, wiring.tokens)
    found = views(fields.at[fields.fed], fields.size[fields.fed], fields.image[fields.fed])
    found = [replace(view, members=fields.fed[view.members]) for view in found]
    labels = _labels(found, shapes)
    tokens = [
        _with_tokens(view, label, shapes[view.image]) for view, label in zip(found, labels, strict=True)
    ]
    held = np.concatenate([grid.positions[held_cells(grid)] for grid in tokens])
    cells = {"language": Cells(grids=tuple(tokens), index=held)}
    view_of = np.full(wiring.tokens + 1, -1, dtype=np.int64)
    for number, view in enumerate(found):
        view_of[view.members] = number
    # One more view stands for what feeds no image token.
    view_of_number = np.where(wiring.token >= 0, view_of[wiring.token], -1)
    if wiring.projector is not None:
        cells["projector"] = Cells(grids=tuple(tokens), index=wiring.projected[held])
    if wiring.tower is not None and wiring.tower.place is not None:
        patches = _patches(blocks, wiring.tower.place, view_of_number, labels, shapes)
        if patches is not None:
            cells["vision"] = patches
    pixels = _pixels(blocks, _majority(blocks, view_of_number), labels, shapes)
    if pixels is not None:
        cells["pixels"] = pixels
    return cells


def pixels_alone(blocks: Sequence[Block], shapes: Sequence[Shape]) -> Cells | None:
    """The pixels of the image inputs, where nothing is known of what they feed; None if on no lattice."""
    groups = np.zeros(len(blocks), dtype=np.int64)
    return _pixels(blocks, groups, None, shapes)


def _fields(blocks: Sequence[Block], place_of: Ints, count: int) -> Fields:
    """What feeds each of `count` places, given the place that each number feeds, -1 for none."""
    at, size = np.full((count, 2), np.nan), np.full((count, 2), np.nan)
    image = np.full(count, -1, dtype=np.int64)
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    for block in blocks:
        # One colour of one copy: the others lie in the same places.
        place = place_of[block.index].max(axis=(0, 3)).ravel()
        centres = block.places()[0, :, :, 0].reshape(-1, 2)[place >= 0]
        place, half = place[place >= 0], np.abs(np.diag(block.to_source[:, :2])) / 2
        np.minimum.at(low, place, centres - half)
        np.maximum.at(high, place, centres + half)
        image[place] = block.image
    fed = image >= 0
    at[fed], size[fed] = ((low + high) / 2)[fed], (high - low)[fed]
    return Fields(at, size, image)


def _with_tokens(view: View, label: str, shape: Shape) -> Grid:
    rows, cols = view.size
    positions = np.full(rows * cols, -1, dtype=np.int64)
    positions[view.cells] = view.members
    shown = cells_in_view(rows, cols, view.to_source, shape)
    return Grid(
        rows=rows,
        cols=cols,
        positions=positions,
        to_source=view.to_source,
        valid=shown & (positions >= 0).reshape(rows, cols),
        stage="language",
        image=view.image,
        label=label,
    )


def _labels(found: Sequence[View], shapes: Sequence[Shape]) -> list[str]:
    """What tells the views of one image apart: the coarsest that shows the whole, then the tiles."""
    labels = [""] * len(found)
    for image in range(len(shapes)):
        own = [number for number, view in enumerate(found) if view.image == image]
        if len(own) < 2:
            continue
        whole = [number for number in own if _shows_whole(found[number], shapes[image])]
        tiles = list(own)
        if whole:
            overview = max(whole, key=lambda number: np.diag(found[number].to_source[:, :2]).prod())
            labels[overview] = "overview"
            tiles.remove(overview)
        for count, number in enumerate(tiles, start=1):
            labels[number] = "tiles" if len(tiles) == 1 else f"tile {count} of {len(tiles)}"
    return labels


def _shows_whole(view: View, shape: Shape) -> bool:
    start = view.to_source[:, 2]
    stop = start + np.diag(view.to_source[:, :2]) * view.size
    covered = np.minimum(stop, shape) - np.maximum(start, 0)
    return bool((covered >= WHOLE * np.array(shape)).all())


def _majority(blocks: Sequence[Block], group_of_number: Ints) -> Ints:
    """The group of most of the numbers of each block that have one; -1 where none has."""
    found = []
    for block in blocks:
        groups = group_of_number[block.index].ravel()
        groups = groups[groups >= 0]
        found.append(int(np.bincount(groups).argmax()) if len(groups) else -1)
    return np.array(found, dtype=np.int64)


def _pixels(
    blocks: Sequence[Block], group: Ints, labels: Sequence[str] | None, shapes: Sequence[Shape]
) -> Cells | None:
    """The pixels, joined where blocks of one group lie side by side; None where they leave holes."""
    grids, indices = [], []
    for number in sorted(set(group[group >= 0].tolist())):
        own = [block for block, its in zip(blocks, group, strict=True) if its == number]
        label = labels[number] if labels is not None else ""
        joined = _joined(own)
        if joined is None:
            return None
        for grid_size, to_source, index, image in joined:
            grids.append(pixel_grid(grid_size, to_source, shapes[image], image=image, label=label))
            indices.append(index)
    if not grids or len({len(index) for index in indices}) > 1:
        return None
    return Cells(grids=tuple(grids), index=np.concatenate(indices, axis=1))


def _joined(blocks: Sequence[Block]) -> list[tuple[Shape, Doubles, Ints, int]] | None:
    """Blocks side by side as one: its size, its affine, int (copy, pixel, colour), and its image."""
    if len(blocks) == 1:
        block = blocks[0]
        return [(block.size, block.to_source, _flat(block.index), block.image)]
    at = np.stack([block.centre for block in blocks])
    size = np.stack([np.abs(block.extent) for block in blocks])
    try:
        found = views(at, size, np.array([block.image for block in blocks]))
    except Unmeasurable:
        return [one for block in blocks for one in _joined([block]) or ()]
    done = []
    for view in found:
        own = [blocks[member] for member in view.members]
        rows, cols = view.size
        down, across = own[0].size
        if len(own) < rows * cols or len({one.index.shape for one in own}) > 1:
            return None
        stack = np.stack([own[number].index for number in np.argsort(view.cells)])
        copies, _, _, colours = own[0].index.shape
        # (block row, block col, copy, row, col, colour) to (copy, row of all, col of all, colour)
        whole = stack.reshape(rows, cols, copies, down, across, colours).transpose(2, 0, 3, 1, 4, 5)
        index = whole.reshape(copies, rows * down * cols * across, colours)
        to_source = compose(view.to_source, scale_shift((1 / down, 1 / across)))
        done.append(((rows * down, cols * across), to_source, index, view.image))
    return done


def _flat(index: Ints) -> Ints:
    copies, rows, cols, colours = index.shape
    return index.reshape(copies, rows * cols, colours)


def _patches(
    blocks: Sequence[Block], place: Ints, view_of_number: Ints, labels: Sequence[str], shapes: Sequence[Shape]
) -> Cells | None:
    """The cells behind the vision tower; None where they are on no full lattice."""
    fields = _fields(blocks, place, int(place.max()) + 1)
    views_of_places = _views_of_places(place, view_of_number, len(fields.image))
    grids, indices = [], []
    for number, label in enumerate(labels):
        own = np.flatnonzero((views_of_places == number) & (fields.image >= 0))
        if not len(own):
            continue
        for grid, index in _on_lattice(fields, own, label, shapes):
            if grid is None:
                return None
            grids.append(grid)
            indices.append(index)
    if not grids:
        return None
    return Cells(grids=tuple(grids), index=np.concatenate(indices))


def _views_of_places(place: Ints, view_of_number: Ints, count: int) -> Ints:
    """The view that most of the numbers that feed each place are in; -1 where none is in any."""
    known = (place >= 0) & (view_of_number >= 0)
    most = int(view_of_number.max()) + 1
    votes = np.bincount(place[known] * most + view_of_number[known], minlength=count * most)
    votes = votes.reshape(count, most)
    return np.where(votes.any(axis=1), votes.argmax(axis=1), -1)


def _on_lattice(
    fields: Fields, own: Ints, label: str, shapes: Sequence[Shape]
) -> Iterator[tuple[Grid | None, Ints]]:
    try:
        found = views(fields.at[own], fields.size[own], fields.image[own])
    except Unmeasurable:
        yield None, own
        return
    for view in found:
        rows, cols = view.size
        if len(view.members) < rows * cols:
            yield None, own
            return
        stage: Stage = "vision"
        shown: Bools = cells_in_view(rows, cols, view.to_source, shapes[view.image])
        yield (
            Grid(
                rows=rows,
                cols=cols,
                positions=np.full(rows * cols, -1, dtype=np.int64),
                to_source=view.to_source,
                valid=shown,
                stage=stage,
                image=view.image,
                label=label,
            ),
            own[view.members[np.argsort(view.cells)]],
        )
