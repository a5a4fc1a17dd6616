"""A prompt made ready for one model, with the place of the image in every tensor that holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from groundviz.record.types import Grid, Ints, Prompt

PIXELS = "pixel_values"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """The cells of some grids, and where each of them stands in a tensor that holds the image.

    The cells are those of `geometry.held_cells`: grid by grid, row by row.

    Attributes:
        grids: Where the cells lie in the source images.
        index: Behind a layer int (cell,): each cell's place in the layer's output for one prompt,
            (place, channel) with all axes but the channels' flattened. At the pixels int
            (copy, cell, channel): the places of each number in the prompt's `pixel_values`, flattened;
            there is more than one copy where a model is shown every image several times. Empty for
            pixels of the source images themselves, in three colours, which the model's processor
            reads anew: of a model about whose tensors nothing is known.
    """

    grids: tuple[Grid, ...]
    index: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """A prompt, the keyword tensors that carry it into the model's forward, and where the image is.

    Attributes:
        prompt: What is asked; its grids are those that attention maps lie on.
        inputs: Keyword tensors of the forward, for a batch of one.
        columns: int (image token,): what the answer's attention can look at. Positions in the prompt;
            or, for a model whose decoder looks at the image through cross-attention, columns of that.
        cells: By stage, "pixels", "vision", "projector" and "language", the cells of the image
            there. A stage is missing where its tensors hold no cells: the image tokens of a resampler
            tell of the whole image, and cross-attention puts no image tokens into the text.
        said: What inputs that hold something for each token hold for those of an answer, by name,
            where that is not what they hold for the prompt's last one.
    """

    prompt: Prompt
    inputs: Mapping[str, Tensor]
    columns: Ints
    cells: Mapping[str, Cells]
    said: Mapping[str, int] = field(default_factory=dict)
