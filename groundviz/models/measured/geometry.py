"""The cells of the images at every stage of a model, put together from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from groundviz.models.adapter.unmeasurable import Unmeasurable
from groundviz.models.measured.lattice import View, views
from groundviz.models.measured.layout import Block
from groundviz.models.measured.tiles import boxes_of, labels_of, tile_of_tokens
from groundviz.models.measured.wiring import Wiring
from groundviz.record.geometry import compose, held_cells, pixel_grid, scale_shift
from groundviz.record.types import Bools, Doubles, Grid, Ints, Stage
from groundviz.runtime.inputs.encoded import Cells

Shape = tuple[int, int]
# Tiles of an image; more are patches that do not fit together.
MOST_AREAS = 64


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
    fed = fields.fed
    tiles = tile_of_tokens(blocks, wiring)[fed]
    found = views(fields.at[fed], fields.size[fed], fields.image[fed], tiles, resampled=wiring.resampled)
    found = [replace(view, members=fields.fed[view.members]) for view in found]
    if wiring.middle is not None:
        middles = _fields(blocks, wiring.middle, wiring.tokens)
        found = [_centred(view, fields, middles) for view in found]
    view_of = np.full(wiring.tokens + 1, -1, dtype=np.int64)
    for number, view in enumerate(found):
        view_of[view.members] = number
    # One more view stands for what feeds no image token.
    view_of_number = np.where(wiring.token >= 0, view_of[wiring.token], -1)
    groups = _by_area(blocks, _majority(blocks, view_of_number), found)
    labels = labels_of(found, boxes_of(blocks, groups, len(found)), shapes)
    tokens = [
        _with_tokens(view, label, shapes[view.image]) for view, label in zip(found, labels, strict=True)
    ]
    held = np.concatenate([grid.positions[held_cells(grid)] for grid in tokens])
    cells = {"language": Cells(grids=tuple(tokens), index=held)}
    if wiring.projector is not None and wiring.projector_place is None:
        cells["projector"] = Cells(grids=tuple(tokens), index=wiring.projected[held])
    earlier: dict[Stage, Ints | None] = {"projector": wiring.projector_place}
    if wiring.tower is not None:
        earlier["vision"] = wiring.tower.place
    view_of_number = _filled(blocks, groups, view_of_number)
    for stage, place in earlier.items():
        if place is not None:
            found_there = _places(blocks, place, view_of_number, labels, shapes, stage)
            if found_there is not None:
                cells[stage] = found_there
    pixels = _pixels(blocks, groups, labels, shapes, _feeding(wiring))
    if pixels is not None:
        cells["pixels"] = pixels
    return cells


def _filled(blocks: Sequence[Block], groups: Ints, view_of_number: Ints) -> Ints:
    """The view of each number, that of its block where it feeds no image token."""
    found = view_of_number.copy()
    for block, group in zip(blocks, groups.tolist(), strict=True):
        own = found[block.index]
        found[block.index] = np.where(own < 0, group, own)
    return found


def pixels_alone(blocks: Sequence[Block], shapes: Sequence[Shape]) -> Cells | None:
    """The pixels of the image inputs, where nothing is known of what they feed; None if on no lattice."""
    groups = np.zeros(len(blocks), dtype=np.int64)
    return _pixels(blocks, groups, None, shapes, None)


def _feeding(wiring: Wiring) -> Bools:
    """Which numbers feed an image token, or a place in the tower; bool (number,)."""
    feeding = wiring.token >= 0
    if wiring.tower is not None and wiring.tower.place is not None:
        feeding |= wiring.tower.place >= 0
    return feeding


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
    at[fed], size[fed] = (low[fed] + high[fed]) / 2, high[fed] - low[fed]
    return Fields(at, size, image)


def _centred(view: View, fields: Fields, middles: Fields) -> View:
    """A view whose cells lie around the middle of what they read."""
    known = view.members[middles.image[view.members] >= 0]
    if not len(known):
        return view
    off = np.median(middles.at[known] - fields.at[known], axis=0)
    return replace(view, to_source=compose(scale_shift((1.0, 1.0), (off[0], off[1])), view.to_source))


def _with_tokens(view: View, label: str, shape: Shape) -> Grid:
    positions = np.full(view.size[0] * view.size[1], -1, dtype=np.int64)
    positions[view.cells] = view.members
    grid = _grid(view, label, shape, "language")
    held = (positions >= 0).reshape(view.size)
    return replace(grid, positions=positions, valid=grid.valid & held)


def _grid(view: View, label: str, shape: Shape, stage: Stage) -> Grid:
    """The cells of a view, without tokens."""
    grid = pixel_grid(view.size, view.to_source, shape, image=view.image, label=label)
    return replace(grid, stage=stage)


def _majority(blocks: Sequence[Block], group_of_number: Ints) -> Ints:
    """The group of most of the numbers of each block that have one; -1 where none has."""
    found = []
    for block in blocks:
        groups = group_of_number[block.index].ravel()
        groups = groups[groups >= 0]
        found.append(int(np.bincount(groups).argmax()) if len(groups) else -1)
    return np.array(found, dtype=np.int64)


def _by_area(blocks: Sequence[Block], group: Ints, found: Sequence[View]) -> Ints:
    """Groups in which blocks that feed no single image token are in that of their part of the input.

    Such are patches where tiles overlap. Where no part of an input feeds single image tokens, as that of a
    copy in low resolution, they are in the group of the view most like them in area.
    """
    groups = group.copy()
    of_parts: dict[tuple[int, int], list[int]] = {}
    for block, number in zip(blocks, group.tolist(), strict=True):
        if number >= 0:
            of_parts.setdefault(block.part, []).append(number)
    for number in np.flatnonzero(group < 0).tolist():
        block = blocks[number]
        if block.part in of_parts:
            groups[number] = int(np.bincount(of_parts[block.part]).argmax())
            continue
        alike = [_overlap(block.box, view.box) if view.image == block.image else -1.0 for view in found]
        groups[number] = int(np.argmax(alike))
    return groups


def _overlap(one: Doubles, other: Doubles) -> float:
    """The area that two boxes (top, left, bottom, right) share, as a share of the area of both."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    both = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared
    return shared / both


