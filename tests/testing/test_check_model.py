"""Every family passes; adapters that are wrong in one thing do not, and are told in what."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from groundviz import models
from groundviz.record.geometry import compose, scale_shift
from groundviz.runtime.inputs.encoded import Cells
from groundviz.testing import check_model
from groundviz.testing.families import TINY
from tests.support.kinds import EVERY_KIND
from tests.zoo import ZOO

# Transformers 5.17 itself calls Llama 3.2's layers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`hidden_state` is deprecated:FutureWarning")


def small(kind):
    model, processor = TINY[kind]()
    model.generation_config.max_new_tokens = 4
    return model, processor


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_family_passes(kind):
    check_model(*small(kind))


@pytest.mark.wide
@pytest.mark.filterwarnings("ignore")
def test_a_measured_model_with_layers_of_linear_attention_passes():
    model, processor = ZOO["qwen3_5"]()
    model.generation_config.max_new_tokens = 4
    parts = models.resolve(model, processor).parts()
    assert 0 < len(parts.decoder_attention) < len(parts.decoder_layers)
    check_model(model, processor)


def moved(cells, stage, make):
    """The same cells, at one stage in other places."""
    return {**cells, stage: Cells(grids=cells[stage].grids, index=make(cells[stage].index))}


def laid(cells, change, *stages):
    """The same places, which the adapter puts elsewhere in the image."""
    return {
        name: replace(one, grids=tuple(map(change, one.grids))) if name in stages or not stages else one
        for name, one in cells.items()
    }


def raster(encoded):
    return moved(encoded.cells, "vision", lambda index: np.arange(len(index)))


def transposed(encoded):
    def turned(index):
        # Each image has cells of 4 by 4.
        return index.reshape(-1, 4, 4).transpose(0, 2, 1).ravel()

    return moved(encoded.cells, "vision", turned)


def shifted(encoded):
    return moved(encoded.cells, "language", lambda index: index + 1)


def without_class_token(encoded):
    return moved(encoded.cells, "vision", lambda index: index - 1)


def of_larger_patches(encoded):
    def change(grid):
        return replace(grid, to_source=compose(grid.to_source, scale_shift((8 / 7, 8 / 7))))

    return laid(encoded.cells, change, "vision")


def not_cropped(encoded):
    def change(grid):
        return replace(grid, to_source=grid.to_source * [1, 1, 0])

    return laid(encoded.cells, change)


def not_padded(encoded):
    """As if the image filled the canvas."""

    def change(grid):
        return replace(grid, to_source=grid.to_source * [[0.8], [1]])

    return laid(encoded.cells, change)


def with_swapped_tiles(encoded):
    def swapped(index):
        tiles = index.copy()
        # Four tiles of patches behind the overview: the upper two against the lower two.
        mosaic = tiles[len(tiles) // 5 :]
        mosaic[:] = np.roll(mosaic, len(mosaic) // 2)
        return tiles

    return moved(encoded.cells, "vision", swapped)


def with_swapped_images(encoded):
    cells = encoded.cells["projector"]
    first, second, *rest = cells.grids
    labels = replace(first, label=second.label), replace(second, label=first.label)
    return {**encoded.cells, "projector": replace(cells, grids=(*labels, *rest))}


def with_one_frame_moved(encoded):
    def change(index):
        frames = index.copy()
        frames[1] = np.roll(frames[1], 8 * 12, axis=0)
        return frames

    return moved(encoded.cells, "pixels", change)


def half_of_the_pixels(encoded):
    cells = encoded.cells["pixels"]
    grid = cells.grids[0]
    rows = grid.rows // 2
    upper = replace(grid, rows=rows, positions=grid.positions[: rows * grid.cols], valid=grid.valid[:rows])
    return {**encoded.cells, "pixels": Cells(grids=(upper,), index=cells.index[:, : rows * grid.cols])}


BROKEN = {
    "transposed": ("llava", transposed, r"geometry off by up to 6\.0 patches"),
    "shifted by a token": ("llava", shifted, "geometry off by up to 3.0"),
    "of larger patches": ("llava", of_larger_patches, "geometry off by up to"),
    "half of the pixels": ("llava", half_of_the_pixels, "48 cells hold nothing of the image"),
    "crop ignored": ("llava with a class token", not_cropped, "geometry off by up to"),
    "class token missed": ("llava with a class token", without_class_token, "geometry off by up to 6"),
    "raster for blocks": ("qwen2_vl", raster, "geometry off by up to"),
    "raster for windows": ("qwen2_5_vl", raster, "geometry off by up to"),
    "one frame moved": ("qwen3_vl", with_one_frame_moved, "geometry off by up to"),
    "tiles swapped": ("llava_next", with_swapped_tiles, "geometry off by up to"),
    "overview for tiles": ("llava_next", with_swapped_images, "cells hold nothing"),
    "padding ignored": ("mllama", not_padded, "geometry off by up to"),
    "raster for pooled cells": ("internvl", raster, "geometry off by up to"),
}


@pytest.mark.wide
@pytest.mark.parametrize("wrong", BROKEN)
def test_wrong_cells_are_told(wrong, monkeypatch):
    kind, change, says = BROKEN[wrong]
    model, processor = small(kind)
    family = type(models.resolve(model, processor).family)
    encode = family.encode

    def broken(self, vlm, source_images, question):
        encoded = encode(self, vlm, source_images, question)
        return replace(encoded, cells=change(encoded))

    monkeypatch.setattr(family, "encode", broken)
    with pytest.raises(AssertionError, match=says):
        check_model(model, processor)


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        ("llava", lambda columns: columns + 1, "attention is read at 2 wrong tokens"),
        ("llava", lambda columns: columns[::-1].copy(), "attention is read at 16 wrong tokens"),
        ("mllama", lambda columns: np.roll(columns, 1), "geometry off by up to 15.0"),
        ("blip2", lambda columns: columns[1:], "attention is read at 1 wrong tokens"),
    ],
)
def test_wrong_columns_are_told(kind, change, says, monkeypatch):
    model, processor = small(kind)
    family = type(models.resolve(model, processor).family)
    encode = family.encode

    def broken(self, vlm, source_images, question):
        encoded = encode(self, vlm, source_images, question)
        return replace(encoded, columns=change(encoded.columns))

    monkeypatch.setattr(family, "encode", broken)
    with pytest.raises(AssertionError, match=says):
        check_model(model, processor)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda parts: {"decoder_attention": parts.decoder_attention[::-1]},
            "not those of the decoder layers",
        ),
        (lambda parts: {"vision_attention": ()}, "not those of the vision layers"),
        (
            lambda parts: {"final_norm": parts.decoder_layers[0].input_layernorm},
            "miss the model's own scores",
        ),
        (lambda parts: {"projector": nn.Identity()}, "a projector is no part of the model"),
    ],
)
def test_wrong_parts_are_told(change, says, monkeypatch):
    model, processor = small("llava")
    family = type(models.resolve(model, processor).family)
    parts = family.parts
    # So that one norm does not do what another does.
    nn.init.uniform_(model.model.language_model.norm.weight, generator=torch.Generator().manual_seed(4))
    monkeypatch.setattr(
        family, "parts", lambda self, one: replace(parts(self, one), **change(parts(self, one)))
    )
    with pytest.raises(AssertionError, match=says):
        check_model(model, processor)


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("vision_layers", "the first vision layer that"),
        ("projector", "the projector that"),
        ("decoder_layers", "the first module that attends"),
    ],
)
def test_parts_that_never_run_are_told(field, says, monkeypatch):
    model, processor = small("llava")
    idle = model.model.idle = nn.Linear(4, 4)
    family = type(models.resolve(model, processor).family)
    parts = family.parts

    def broken(self, one):
        right = parts(self, one)
        return replace(right, **{field: idle if field == "projector" else (idle, *getattr(right, field)[1:])})

    monkeypatch.setattr(family, "parts", broken)
    with pytest.raises(AssertionError, match=says):
        check_model(model, processor)
