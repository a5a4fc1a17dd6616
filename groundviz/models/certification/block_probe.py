"""Inverts blocks of the source image and sees which image tokens change: by finite differences alone.

It shares nothing with the gradients that a geometry may have been measured with: attention is on, the real
processor encodes every changed image anew, and the model runs to the input of its first decoder layer. There
the token over a block must change more than tokens elsewhere.

::

    source image, some blocks inverted ──> processor ──> tower ──> projector ──> input of the first layer
    source image as it is              ──> processor ──> tower ──> projector ──> input of the first layer

Several blocks that lie apart are inverted in one pass. If their changes run into one another, as behind
overlapping convolutions, the probe is made once more with fewer blocks in a pass. Where too few blocks are
found, it is made in several images, and what a token changes is the mean over them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundviz.errors import ImageError, PromptError
from groundviz.models.adapter.probe_images import QUESTION, source_image_of
from groundviz.models.adapter.vlm import VLM
from groundviz.models.certification.certificate import PASSED, Shape, unmeasured
from groundviz.models.certification.gradient_trace import by_token
from groundviz.record.geometry import held_cells, source_box
from groundviz.record.types import Bools, Check, Doubles, Grid, Ints
from groundviz.runtime.inputs.encoded import Encoded
from groundviz.runtime.inputs.sites import Parts
from groundviz.runtime.loan.device import on_device
from groundviz.runtime.loan.guard import Loan

NAME = "blocks"
BLOCKS = 12
# Passes with inverted blocks, how far blocks of one pass lie apart, in cells, and in how many images each is
# inverted: the entries of a codebook change in leaps, and which do is told by several.
QUICK, CAREFUL, PATIENT = (1, 0.5, 1), (6, 1.0, 1), (6, 1.0, 8)
# At most this share of the image tokens has its block inverted in one pass.
MOST_AT_ONCE = 0.25
FEWEST_TOKENS = 4
# A share of hits from which the quick probe is believed. Right: .83 or more in 9 of 10 tiny models of all
# types; broken on purpose: at most .17.
CLEAR = 0.75
# A block is found if its token changes at least this share of what any token elsewhere does.
FOUND = 0.5
# The least share of an image's blocks that must be found. Tiny models of all types: 1.0 where the geometry is
# right, and at most .5 where it is not, with a third of the views left in place.
LEAST_FOUND = 0.6
# Where no more blocks are hits, and their tokens still change this share of the most, changes spread over
# tokens and no geometry can be told: a mirrored one would do as well.
MOST_SPREAD, LEAST_MIDDLE = 0.25, 0.4
# Pixels of one colour along a side: finer noise does not survive being made smaller.
GRAIN = 3
# A cell may overlap the border of the image, or a block, by this share of its side.
SLACK = 0.02
# Images, and what enters the first decoder layer of them.
Test = tuple[Sequence[Doubles], Tensor | None]
WRONG = "image tokens do not change with the blocks of the image that they stand over"


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A rectangle of a source image, and the cell that should be over it.

    Attributes:
        grid: The grid of the cell.
        cell: Its number in the grid, row by row.
        box: Source pixels (top, left, bottom, right), float (4,).
    """

    grid: Grid
    cell: int
    box: Doubles

    @property
    def token(self) -> int:
        """Where its token is in the prompt."""
        return int(self.grid.positions[self.cell])

    @property
    def side(self) -> Doubles:
        """Rows and columns."""
        return self.box[2:] - self.box[:2]

    def near(self, other: Block, gap: float) -> bool:
        """Whether two blocks of one image lie less than `gap` cells apart."""
        room = gap * np.maximum(self.side, other.side)
        return self.grid.image == other.grid.image and _meet(self.box, other.box, room)

    def invert(self, pixels: Doubles) -> None:
        """Invert the block in its image, float (row, col, 3), in place."""
        top, left, bottom, right = np.maximum(0, np.rint(self.box)).astype(int)
        pixels[top : max(bottom, top + 1), left : max(right, left + 1)] *= -1
        pixels[top : max(bottom, top + 1), left : max(right, left + 1)] += 1


