"""Image processors of transformers that need torchvision, over torch's own resizing, padding and scaling.

torchvision is not among the packages that the tests install, and some types have an image processor for it
alone. How such a processor tiles, orders and counts is its own code; only the arithmetic of pixels is
torchvision's. Here that code runs over a stand-in for the arithmetic. Where torchvision is installed, nothing
is replaced.
"""

from __future__ import annotations

import enum
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

BACKEND = "transformers.image_processing_backends"
"""The module that the image processors inherit from."""

FAKES = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
FAKES_V2 = ("torchvision.transforms.v2", "torchvision.transforms.v2.functional")

_own: dict[str, ModuleType] = {}
"""The modules that were imported over the stand-in, by name. Nobody else sees them."""


def processing(module: str) -> Any:
    """A module of transformers that needs torchvision, imported over the stand-in where that is missing.

    It is found again by this function alone: `sys.modules` and transformers stay as they were.

    Args:
        module: Its name within `transformers.models`.

    >>> pixels = processing("llama4.image_processing_llama4").Llama4ImageProcessor()
    >>> pixels(torch.zeros(3, 61, 45, dtype=torch.uint8), return_tensors="pt")["pixel_values"].shape
    torch.Size([1, 3, 336, 336])
    >>> "torchvision" in sys.modules and find_spec("torchvision") is None
    False
    """
    with torchvision_stand_in():
        return importlib.import_module(f"transformers.models.{module}")


@contextmanager
def torchvision_stand_in() -> Iterator[None]:
    """While it lasts, modules of transformers can be imported that import torchvision.

    What was imported so is taken out of `sys.modules` again, and works on.
    """
    if find_spec("torchvision") is not None:
        yield
        return
    import transformers.image_processing_backends  # noqa: F401
    from transformers.utils.import_utils import is_torchvision_available

    # It remembers what it found first, which must not be the stand-in.
    is_torchvision_available()
    before = dict(sys.modules)
    if not _own:
        _own.update(_fakes())
    sys.modules.update(_own)
    try:
        if BACKEND not in _own:
            _own[BACKEND] = _backend()
        yield
    finally:
        _own.update(_touched({name: one for name, one in sys.modules.items() if name not in before}))
        for name in _own:
            _put_back(name, before.get(name))


def _backend() -> ModuleType:
    """The module of the image processors' base class, imported once more, as if torchvision were there."""
    from transformers import image_utils, utils

    modes = InterpolationMode.__members__
    ways = {way: modes[way.name] for way in Image.Resampling if way.name in modes}
    ways[Image.Resampling.NEAREST] = InterpolationMode.NEAREST_EXACT
    changed: list[tuple[Any, str, Any]] = [
        (utils, "is_torchvision_available", lambda: True),
        (image_utils, "pil_torch_interpolation_mapping", ways),
        (image_utils, "torch_pil_interpolation_mapping", {mine: pil for pil, mine in ways.items()}),
    ]
    kept = [(place, name, getattr(place, name)) for place, name, _ in changed]
    sys.modules.pop(BACKEND)
    try:
        for place, name, value in changed:
            setattr(place, name, value)
        return importlib.import_module(BACKEND)
    finally:
        for place, name, value in kept:
            setattr(place, name, value)


def _touched(fresh: dict[str, ModuleType]) -> dict[str, ModuleType]:
    """Those of newly imported modules that hold anything of the stand-in, themselves or through another."""
    names, found = set(_own), True
    while found:
        found = False
        for name, one in fresh.items():
            if name in names or not name.startswith("transformers.models.") or hasattr(one, "__path__"):
                continue
            if any(
                getattr(value, "__module__", None) in names or value in _values(_own)
                for value in _values(vars(one))
            ):
                names.add(name)
                found = True
    return {name: one for name, one in fresh.items() if name in names}


def _values(names: dict[str, Any]) -> list[Any]:
    return [value for value in names.values() if isinstance(value, (ModuleType, type)) or callable(value)]


def _put_back(name: str, old: ModuleType | None) -> None:
    """Let a name stand for what it stood for, in sys.modules and in the package above."""
    package, _, short = name.rpartition(".")
    above = sys.modules.get(package)
    if old is None:
        sys.modules.pop(name, None)
        if above is not None:
            vars(above).pop(short, None)
    else:
        sys.modules[name] = old
        setattr(above, short, old)


