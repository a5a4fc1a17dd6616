"""Images that show where a processor puts each pixel, and what a model does with each cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import pytest
import torch

from groundviz.models.adapter.vlm import VLM
from groundviz.record.geometry import apply, held_cells, invert, source_box, to_source_pixels
from groundviz.record.types import Doubles, Floats, Grid, SourceImage
from groundviz.runtime.inputs.encoded import Cells, Encoded
from groundviz.runtime.inputs.sites import Parts

QUESTION = "Is there a nodule?"


def source_image(pixels: Any) -> SourceImage:
    """An image, float (rows, cols) or (rows, cols, 3) in [0, 1]."""
    pixels = np.asarray(pixels, dtype=np.float32)
    return SourceImage(pixels=pixels, source="array", raw_range=(0.0, 1.0), sha256="0" * 64)


def noise(shape: tuple[int, int], seed: int = 0) -> SourceImage:
    """An image of colour noise."""
    return source_image(np.random.default_rng(seed).random((*shape, 3)))


def shown(encoded: Encoded) -> list[Floats]:
    """What the model sees of each image: (copy, row, col, colour), by the adapter's own account."""
    cells = encoded.cells["pixels"]
    values = np.asarray(encoded.inputs["pixel_values"], dtype=np.float32).ravel()[cells.index]
    edges = np.cumsum([0, *(grid.rows * grid.cols for grid in cells.grids)])
    return [
        values[:, a:b].reshape(len(values), grid.rows, grid.cols, 3)
        for grid, a, b in zip(cells.grids, edges[:-1], edges[1:], strict=True)
    ]


def places(grid: Grid) -> Doubles:
    """The source (row, col) of the centre of each cell, (rows, cols, 2)."""
    rows, cols = np.mgrid[0 : grid.rows, 0 : grid.cols]
    return apply(grid.to_source, np.stack([rows, cols], axis=-1) + 0.5)


def ramp_error(vlm: VLM, shape: tuple[int, int], patch: float) -> float:
    """How far, in patches, any pixel of the model's images lies from where the adapter says.

    The source is brighter from row to row, then from column to column, so that what a pixel shows
    says where it is from. The outermost pixels are left out: resampling has no neighbours there.
    """
    dark, light = (vlm.encode((source_image(np.full(shape, level)),), QUESTION) for level in (0.0, 1.0))
    darkest, span = shown(dark), [b - a for a, b in zip(shown(dark), shown(light), strict=True)]
    worst = 0.0
    for axis in (0, 1):
        steps = (np.arange(shape[axis]) + 0.5) / shape[axis]
        ramp = np.broadcast_to(steps[:, None] if axis == 0 else steps, shape)
        seen = shown(vlm.encode((source_image(ramp),), QUESTION))
        for number, grid in enumerate(dark.cells["pixels"].grids):
            share = (seen[number] - darkest[number]).mean(-1) / span[number].mean(-1).clip(1e-6)
            off = np.abs(share * shape[axis] - places(grid)[..., axis])[:, _well_inside(grid, shape)]
            worst = max(worst, float(off.max(initial=0.0)) / (patch * grid.to_source[axis, axis]))
    return worst


def _well_inside(grid: Grid, shape: tuple[int, int]) -> Any:
    """Pixels that are a source pixel and one of their own away from the edge."""
    scale = np.diag(grid.to_source[:, :2])
    edge = np.maximum(1.0, scale) * 1.5
    at = places(grid)
    return ((at > edge) & (at < np.array(shape) - edge)).all(axis=-1)


def block_error(vlm: VLM, shape: tuple[int, int], cells: Cells, step: int = 1) -> float:
    """How far, in cells, the light of a bright block lies from the cell over which it was painted.

    Args:
        vlm: The model.
        shape: Of the source image.
        cells: The cells to paint over, one after another.
        step: Every how many of them.
    """
    encoded = vlm.encode((source_image(np.zeros(shape)),), QUESTION)
    dark, pixels, worst = shown(encoded), encoded.cells["pixels"].grids, 0.0
    for number, grid in enumerate(cells.grids):
        for row, col in np.argwhere(grid.valid)[::step]:
            box = np.clip(source_box(grid, row, col), 0, [*shape, *shape])
            bright = source_image(
                np.outer(_covered(box[0], box[2], shape[0]), _covered(box[1], box[3], shape[1]))
            )
            seen = shown(vlm.encode((bright,), QUESTION))[number]
            weight = np.abs(seen - dark[number]).sum(axis=(0, 3))
            centre = (places(pixels[number]) * weight[..., None]).sum(axis=(0, 1)) / weight.sum()
            # Of a cell that sticks out of the image, the part within is what can be lit.
            wanted = np.array([box[0] + box[2], box[1] + box[3]]) / 2
            off = np.abs(centre - wanted) / np.diag(grid.to_source[:, :2])
            worst = max(worst, float(off.max()))
    return worst


