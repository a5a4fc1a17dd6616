"""Which source pixel each number of a model's image inputs shows, read off a processor with test images.

A ramp gets brighter from row to row, or from column to column: how bright a number is gives the source row
or column that it comes from, whatever was resized, padded, cropped, tiled, flattened or reordered. A test
image of three greys, different for each source image, gives the colour and the image. The model does not run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from groundviz.models.adapter.probe_images import source_image_of
from groundviz.models.adapter.unmeasurable import Unmeasurable
from groundviz.record.types import Bools, Doubles, Ints, SourceImage

Shape = tuple[int, int]
# Keyword tensors of the model's forward for some images.
Process = Callable[[Sequence[SourceImage]], Mapping[str, Tensor]]
COLOURS = 3
# Levels of grey between black and white that 8 bits tell apart with ease.
MOST_LEVELS = 128
# How far, in shares of the whole range, a grey may come out of a processor from where it should be.
MOST_OFF = 0.04


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What the numbers of one image input show; all arrays are shaped like the input.

    Attributes:
        name: Of the input.
        awake: Which numbers show something of a source image, bool.
        image: Which one, int.
        colour: Which of its colours, int.
        at: The source row and column, float (..., 2).
    """

    name: str
    awake: Bools
    image: Ints
    colour: Ints
    at: Doubles


def read_ramps(process: Process, shapes: Sequence[Shape]) -> tuple[Shown, ...]:
    """What every number of every image input shows, for source images of these shapes.

    Cost: five encodings.

    Raises:
        Unmeasurable: The processor's output does not follow the brightness of an image in a straight line.
    """
    black = process([_constant(shape, 0.0) for shape in shapes])
    white = process([_constant(shape, 1.0) for shape in shapes])
    names = _image_inputs(black, white)
    ramps = [process([_ramp(shape, axis) for shape in shapes]) for axis in (0, 1)]
    steps = COLOURS * len(shapes) + 1
    if steps > MOST_LEVELS:
        raise Unmeasurable(f"{len(shapes)} images are more than can be told apart by their brightness")
    greys = process([_greys(shape, number, steps) for number, shape in enumerate(shapes)])
    return tuple(_shown(name, black, white, ramps, greys, shapes) for name in names)


def blank_image(shape: Shape, *, bright: bool = False) -> SourceImage:
    """A grey image, or a bright one."""
    return _constant(shape, 0.9 if bright else 0.5)


def _image_inputs(black: Mapping[str, Tensor], white: Mapping[str, Tensor]) -> list[str]:
    """The inputs that hold the image, whatever their names."""
    names = []
    for name, tensor in black.items():
        other = white[name]
        if not isinstance(tensor, Tensor):
            continue
        if tensor.shape != other.shape:
            raise Unmeasurable("the processor makes tensors of another shape of a black image than of white")
        if not torch.equal(tensor, other):
            if not tensor.is_floating_point():
                raise Unmeasurable("its processor turns images into discrete tokens")
            names.append(name)
    if not names:
        raise Unmeasurable(
            "its processor makes the same of a black image as of a white one, as one does that normalises "
            "each image by its own brightness"
        )
    return names


def _shown(
    name: str,
    black: Mapping[str, Tensor],
    white: Mapping[str, Tensor],
    ramps: Sequence[Mapping[str, Tensor]],
    greys: Mapping[str, Tensor],
    shapes: Sequence[Shape],
) -> Shown:
    dark = _numbers(black[name])
    spread = _numbers(white[name]) - dark
    awake = np.abs(spread) > np.abs(spread).max() / 2
    divisor = np.where(awake, spread, 1.0)
    level = (_numbers(greys[name]) - dark) / divisor * (COLOURS * len(shapes) + 1)
    nearest = np.rint(level)
    off = np.abs(level - nearest)[awake]
    # Where images meet, a number may show two of them.
    if np.mean(off > MOST_OFF * (COLOURS * len(shapes) + 1)) > 0.05:
        raise Unmeasurable("its processor does not pass brightness on in a straight line")
    image, colour = np.divmod(nearest.clip(1, COLOURS * len(shapes)).astype(np.int64) - 1, COLOURS)
    at = np.stack([(_numbers(ramp[name]) - dark) / divisor for ramp in ramps], axis=-1)
    return Shown(name, awake, image, colour, at * np.array(shapes, dtype=np.float64)[image])


def _numbers(tensor: Tensor) -> Doubles:
    return np.asarray(tensor.double().cpu())


def _constant(shape: Shape, level: float) -> SourceImage:
    return source_image_of(np.full((*shape, COLOURS), level))


def _greys(shape: Shape, number: int, steps: int) -> SourceImage:
    levels = (COLOURS * number + 1 + np.arange(COLOURS)) / steps
    return source_image_of(np.broadcast_to(levels, (*shape, COLOURS)))


def _ramp(shape: Shape, axis: int) -> SourceImage:
    """An image that gets brighter along an axis; noise of one level keeps its mean free of rounding."""
    steps = (np.arange(shape[axis]) + 0.5) / shape[axis]
    if axis == 0:
        steps = steps[:, None]
    noise = np.random.default_rng(0).random((*shape, COLOURS)) - 0.5
    ramp = np.broadcast_to(steps, shape)[..., None] + noise / 255
    return source_image_of(np.clip(ramp, 0.0, 1.0))
