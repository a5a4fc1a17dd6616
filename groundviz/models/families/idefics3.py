"""Idefics 3 and SmolVLM.

::

    Idefics3ForConditionalGeneration, SmolVLMForConditionalGeneration
    ├── model.vision_model
    │   └── encoder.layers[i].self_attn   tapped; each tile by itself
    ├── model.connector                   pixel shuffle: patches side by side become one image token
    ├── model.text_model
    │   └── layers[i].self_attn           tapped
    └── lm_head

The longest edge is resized, then both sides are squeezed to whole tiles. The canvas is cut into tiles,
row by row; the overview is the same canvas squeezed into one tile more. In the prompt each tile's
tokens follow a token that names its row and column; the overview comes last. An image of one tile
has only an overview.

The tiles lie side by side without gaps, so their image tokens are one grid, whose rows are in the
prompt tile by tile.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from transformers.models.idefics3.image_processing_pil_idefics3 import get_resize_output_image_size

from groundviz.models.adapter.grids import in_cells, with_tokens
from groundviz.models.adapter.image_geometry import Size, blank
from groundviz.models.adapter.modules import parts_from
from groundviz.models.adapter.tile_layout import join_all_tiles, tile_pixels
from groundviz.models.adapter.vlm import FAMILIES, VLM
from groundviz.models.prompting.encode import finish, read_prompt
from groundviz.models.prompting.formats import Format
from groundviz.record.conversation import Asking
from groundviz.record.geometry import squeezed
from groundviz.record.types import Ints, SourceImage
from groundviz.runtime.inputs.encoded import Cells, Encoded
from groundviz.runtime.inputs.sites import Parts

FALLBACK = Format(
    turn="User:{images}{question}<end_of_utterance>\nAssistant:",
    later="User: {question}<end_of_utterance>\nAssistant:",
    answer=" {answer}<end_of_utterance>\n",
    system="System: {system}<end_of_utterance>\n",
)


class Idefics3:
    """The adapter of Idefics 3 and SmolVLM."""

    says = "Idefics 3 and SmolVLM: the image in tiles, and once more as a whole."
    classes = "Idefics3ForConditionalGeneration and SmolVLMForConditionalGeneration"
    checkpoints = (
        "HuggingFaceM4/Idefics3-8B-Llama3",
        "HuggingFaceTB/SmolVLM-Instruct",
        "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
    )

    def matches(self, config: Any) -> bool:
        """True for model types "idefics3" and "smolvlm"."""
        return getattr(config, "model_type", "") in ("idefics3", "smolvlm")

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images in the model's own chat template."""
        asked = read_prompt(vlm, source_images, question, FALLBACK)
        config, shapes = vlm.model.config, asked.shapes
        processor, patch = vlm.processor.image_processor, config.vision_config.patch_size
        tile = int(processor.max_image_size["longest_edge"])
        images, canvases = [], []
        for number, shape in enumerate(shapes):
            for label, (down, across) in _canvases(processor, shape).items():
                images.append(squeezed((down * tile, across * tile), shape, image=number, label=label))
                canvases.append((down, across))
        patches = in_cells(images, (patch, patch), shapes, "vision")
        shuffled = (config.scale_factor, config.scale_factor)
        tokens = asked.where(config.image_token_id)
        places = _places(canvases, tile // patch // config.scale_factor)
        # If there are more or fewer tokens than cells, `with_tokens` raises the error.
        if len(places) == len(tokens):
            tokens = tokens[places]
        grids = with_tokens(in_cells(patches, shuffled, shapes, "language"), tokens)
        pixels = tile_pixels(sum(down * across for down, across in canvases), tile)
        cells = {
            "pixels": Cells(grids=tuple(images), index=_across(canvases, pixels)[None]),
            "vision": Cells(grids=tuple(patches), index=_places(canvases, tile // patch)),
            "projector": Cells(grids=grids, index=places),
            "language": Cells(grids=grids, index=tokens),
        }
        return finish(vlm, asked, cells=cells)

    def parts(self, model: Any) -> Parts:
        """The modules that methods read."""
        inner = model.model
        return parts_from(
            model,
            vision=inner.vision_model.encoder.layers,
            projector=inner.connector,
            decoder=inner.text_model,
        )


def _canvases(processor: Any, shape: Size) -> dict[str, Size]:
    """Rows and columns of tiles of each of an image's grids."""
    if processor.do_image_splitting:
        size = _tiles(processor, shape)
        if size != (1, 1):
            return {"tiles": size, "overview": (1, 1)}
    return {"": (1, 1)}


def _tiles(processor: Any, shape: Size) -> Size:
    """Rows and columns of tiles that an image processor cuts an image into."""
    rows, cols = _resized(processor, shape)
    tile = processor.max_image_size["longest_edge"]
    # The shorter side follows the longer one once that is a whole number of tiles.
    if cols >= rows:
        across = math.ceil(cols / tile)
        return math.ceil(int(across * tile / (cols / rows)) / tile), across
    down = math.ceil(rows / tile)
    return down, math.ceil(int(down * tile * (cols / rows)) / tile)


def _resized(processor: Any, shape: Size) -> Size:
    """Rows and columns of an image before it is squeezed to whole tiles."""
    size = processor.size
    if not processor.do_resize:
        return shape
    if size.get("longest_edge"):
        rows, cols = get_resize_output_image_size(blank(shape), size["longest_edge"])
        return rows, cols
    return size["height"], size["width"]


def _places(canvases: list[Size], side: int) -> Ints:
    """Where the cells of each canvas stand where tile follows tile, `side` cells on a side of each."""
    count = sum(down * across for down, across in canvases)
    return _across(canvases, np.arange(count * side**2).reshape(count, side, side))


def _across(canvases: list[Size], places: Ints) -> Ints:
    """Places (tile, row, col, ...) of all canvases' tiles, in the order of their grids."""
    ends = np.cumsum([down * across for down, across in canvases])
    return join_all_tiles(np.split(places, ends[:-1]), canvases)


FAMILIES.add("idefics3", Idefics3())
