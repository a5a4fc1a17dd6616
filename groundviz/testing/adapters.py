"""Checks what a family's adapter returns; the model itself does not run."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from groundviz.models import VLM
from groundviz.record.geometry import held_cells
from groundviz.record.types import Grid, Prompt, SourceImage


def check_adapter(vlm: VLM, source_image: SourceImage, question: str = "Is there a nodule?") -> None:
    """Check what an adapter returns for one model and one image; `check_model` does the rest.

    - Every module it names is part of the model.
    - The spans cover the prompt without gaps, and the image's are the image tokens.
    - The grids hold every image token once, and lie on the image.
    - At every stage there are as many positions as cells in the grids, and no two cells share one.

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
        positions = cells.index.shape[-1]
        if name == "pixels":
            # The last axis is the colours.
            positions = cells.index.shape[-2]
        _expect(positions == held, f"{name} has {positions} positions for {held} cells of its grids")
        _expect(np.unique(cells.index).size == cells.index.size, f"two cells of {name} stand at one place")
        for grid in cells.grids:
            _check_place(grid, source_image)
    _check_modules(vlm)


def _check_spans(prompt: Prompt) -> None:
    edges = [(span.start, span.stop) for span in prompt.spans]
    _expect(edges[0][0] == 0 and edges[-1][1] == len(prompt.token_ids), "the spans do not cover the prompt")
    _expect(all(one[1] == two[0] for one, two in pairwise(edges)), "there are gaps between the spans")
    image: list[int] = []
    for span in prompt.spans:
        if span.kind == "image":
            image += range(span.start, span.stop)
    # A model whose maps end before the prompt has grids without tokens.
    held = np.concatenate([grid.positions[grid.positions >= 0] for grid in prompt.grids])
    _expect(not held.size or sorted(held.tolist()) == image, "the grids do not hold every image token once")
    _expect(any(span.kind == "question" for span in prompt.spans), "no span is the question's")


def _check_place(grid: Grid, source_image: SourceImage) -> None:
    _expect(grid.positions.shape == (grid.rows * grid.cols,), "a grid's positions do not fit its size")
    _expect(grid.valid.shape == (grid.rows, grid.cols), "a grid's valid cells do not fit its size")
    rows, cols = np.nonzero(grid.valid)
    centres = np.stack([rows + 0.5, cols + 0.5, np.ones(len(rows))])
    places = grid.to_source @ centres
    # A cell that shows a part of the image may have its centre outside.
    reach = np.abs(np.diag(grid.to_source[:, :2]))[:, None] / 2
    inside = (places > -reach).all() and (places < np.array(source_image.shape)[:, None] + reach).all()
    _expect(len(rows) > 0 and bool(inside), "valid cells of a grid lie outside the image")


def _check_modules(vlm: VLM) -> None:
    parts, known = vlm.parts(), set(vlm.model.modules())
    named = {
        "vision layer": parts.vision_layers,
        "vision attention": parts.vision_attention,
        "projector": (parts.projector,),
        "decoder layer": parts.decoder_layers,
        "decoder attention": parts.decoder_attention,
        "final norm": (parts.final_norm,),
        "output head": (parts.output_head,),
    }
    for what, modules in named.items():
        for module in modules:
            belongs = isinstance(module, torch.nn.Module) and module in known
            _expect(belongs, f"a {what} is no part of the model")


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(f"The adapter does not fit: {otherwise}.")