def share_in_view(encoded: Encoded, shape: tuple[int, int]) -> float:
    """The share of a source image's pixels that some cell shows."""
    seen = np.zeros(shape, dtype=bool)
    for grid in encoded.prompt.grids:
        values = np.where(grid.valid, 1.0, np.nan).astype(np.float32)
        seen |= np.isfinite(to_source_pixels(values, grid, shape))
    return float(seen.mean())


def check_tokens_are_cells(vlm: VLM, encoded: Encoded) -> None:
    """Check that each image token is a cell, in the order of the prompt, and each cell is in view."""
    grids = encoded.prompt.grids
    tokens = np.flatnonzero(encoded.prompt.token_ids == vlm.model.config.image_token_id)
    assert np.concatenate([grid.positions for grid in grids]).tolist() == tokens.tolist()
    assert encoded.columns.tolist() == tokens.tolist()
    assert all(grid.valid.all() for grid in grids)


def check_ends_of_rows(vlm: VLM, encoded: Encoded) -> None:
    """Check that each image token is a cell of the overview or the tiles, or ends a row of tiles."""
    overview, tiles = encoded.prompt.grids
    assert (overview.label, tiles.label) == ("overview", "tiles")
    held = np.concatenate([overview.positions, tiles.positions])
    assert (np.diff(held) > 0).all()
    tokens = np.flatnonzero(encoded.prompt.token_ids == vlm.model.config.image_token_id)
    ends = tiles.positions.reshape(tiles.rows, tiles.cols)[:, -1] + 1
    assert sorted([*held, *ends]) == tokens.tolist()


def in_order(vlm: VLM, encoded: Encoded, modules: Iterable[Any]) -> list[Any]:
    """The modules in the order in which a pass runs them."""
    ran: list[Any] = []
    with ExitStack() as stack:
        for one in modules:
            handle = one.register_forward_pre_hook(
                lambda module, args, kwargs: ran.append(module), with_kwargs=True
            )
            stack.callback(handle.remove)
        with torch.no_grad():
            vlm.model(**encoded.inputs)
    return ran


def check_published(vlm: VLM, shape: tuple[int, int], stage: str, step: int, view: float = 1.0) -> None:
    """Check an image as large as people have them: all in view, and blocks where they were painted."""
    encoded = vlm.encode((noise(shape),), QUESTION)
    assert share_in_view(encoded, shape) >= view
    assert block_error(vlm, shape, encoded.cells[stage], step=step) < 0.05


def sizes(*shapes: tuple[int, int]) -> list[Any]:
    """Shapes to test with: the first two always, the others in `pytest -m slow tests/models`."""
    return [*shapes[:2], *(pytest.param(one, marks=pytest.mark.slow) for one in shapes[2:])]


def _covered(start: float, stop: float, length: int) -> Doubles:
    """The share of each of so many source pixels that lies within [start, stop)."""
    pixel = np.arange(length)
    return np.clip(np.minimum(stop, pixel + 1.0) - np.maximum(start, pixel), 0.0, 1.0)


def check_path(vlm: VLM, encoded: Encoded) -> None:
    """Follow every cell through the model: pixels, tower, projector, text.

    Each patch of the pixels reaches one place of the tower, each place of the tower one place
    behind the projector, and that one token of the text, and these are the places that the
    adapter names.
    """
    parts, cells = vlm.parts(), encoded.cells
    rng = np.random.default_rng(0)
    for number, coarse in enumerate(cells["vision"].grids):
        for cell in rng.choice(coarse.rows * coarse.cols, 3, replace=False):
            _check_pixels(vlm, encoded, parts, number, int(cell))
    _check_projector(vlm, encoded, parts)
    if "language" in cells:
        _check_text(vlm, encoded, parts)


def _check_pixels(vlm: VLM, encoded: Encoded, parts: Parts, number: int, cell: int) -> None:
    pixels, vision = encoded.cells["pixels"], encoded.cells["vision"]
    fine, coarse = pixels.grids[number], vision.grids[number]
    inside = _holding(fine, coarse, cell)
    start = sum(grid.rows * grid.cols for grid in pixels.grids[:number])
    changed = encoded.inputs["pixel_values"].clone()
    changed.view(-1)[torch.from_numpy(pixels.index[:, start + np.flatnonzero(inside)].ravel())] += 1.0
    before = _entering(vlm, parts.vision_layers[0], encoded.inputs)
    after = _entering(vlm, parts.vision_layers[0], {**encoded.inputs, "pixel_values": changed})
    start = sum(grid.rows * grid.cols for grid in vision.grids[:number])
    assert _differing(before, after) == [int(vision.index[start + cell])]