def _fakes() -> dict[str, ModuleType]:
    """Empty modules of torchvision's names, and those that have functions."""
    made = {name: ModuleType(name) for name in (*FAKES, *FAKES_V2)}
    for name, one in made.items():
        one.__spec__ = ModuleSpec(name, None)
        one.__path__ = []
        package, _, short = name.rpartition(".")
        if package:
            setattr(made[package], short, one)
        if name.startswith("torchvision.transforms"):
            vars(one).update(PIXELS)
    return made


class InterpolationMode(enum.Enum):
    """Ways to resize, by torchvision's names."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


PILLOW = {
    0: InterpolationMode.NEAREST,
    1: InterpolationMode.LANCZOS,
    2: InterpolationMode.BILINEAR,
    3: InterpolationMode.BICUBIC,
    4: InterpolationMode.BOX,
    5: InterpolationMode.HAMMING,
}


def resize(
    image: torch.Tensor,
    size: int | Sequence[int],
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> torch.Tensor:
    """Images of another height and width; whole numbers are rounded.

    >>> resize(torch.zeros(2, 3, 8, 6, dtype=torch.uint8), [4, 5]).shape
    torch.Size([2, 3, 4, 5])
    >>> resize(torch.full((3, 8, 6), 7, dtype=torch.uint8), 3).shape
    torch.Size([3, 4, 3])
    """
    if isinstance(interpolation, int):
        # As Pillow counts them.
        interpolation = PILLOW[interpolation]
    height, width = image.shape[-2:]
    sides = [size] if isinstance(size, int) else [int(side) for side in size]
    if len(sides) == 1:
        scale = sides[0] / min(height, width)
        if max_size is not None:
            scale = min(scale, max_size / max(height, width))
        sides = [max(1, int(height * scale)), max(1, int(width * scale))]
    smooth = interpolation not in (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT)
    # torch has no Lanczos; transformers, too, takes bicubic for it where it must.
    way = {"box": "area", "hamming": "bilinear", "lanczos": "bicubic"}.get(
        interpolation.value, interpolation.value
    )
    flat = image.reshape(-1, 1, height, width).float()
    filtered = way in ("bilinear", "bicubic")
    if sides != [height, width]:
        flat = functional.interpolate(
            flat,
            size=sides,
            mode=way,
            align_corners=False if filtered else None,
            antialias=bool(antialias) and filtered,
        )
    if smooth and not image.is_floating_point():
        last = 1 if image.dtype == torch.bool else torch.iinfo(image.dtype).max
        flat = flat.round().clamp(0, last)
    return flat.reshape(*image.shape[:-2], *sides).to(image.dtype)


def pad(
    image: torch.Tensor,
    padding: int | Sequence[int],
    fill: float | Sequence[float] | None = 0,
    padding_mode: str = "constant",
) -> torch.Tensor:
    """Images with borders: one width, or of the sides and of top and bottom, or left, top, right, bottom.

    >>> pad(torch.ones(3, 2, 2), [0, 0, 1, 2], fill=[5, 6, 7])[:, -1, -1]
    tensor([5., 6., 7.])
    """
    sides = [padding] if isinstance(padding, int) else list(padding)
    left, top, right, bottom = {1: sides * 4, 2: sides * 2}.get(len(sides), sides)
    borders = (left, right, top, bottom)
    if padding_mode != "constant":
        mode = {"edge": "replicate", "reflect": "reflect"}[padding_mode]
        flat = functional.pad(image.reshape(-1, 1, *image.shape[-2:]).float(), borders, mode=mode)
        return flat.reshape(*image.shape[:-2], *flat.shape[-2:]).to(image.dtype)
    colours = [0.0 if fill is None else fill] if not isinstance(fill, Sequence) else list(fill)
    if len(colours) == 1:
        return functional.pad(image, borders, value=colours[0])
    inside = functional.pad(torch.ones(image.shape[-2:], dtype=torch.bool), borders, value=False)
    colour = torch.tensor(colours, dtype=torch.float32).to(image.dtype)[:, None, None]
    return torch.where(inside.to(image.device), functional.pad(image, borders), colour.to(image.device))


def crop(image: torch.Tensor, top: int, left: int, height: int, width: int) -> torch.Tensor:
    """A rectangle of images; what lies outside of them is zero.

    >>> crop(torch.arange(6).reshape(1, 2, 3), 0, 1, 3, 2)
    tensor([[[1, 2],
             [4, 5],
             [0, 0]]])
    """
    rows, columns = image.shape[-2:]
    # Negative borders cut.
    return functional.pad(image, (-left, left + width - columns, -top, top + height - rows))


def normalize(
    image: torch.Tensor,
    mean: Sequence[float] | torch.Tensor,
    std: Sequence[float] | torch.Tensor,
    inplace: bool = False,
) -> torch.Tensor:
    """Each channel less its mean, over its deviation.

    >>> normalize(torch.full((1, 1, 2), 5.0), [3.0], [2.0])
    tensor([[[1., 1.]]])
    """
    means, deviations = (torch.as_tensor(one, dtype=image.dtype).reshape(-1, 1, 1) for one in (mean, std))
    return (image - means) / deviations


def grayscale_to_rgb(image: torch.Tensor) -> torch.Tensor:
    """Three channels of one; others stay.

    >>> grayscale_to_rgb(torch.zeros(1, 2, 2)).shape
    torch.Size([3, 2, 2])
    """
    return image.expand(*image.shape[:-3], 3, -1, -1) if image.shape[-3] == 1 else image


def rgb_to_grayscale(image: torch.Tensor, num_output_channels: int = 1) -> torch.Tensor:
    """The brightness of three channels, once or thrice.

    >>> rgb_to_grayscale(torch.ones(3, 2, 2)).shape
    torch.Size([1, 2, 2])
    """
    weights = torch.tensor([0.2989, 0.587, 0.114])[:, None, None]
    grey = image if image.shape[-3] == 1 else (image.float() * weights).sum(-3, keepdim=True).to(image.dtype)
    return grey.expand(*grey.shape[:-3], num_output_channels, -1, -1)


def to_dtype(image: torch.Tensor, dtype: torch.dtype = torch.float32, scale: bool = False) -> torch.Tensor:
    """Another type of number; `scale` maps 0 to 255 to 0 to 1, and back.

    >>> to_dtype(torch.full((1, 1, 1), 255, dtype=torch.uint8), scale=True).item()
    1.0
    """
    if not scale or image.is_floating_point() == dtype.is_floating_point:
        return image.to(dtype)
    if dtype.is_floating_point:
        return image.to(dtype) / 255
    return (image * 255.999).to(dtype)


def pil_to_tensor(image: Image.Image) -> torch.Tensor:
    """The pixels of an image of Pillow's, channels first.

    >>> pil_to_tensor(Image.new("RGB", (4, 2))).shape
    torch.Size([3, 2, 4])
    """
    pixels = torch.from_numpy(np.array(image))
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)


def to_image(image: Any) -> torch.Tensor:
    """The pixels of any image, channels first.

    >>> to_image(np.zeros((2, 4, 3))).shape
    torch.Size([3, 2, 4])
    """
    if isinstance(image, Image.Image):
        return pil_to_tensor(image)
    return image if isinstance(image, torch.Tensor) else torch.from_numpy(image).permute(2, 0, 1)


def to_pil_image(image: Any) -> Image.Image:
    """An image of Pillow's, from a tensor with channels first or an array with channels last.

    >>> to_pil_image(torch.zeros(3, 2, 4)).size
    (4, 2)
    """
    pixels = (
        to_dtype(image, torch.uint8, scale=True).permute(1, 2, 0).numpy() if torch.is_tensor(image) else image
    )
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


PIXELS: dict[str, Any] = {
    one.__name__: one
    for one in (
        InterpolationMode,
        resize,
        pad,
        crop,
        normalize,
        grayscale_to_rgb,
        rgb_to_grayscale,
        to_dtype,
        pil_to_tensor,
        to_image,
        to_pil_image,
    )
} | {"to_dtype_image": to_dtype, "resize_image": resize, "pad_image": pad}
"""What the modules of torchvision's names hold."""
