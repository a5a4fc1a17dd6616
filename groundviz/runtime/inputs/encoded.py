"""A prompt as tensors for one model, with the positions of the image in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from groundviz.record.types import Grid, Ints, Prompt

PIXELS = "pixel_values"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """The cells of some grids, and the position of each of them in a tensor that holds the image.

    The cells are those of `geometry.held_cells`: grid by grid, row by row.

    Attributes:
        grids: Where the cells lie in the source images.
        index: For a layer int (cell,): each cell's position in the layer's output for one prompt, with
            all axes flattened except the channels: (position, channel). For the pixels int
            (copy, cell, channel): the positions of each number in the prompt's image inputs, flattened
            and one after another; there are several copies where a model sees every image several
            times. Empty where the layout of the model's image tensors is not known: then the pixels are
            those of the source images, in three colours, and the model's processor reads them anew.
    """

    grids: tuple[Grid, ...]
    index: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """A prompt, the keyword tensors that carry it into the model's forward, and where the image is.

    Attributes:
        prompt: What is asked; its grids are those that attention maps lie on.
        inputs: Keyword tensors of the forward, for a batch of one.
        columns: int (image token,): what the answer can attend to. Positions in the prompt; or, for a
            model whose decoder attends to the image through cross-attention, columns of that.
        cells: By stage, "pixels", "vision", "projector" and "language", the cells of the image
            there. A stage is missing where its tensors hold no cells: each image token of a resampler
            depends on the whole image, and cross-attention puts no image tokens into the text.
        answer_fill: By name of an input with one value per token, its value at answer tokens, where
            that is not its value at the prompt's last token.
        image_inputs: Names of the inputs that hold the image.
    """

    prompt: Prompt
    inputs: Mapping[str, Tensor]
    columns: Ints
    cells: Mapping[str, Cells]
    answer_fill: Mapping[str, int] = field(default_factory=dict)
    image_inputs: tuple[str, ...] = (PIXELS,)