def probe_blocks(vlm: VLM, loan: Loan, shapes: Sequence[Shape]) -> Check:
    """Whether the image tokens over inverted blocks of the source images change most.

    Cost: two passes to the first decoder layer, six more if the first do not tell clearly, and 55 more if
    these find too few blocks; an encoding for each.

    Args:
        vlm: The model with its processor.
        loan: The loan of the model.
        shapes: Rows and columns of the source images; the second is shown too where the model takes two.

    Returns:
        The check: its value is the share of the blocks that were found, in the image where it is lowest.
    """
    images = [_noise(shape, number) for number, shape in enumerate([*shapes, *shapes][:2])]
    try:
        encoded = _encode(vlm, images)
    except (ImageError, PromptError):
        # The model takes one image, or one shape.
        images = images[:1]
        encoded = _encode(vlm, images)
    parts = vlm.parts()
    if "language" not in encoded.cells:
        return unmeasured(NAME, f"No block of the image was followed to a token: {_why_none(parts)}.")
    blocks = list(_blocks(encoded.cells["language"].grids, images))
    tokens = len(encoded.cells["language"].index)
    if tokens < FEWEST_TOKENS or not blocks:
        return unmeasured(NAME, f"No block of the image was followed: too few for a test, {tokens} tokens.")
    tests: list[Test] = [(images, _stream(vlm, loan, encoded, parts))]
    if tests[0][1] is None:
        return unmeasured(
            NAME, "No block was followed: the first decoder layer takes no state of each token."
        )
    ratios, over = np.empty(0), np.empty(0, dtype=np.int64)
    for passes, gap, repeats in (QUICK, CAREFUL, PATIENT):
        while len(tests) < repeats:
            others = [_noise(one.shape[:2], len(images) * len(tests) + n) for n, one in enumerate(images)]
            tests.append((others, _stream(vlm, loan, _encode(vlm, others), parts)))
        most = max(1, min(BLOCKS // passes, int(tokens * MOST_AT_ONCE)))
        found: list[float] = []
        shown: list[int] = []
        for group in _groups(blocks, passes, most, gap):
            change = _change(vlm, loan, tests, group)
            if change is None:
                return unmeasured(NAME, "No block was followed: the prompt's length depends on the image.")
            found += _ratios(change, encoded.cells["language"].grids, group)
            shown += [block.grid.image for block in group]
        ratios, over = np.array(found), np.array(shown)
        enough = CLEAR if passes == QUICK[0] else 0.0
        if _worst(ratios > 1, over) >= enough and _worst(ratios >= FOUND, over) >= LEAST_FOUND:
            break
    return _check(ratios, over)


def _change(vlm: VLM, loan: Loan, tests: Sequence[Test], group: Sequence[Block]) -> Doubles | None:
    """By how much each token changes with some blocks, the mean over all tests; None where lengths differ."""
    changes = []
    for images, plain in tests:
        changed = _stream(vlm, loan, _encode(vlm, _inverted(images, group)), vlm.parts())
        if changed is None or plain is None or changed.shape != plain.shape:
            return None
        changes.append(np.asarray((changed - plain).norm(dim=1).double().cpu()))
    return np.asarray(np.mean(changes, axis=0))


def _worst(found: Bools, image: Ints) -> float:
    """The share of the blocks that were found, in the image where it is lowest."""
    return min(float(found[image == number].mean()) for number in np.unique(image))


def _check(ratios: Doubles, image: Ints) -> Check:
    share, hits = _worst(ratios >= FOUND, image), int((ratios > 1).sum())
    middle = float(np.median(ratios))
    least = min(float(np.median(ratios[image == number])) for number in np.unique(image))
    if least >= LEAST_MIDDLE and hits <= MOST_SPREAD * len(ratios):
        why = "each block of the image changes many image tokens alike, so no place can be told"
        return unmeasured(NAME, f"Blocks were inverted and not located: {why}.")
    verdict = WRONG
    if share >= LEAST_FOUND:
        verdict = PASSED
    return Check(
        name=NAME,
        value=share,
        reference=LEAST_FOUND,
        verdict=verdict,
        says=f"Blocks of {len(np.unique(image))} source images that were inverted: {len(ratios)}; the token "
        f"over them changed most at {hits}, and at least half as much as any token elsewhere at {share:.0%} "
        f"of each image's or more; median {min(middle, 1e3):.2g} times as much.",
    )


def _noise(shape: Shape, number: int) -> Doubles:
    """Blots of full colours, float (row, col, 3): inverting them changes every number by the most."""
    rows, cols = (-(-side // GRAIN) for side in shape)
    blots = np.random.default_rng(number).integers(2, size=(rows, cols, 3)).astype(np.float64)
    return blots.repeat(GRAIN, axis=0).repeat(GRAIN, axis=1)[: shape[0], : shape[1]]


def _encode(vlm: VLM, images: Sequence[Doubles]) -> Encoded:
    return vlm.encode(tuple(map(source_image_of, images)), QUESTION)


def _inverted(images: Sequence[Doubles], group: Sequence[Block]) -> list[Doubles]:
    changed = [pixels.copy() for pixels in images]
    for block in group:
        block.invert(changed[block.grid.image])
    return changed


def _blocks(grids: Sequence[Grid], images: Sequence[Doubles]) -> Iterator[Block]:
    """The cells that lie wholly in their image, in random order, of one grid after another in turn."""
    generator, queues = np.random.default_rng(0), []
    for grid in grids:
        own = []
        for block in _cells(grid):
            reach = SLACK * block.side
            shape = images[grid.image].shape[:2]
            if (block.box[:2] >= -reach).all() and (block.box[2:] <= shape + reach).all():
                own.append(block)
        generator.shuffle(own)
        queues.append(own)
    while any(queues):
        for own in queues:
            if own:
                yield own.pop()


def _cells(grid: Grid) -> Iterator[Block]:
    for cell in np.flatnonzero(held_cells(grid)).tolist():
        yield Block(grid, cell, np.array(source_box(grid, *divmod(cell, grid.cols))))


def _groups(blocks: Sequence[Block], passes: int, most: int, gap: float) -> Iterator[list[Block]]:
    """Blocks for each pass, those of one pass apart from one another; each block is in one pass."""
    left = list(blocks)
    for _ in range(passes):
        group: list[Block] = []
        for block in left:
            if len(group) < most and not any(block.near(other, gap) for other in group):
                group.append(block)
        if group:
            yield group
        left = [block for block in left if block not in group]


def _ratios(change: Doubles, grids: Sequence[Grid], group: Sequence[Block]) -> list[float]:
    """What the token over each block changes, over the most that a token elsewhere does."""
    over = {block.token for block in group}
    elsewhere = []
    for grid in grids:
        for cell in _cells(grid):
            if cell.token not in over and not any(_shows(cell, block) for block in group):
                elsewhere.append(change[cell.token])
    most = max(float(max(elsewhere, default=0.0)), float(np.finfo(np.float32).tiny))
    return [float(change[block.token]) / most for block in group]


def _shows(cell: Block, block: Block) -> bool:
    """Whether a cell of another view of the image shows some of a block."""
    if cell.grid is block.grid or cell.grid.image != block.grid.image:
        return False
    return _meet(cell.box, block.box, -SLACK * cell.side)


def _meet(one: Doubles, two: Doubles, room: Doubles) -> bool:
    return bool((one[:2] - room < two[2:]).all() and (two[:2] < one[2:] + room).all())


class _FarEnough(Exception):
    """Ends the pass at the first decoder layer."""


def _stream(vlm: VLM, loan: Loan, encoded: Encoded, parts: Parts) -> Tensor | None:
    """What enters the first decoder layer, float (token, channel); None where it is of no such form."""
    seen: list[Tensor] = []

    def see(forward: Any, *args: Any, **options: Any) -> Any:
        for one in (*args, *options.values()):
            if isinstance(one, Tensor) and one.is_floating_point():
                seen.append(one)
                break
        raise _FarEnough

    end = loan.wrap(parts.decoder_layers[0], see)
    try:
        with suppress(_FarEnough), torch.no_grad():
            vlm.model(**on_device(vlm.model, encoded.inputs), use_cache=False)
    finally:
        end()
    if not seen:
        return None
    return by_token(seen[0], len(encoded.prompt.token_ids))


def _why_none(parts: Parts) -> str:
    if parts.cross_attention:
        return "the text attends to the image through cross-attention"
    if parts.resampler:
        return "each image token depends on the whole image"
    return "no image token has a place in the image"
