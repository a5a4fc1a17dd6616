"""Whether what a family's adapter returns adds up; the model itself is not run."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from groundviz.models import VLM
from groundviz.record.geometry import held_cells
from groundviz.record.types import Grid, Prompt, SourceImage


def check_adapter(vlm: VLM, source_image: SourceImage, question: str = "Is there a nodule?") -> None:
    """Check that what an adapter says of one model and one image adds up; `check_model` does the rest.

    - Every module it names is part of the model.
    - The spans cover the prompt without gaps, and the image's are the image tokens.
    - The grids hold every image token once, and lie on the image.
    - At every stage the image has as many cells as the grids, each in a place of its own.

    Raises:
        AssertionError: A promise is broken; the message says which.

    >>> from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
    >>> from groundviz import images, load
    >>> model = tiny_llava()
    >>> vlm = load(model, processor=tiny_llava_processor(model))
    >>> check_adapter(vlm, images.load(np.zeros((28, 28), np.uint8)))
    """
    encoded = vlm.encode((source_image,), question)
    _check_spans(encoded.prompt)
    for grid in encoded.prompt.grids:
        _check_place(grid, source_image)
    for name, cells in encoded.cells.items():
        held = sum(int(held_cells(grid).sum()) for grid in cells.grids)
        _expect(
            cells.index.shape[-2 if name == "pixels" else -1] == held, f"{name} has other cells than grids"
        )
        _expect(np.unique(cells.index).size == cells.index.size, f"two cells of {name} stand at one place")
        for grid in cells.grids:
            _check_place(grid, source_image)
    _check_modules(vlm)


def _check_spans(prompt: Prompt) -> None:
    edges = [(span.start, span.stop) for span in prompt.spans]
    _expect(edges[0][0] == 0 and edges[-1][1] == len(prompt.token_ids), "the spans do not cover the prompt")
    _expect(all(one[1] == two[0] for one, two in pairwise(edges)), "there are gaps between the spans")
    image = [at for span in prompt.spans if span.kind == "image" for at in range(span.start, span.stop)]
    held = np.concatenate([grid.positions[grid.positions >= 0] for grid in prompt.grids])
    _expect(not held.size or sorted(held.tolist()) == image, "the grids do not hold every image token once")
    _expect(any(span.kind == "question" for span in prompt.spans), "no span is the question's")


def _check_place(grid: Grid, source_image: SourceImage) -> None:
    _expect(grid.positions.shape == (grid.rows * grid.cols,), "a grid's positions do not fit its size")
    _expect(grid.valid.shape == (grid.rows, grid.cols), "a grid's valid cells do not fit its size")
    rows, cols = np.nonzero(grid.valid)
    centres = np.stack([rows + 0.5, cols + 0.5, np.ones(len(rows))])
    places = grid.to_source @ centres
    # A cell is in view if a sliver of it is.
    reach = np.abs(np.diag(grid.to_source[:, :2]))[:, None] / 2
    inside = (places > -reach).all() and (places < np.array(source_image.shape)[:, None] + reach).all()
    _expect(len(rows) > 0 and bool(inside), "valid cells of a grid lie outside the image")


def _check_modules(vlm: VLM) -> None:
    parts, known = vlm.parts(), set(vlm.model.modules())
    named = (
        *(("vision layer", one) for one in parts.vision_layers),
        *(("vision attention", one) for one in parts.vision_attention),
        ("projector", parts.projector),
        *(("decoder layer", one) for one in parts.decoder_layers),
        *(("decoder attention", one) for one in parts.decoder_attention),
        ("final norm", parts.final_norm),
        ("output head", parts.output_head),
    )
    for what, module in named:
        _expect(isinstance(module, torch.nn.Module) and module in known, f"a {what} is no part of the model")


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(f"The adapter does not fit: {otherwise}.")
