"""Whether the parts of a record agree with each other, so that nobody later trips over it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.errors import StoreError
from groundviz.record.types import Answer, Grid, Heatmaps, Prompt, Record, SourceImage, Target

Array = npt.NDArray[Any]


def examine(record: Record) -> None:
    """Refuse a record whose parts contradict each other.

    Raises:
        StoreError: They do; the message says which.
    """
    _agree(record.source_images, "it has no image")
    for source_image in record.source_images:
        _examine_source_image(source_image)
    _examine_prompt(record.prompt)
    _examine_answer(record.answer)
    known = {*record.prompt.asked, *range(len(record.answer.tokens))}
    _examine_targets(record.targets, known)
    for maps in record.heatmaps:
        _examine_heatmaps(maps, known)
    for grid in (*record.prompt.grids, *(maps.grid for maps in record.heatmaps)):
        _agree(0 <= grid.image < len(record.source_images), "a grid lies on an image that is not there")


def _agree(holds: object, found: str) -> None:
    if not holds:
        raise StoreError(f"The record contradicts itself: {found}. Make it again.")


def _examine_targets(targets: tuple[Target, ...], known: set[int]) -> None:
    """Refuse targets of other tokens than those of the question, below zero, and of the answer."""
    _agree(targets, "it explains nothing")
    for target in targets:
        tokens = target.tokens
        ascending = bool(tokens) and list(tokens) == sorted(set(tokens))
        _agree(ascending and known.issuperset(tokens), "a target names tokens that are not there")
        _agree(target.in_question == (tokens[-1] < 0), "a target is in question and answer at once")
        _agree(target.foil is None or not target.in_question, "a part of the question has a foil")
        _agree(target.foil is None or target.foil.token_ids, "a foil has no tokens")


def _examine_source_image(source_image: SourceImage) -> None:
    pixels = source_image.pixels
    _agree(pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3), "the image has the wrong shape")
    _agree(pixels.size and pixels.min() >= 0.0 and pixels.max() <= 1.0, "the image leaves 0 to 1")
    if stored := source_image.stored:
        _agree(stored.codes.shape == pixels.shape, "the stored values and the pixels differ in shape")
        _agree(
            math.isfinite(stored.low) and math.isfinite(stored.step) and stored.step, "values have no scale"
        )
    if (one := source_image.slice) is not None:
        _agree(0 <= one.number < one.of and one.stack >= 0, "a slice lies outside its stack")
    _agree(math.isfinite(source_image.position_mm or 0.0), "a slice lies nowhere")
    spacing = source_image.spacing_mm or (1.0, 1.0)
    _agree(all(1e-6 < size < 1e6 for size in spacing), "the pixel spacing is impossible")


def _examine_prompt(prompt: Prompt) -> None:
    count = len(prompt.tokens)
    _agree(prompt.token_ids.shape == (count,), "the prompt's tokens and ids differ in number")
    _agree(all(0 <= span.start <= span.stop <= count for span in prompt.spans), "a span leaves the prompt")
    if prompt.messages:
        _agree(prompt.messages[-1].text == prompt.question, "the question is not the last message")
    _agree(not (prompt.messages and prompt.verbatim), "a verbatim prompt has turns")
    if prompt.offsets is not None:
        _agree(prompt.offsets.shape == (count, 2), "the prompt's tokens and offsets differ in number")
        _agree(_inside(prompt.offsets, prompt.question), "a token lies outside the question's text")
    for grid in prompt.grids:
        _examine_grid(grid)
        _agree((grid.positions < count).all(), "a cell names a token that is not there")


def _examine_answer(answer: Answer) -> None:
    count = len(answer.tokens)
    _agree(
        answer.token_ids.shape == answer.logprobs.shape == (count,) and answer.offsets.shape == (count, 2),
        "the answer's tokens, ids, offsets and log-probabilities differ in number",
    )
    _agree(_inside(answer.offsets, answer.text), "a token lies outside the answer's text")
    _agree((answer.logprobs <= 1e-3).all(), "a probability is above 1 or not a number")


def _inside(offsets: Array, text: str) -> bool:
    starts, stops = offsets.T
    return bool(((starts >= 0) & (starts <= stops) & (stops <= len(text))).all())


def _examine_grid(grid: Grid) -> None:
    cells = (grid.rows, grid.cols)
    _agree(min(cells) > 0 and grid.valid.shape == cells, "a grid has the wrong shape")
    _agree(grid.positions.shape == (grid.rows * grid.cols,), "a grid's tokens and cells differ in number")
    _agree((grid.positions >= -1).all(), "a cell names a token that is not there")
    _agree(grid.to_source.shape == (2, 3) and np.isfinite(grid.to_source).all(), "a grid lies nowhere")
    _agree((np.diag(grid.to_source) > 0).all(), "a grid is mirrored or has no size")


def _examine_heatmaps(maps: Heatmaps, known: set[int]) -> None:
    _examine_grid(maps.grid)
    _agree(maps.values.ndim == 5, "maps and their grid differ in shape")
    heads = maps.values.shape[2]
    # Without layers of their own, maps have one entry on that axis all the same.
    shape = (len(maps.targets), len(maps.layers) or 1, heads, maps.grid.rows, maps.grid.cols)
    _agree(maps.values.shape == shape and min(shape) > 0, "maps and their grid differ in shape")
    _examine_targets(maps.targets, known)
    _agree(not np.isinf(maps.values).any(), "a map holds infinity")
    if maps.standard_error is not None:
        _agree(maps.standard_error.shape == maps.values.shape, "maps and their errors differ in shape")
        _agree(not (maps.standard_error < 0).any(), "a standard error is below zero")
    if maps.samples is not None:
        _agree(0 <= maps.samples.done <= maps.samples.asked, "more steps were done than asked for")
