"""Llama 3.2 Vision.

::

    MllamaForConditionalGeneration
    ├── model.vision_model
    │   ├── transformer.layers[i].self_attn          tapped; all tiles of an image in one sequence
    │   └── global_transformer.layers[i].self_attn   tapped
    ├── model.multi_modal_projector                  patch by patch, class tokens and empty tiles too
    ├── model.language_model
    │   ├── layers[i].self_attn                      tapped; the text, with no image token in it
    │   └── layers[j].cross_attn                     tapped; from text to patches, behind a gate
    └── lm_head

The image is resized, its sides in proportion, to fit a canvas of up to four tiles, filled up at the
right and at the bottom. Each tile has a class token before its patches; in the tower also some that
fill it up to a multiple of eight. Images with fewer tiles are given empty ones. The columns of
cross-attention are image by image, tile by tile: class token, then patches row by row.

The tiles lie side by side without gaps, so the patches of an image are one grid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from transformers.models.mllama.image_processing_pil_mllama import get_image_size_fit_to_canvas

from groundviz.models.adapter.grids import in_cells
from groundviz.models.adapter.image_geometry import Size
from groundviz.models.adapter.mismatch import check_belonging
from groundviz.models.adapter.modules import parts_from
from groundviz.models.adapter.tile_layout import join_all_tiles, tile_pixels
from groundviz.models.adapter.vlm import FAMILIES, VLM
from groundviz.models.prompting.defaults import LLAMA
from groundviz.models.prompting.encode import finish, read_prompt
from groundviz.record.conversation import Asking
from groundviz.record.geometry import pixel_grid, scale_shift
from groundviz.record.types import Grid, Ints, SourceImage
from groundviz.runtime.inputs.encoded import PIXELS, Cells, Encoded
from groundviz.runtime.inputs.sites import Parts

# The tower fills the tokens of each tile up to a multiple of this.
MULTIPLE = 8


class Mllama:
    """The adapter of Llama 3.2 Vision."""

    says = "Llama 3.2 Vision: the image in tiles, attended to by cross-attention."
    classes = "MllamaForConditionalGeneration"
    checkpoints = ("meta-llama/Llama-3.2-11B-Vision-Instruct",)

    def matches(self, config: Any) -> bool:
        """True for model type "mllama"."""
        return getattr(config, "model_type", "") == "mllama"

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images in the model's own chat template."""
        asked = read_prompt(vlm, source_images, question, LLAMA)
        config, vision = vlm.model.config, vlm.model.config.vision_config
        patch, most = vision.patch_size, vision.max_num_tiles
        _check_tiles(asked.inputs[PIXELS].shape, most, vision.image_size)
        shapes = asked.shapes
        tiles, images = [], []
        # The processor numbers the supported ratios from 1; 0 is an empty image.
        ratios = asked.inputs["aspect_ratio_ids"][0].tolist()
        for number, (ratio, shape) in enumerate(zip(ratios, shapes, strict=True)):
            down, across = vision.supported_aspect_ratios[ratio - 1]
            canvas = (down * vision.image_size, across * vision.image_size)
            tiles.append((down, across))
            images.append(_image(canvas, vision.image_size, shape, number))
        patches = in_cells(images, (patch, patch), shapes, "vision")
        grids = in_cells(images, (patch, patch), shapes, "cross")
        side = vision.image_size // patch
        columns = join_all_tiles(_behind_class_tokens(len(tiles), most, side, filled=0), tiles)
        filled = _behind_class_tokens(len(tiles), most, side, filled=-(1 + side**2) % MULTIPLE)
        pixels = np.stack(np.split(tile_pixels(len(tiles) * most, vision.image_size), len(tiles)))
        cells = {
            "pixels": Cells(grids=tuple(images), index=join_all_tiles(pixels, tiles)[None]),
            "vision": Cells(grids=tuple(patches), index=join_all_tiles(filled, tiles)),
            "projector": Cells(grids=tuple(grids), index=columns),
        }
        image = asked.where(config.image_token_id)
        return finish(vlm, asked, image=image, grids=grids, columns=columns, cells=cells)

    def parts(self, model: Any) -> Parts:
        """The modules that methods read."""
        tower, decoder = model.model.vision_model, model.model.language_model
        crossing = [layer.cross_attn for layer in decoder.layers if hasattr(layer, "cross_attn")]
        return parts_from(
            model,
            vision=(*tower.transformer.layers, *tower.global_transformer.layers),
            projector=model.model.multi_modal_projector,
            decoder=decoder,
            cross_attention=tuple(crossing),
            # The text also attends to the class tokens, which are no cells.
            gates=(),
        )


def _check_tiles(shape: tuple[int, ...], most: int, side: int) -> None:
    check_belonging(
        (shape[2], shape[-1]) == (most, side),
        f"The processor makes {shape[2]} tiles of {shape[-1]} pixels, and the vision tower takes {most} "
        f"of {side}.",
    )


def _image(canvas: Size, tile: int, shape: Size, number: int) -> Grid:
    """The pixels of a canvas that an image was fitted to, from its top left corner on."""
    rows, cols = get_image_size_fit_to_canvas(*shape, *canvas, tile)
    return pixel_grid(canvas, scale_shift((shape[0] / rows, shape[1] / cols)), shape, image=number)


def _behind_class_tokens(images: int, most: int, side: int, *, filled: int) -> Ints:
    """Where each patch stands, (image, tile, row, col), tiles one after another.

    Args:
        images: How many there are.
        most: Tiles that every image is given.
        side: Patches on a side of a tile.
        filled: Tokens behind the patches of a tile that are none.
    """
    length = 1 + side**2 + filled
    places = np.arange(images * most * length).reshape(images, most, length)
    return places[:, :, 1 : 1 + side**2].reshape(images, most, side, side)


FAMILIES.add("mllama", Mllama())