def _holding(fine: Grid, coarse: Grid, cell: int) -> Any:
    """Which cells of a fine grid lie in one cell of a coarse one, bool (fine cell,)."""
    at = np.floor(apply(invert(coarse.to_source), places(fine).reshape(-1, 2))).astype(int)
    return (at == np.divmod(cell, coarse.cols)).all(axis=1)


def _check_projector(vlm: VLM, encoded: Encoded, parts: Parts) -> None:
    vision, projector = encoded.cells["vision"], encoded.cells["projector"]
    before = _leaving(vlm, parts.projector, encoded.inputs)
    start_fine = start_coarse = 0
    for fine, coarse in zip(vision.grids, projector.grids, strict=True):
        held = held_cells(coarse)
        for cell in np.flatnonzero(held)[:: max(1, held.sum() // 4)]:
            inside = np.flatnonzero(_holding(fine, coarse, cell))
            for one in inside[[0, -1]]:
                with _nudged(parts.vision_layers[-1], int(vision.index[start_fine + one])):
                    after = _leaving(vlm, parts.projector, encoded.inputs)
                place = projector.index[start_coarse + held[:cell].sum()]
                assert _differing(before, after) == [int(place)]
        start_fine += fine.rows * fine.cols
        start_coarse += int(held.sum())


def _check_text(vlm: VLM, encoded: Encoded, parts: Parts) -> None:
    projector, language = encoded.cells["projector"], encoded.cells["language"]
    before = _entering(vlm, parts.decoder_layers[0], encoded.inputs)
    start_fine = start_coarse = 0
    for fine, coarse in zip(projector.grids, language.grids, strict=True):
        held_fine, held = held_cells(fine), held_cells(coarse)
        for number, cell in list(enumerate(np.flatnonzero(held)))[::5]:
            for one in np.flatnonzero(_holding(fine, coarse, cell) & held_fine)[[0, -1]]:
                with _nudged(parts.projector, int(projector.index[start_fine + held_fine[:one].sum()])):
                    after = _entering(vlm, parts.decoder_layers[0], encoded.inputs)
                # Where tokens are read between patches, a patch reaches the neighbours as well.
                even = fine.rows % coarse.rows == fine.cols % coarse.cols == 0 or _pitch(fine) == _pitch(
                    coarse
                )
                token, found = int(language.index[start_coarse + number]), _differing(before, after)
                assert found == [token] if even else token in found and len(found) <= 4
        start_fine += int(held_fine.sum())
        start_coarse += int(held.sum())


def _pitch(grid: Grid) -> list[float]:
    return np.diag(grid.to_source[:, :2]).round(9).tolist()


def _differing(before: torch.Tensor, after: torch.Tensor) -> list[int]:
    places = (before - after).abs().reshape(-1, before.shape[-1]).amax(-1)
    return torch.nonzero(places > 1e-6).flatten().tolist()


class _Seen(Exception):
    """What is wanted of a pass is known."""


def _entering(vlm: VLM, module: Any, inputs: Any) -> torch.Tensor:
    seen: list[torch.Tensor] = []

    def keep(module: Any, args: Any, kwargs: Any) -> None:
        # The name differs from model to model: it is the one with channels.
        seen.append(next(one for one in (*args, *kwargs.values()) if one.ndim > 1))
        raise _Seen

    _run(vlm, module.register_forward_pre_hook(keep, with_kwargs=True), inputs)
    return seen[0]


def _leaving(vlm: VLM, module: Any, inputs: Any) -> torch.Tensor:
    seen: list[torch.Tensor] = []

    def keep(module: Any, args: Any, output: Any) -> None:
        seen.append(output[0] if isinstance(output, tuple) else output)
        raise _Seen

    _run(vlm, module.register_forward_hook(keep), inputs)
    return seen[0]


def _run(vlm: VLM, handle: Any, inputs: Any) -> None:
    with torch.no_grad(), suppress(_Seen):
        vlm.model(**inputs)
    handle.remove()


@contextmanager
def _nudged(module: Any, place: int) -> Iterator[None]:
    """A module whose output is another one at one place."""

    def nudge(module: Any, args: Any, output: Any) -> Any:
        whole = output[0] if isinstance(output, tuple) else output
        flat = whole.clone().reshape(-1, whole.shape[-1])
        if len(flat) <= place:
            return None  # a norm that runs once more, on the class token alone
        flat[place] += torch.linspace(-1.0, 1.0, flat.shape[-1])
        changed = flat.reshape(whole.shape)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    # Before the hooks with which transformers collects hidden states.
    handle = module.register_forward_hook(nudge, prepend=True)
    try:
        yield
    finally:
        handle.remove()