def _pixels(
    blocks: Sequence[Block],
    group: Ints,
    labels: Sequence[str] | None,
    shapes: Sequence[Shape],
    feeding: Bools | None,
) -> Cells | None:
    """The pixels, joined where blocks of one group lie side by side; None where they are in pieces."""
    grids, indices = [], []
    for number in sorted(set(group[group >= 0].tolist())):
        own = [block for block, its in zip(blocks, group, strict=True) if its == number]
        if len({block.index.shape for block in own if block.part[0] == own[0].part[0]}) > 1:
            return None
        label = labels[number] if labels is not None else ""
        # The inputs lie over one another.
        for name in sorted({block.part[0] for block in own}):
            for area in joined([block for block in own if block.part[0] == name]):
                shape = shapes[area.image]
                if feeding is not None:
                    area = _without_padding(area, feeding, shape)
                copies, rows, cols, colours = area.index.shape
                grids.append(pixel_grid((rows, cols), area.to_source, shape, image=area.image, label=label))
                indices.append(area.index.reshape(copies, rows * cols, colours))
    if not grids or len(grids) > MOST_AREAS or len({len(index) for index in indices}) > 1:
        return None
    return Cells(grids=tuple(grids), index=np.concatenate(indices, axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """Pixels of one image side by side: the affine to its source, and int (copy, row, col, colour)."""

    image: int
    to_source: Doubles
    index: Ints


def _without_padding(area: Area, feeding: Bools, shape: Shape) -> Area:
    """An area without the rows and columns at its ends that neither show the image nor feed anything."""
    size = area.index.shape[1:3]
    used = feeding[area.index[0, :, :, 0]] | pixel_grid(size, area.to_source, shape).valid
    rows, cols = (np.flatnonzero(used.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(cols[0])
    index = area.index[:, top : rows[-1] + 1, left : cols[-1] + 1]
    return Area(area.image, compose(area.to_source, scale_shift((1.0, 1.0), (top, left))), index)


def joined(blocks: Sequence[Block]) -> list[Area]:
    """Blocks side by side as one area each; where they leave holes or overlap, each part of an input alone.

    A block that fits no other one is an area of its own.
    """
    if len(blocks) == 1:
        return [Area(blocks[0].image, blocks[0].to_source, blocks[0].index)]
    at = np.stack([block.centre for block in blocks])
    size = np.stack([np.abs(block.extent) for block in blocks])
    try:
        found = views(at, size, np.array([block.image for block in blocks]))
    except Unmeasurable:
        found = []
    if found and all(len(view.members) == np.prod(view.size) for view in found):
        return [_mosaic(view, blocks) for view in found]
    parts: dict[tuple[int, int], list[Block]] = {}
    for block in blocks:
        parts.setdefault(block.part, []).append(block)
    if len(parts) == 1:
        parts = {(0, number): [block] for number, block in enumerate(blocks)}
    return [area for part in parts.values() for area in joined(part)]


def _mosaic(view: View, blocks: Sequence[Block]) -> Area:
    """The area of blocks that fill a lattice."""
    own = [blocks[member] for member in view.members[np.argsort(view.cells)]]
    rows, cols = view.size
    copies, down, across, colours = own[0].index.shape
    stack = np.stack([block.index for block in own])
    # (block row, block col, copy, row, col, colour) to (copy, row of all, col of all, colour)
    whole = stack.reshape(rows, cols, copies, down, across, colours).transpose(2, 0, 3, 1, 4, 5)
    index = whole.reshape(copies, rows * down, cols * across, colours)
    return Area(view.image, compose(view.to_source, scale_shift((1 / down, 1 / across))), index)


def _places(
    blocks: Sequence[Block],
    place: Ints,
    view_of_number: Ints,
    labels: Sequence[str],
    shapes: Sequence[Shape],
    stage: Stage,
) -> Cells | None:
    """The cells of the tower's or the projector's output; None where they are on no full lattice."""
    fields = _fields(blocks, place, int(place.max()) + 1)
    views_of_places = _views_of_places(place, view_of_number, len(fields.image))
    grids, indices = [], []
    for number, label in enumerate(labels):
        own = np.flatnonzero((views_of_places == number) & (fields.image >= 0))
        if not len(own):
            continue
        found = _full(fields, own)
        if found is None:
            return None
        for view in found:
            grids.append(_grid(view, label, shapes[view.image], stage))
            indices.append(own[view.members[np.argsort(view.cells)]])
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


def _full(fields: Fields, own: Ints) -> list[View] | None:
    """The views of some places; None where one has holes, or there are none."""
    try:
        found = views(fields.at[own], fields.size[own], fields.image[own])
    except Unmeasurable:
        return None
    if any(len(view.members) < view.size[0] * view.size[1] for view in found):
        return None
    return found
