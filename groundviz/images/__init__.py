"""Loads any image as a SourceImage: display-ready pixels without the identity of the patient."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from numbers import Number
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np
from PIL import Image

from groundviz.errors import ImageError, MissingExtra
from groundviz.images.base.display import displayed
from groundviz.images.base.intake import content_of, content_tag, kind_of, opened
from groundviz.images.base.limits import choose_frame
from groundviz.images.dicom import reading
from groundviz.images.dicom.containment import contained
from groundviz.images.raster import files
from groundviz.images.raster.arrays import samples_of
from groundviz.record.types import SourceImage

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    Content = bytes | bytearray | memoryview | BinaryIO
    Source = (
        str | os.PathLike[str] | Content | Image.Image | np.ndarray[Any, Any] | Dataset | SourceImage | Any
    )

Pair = tuple[float, float]

_TAKEN = (
    "a path, the bytes of a file or an open binary file, a Pillow image, a numpy array, a torch tensor, "
    "a pydicom Dataset or a SourceImage"
)

__all__ = ["load", "load_each"]


def load(
    source: Source,
    *,
    frame: int | None = None,
    window: tuple[float, float] | None = None,
) -> SourceImage:
    """Turn an image into display-ready pixels; `notes` lists all that was done to them.

    Files are recognised by their content: PNG, JPEG, TIFF, WebP, BMP or DICOM, at most 256 MB, 64
    megapixels and what can be read in 512 MB of memory, see `groundviz.images.base.limits`. The meaning of
    the numbers of each kind is in `groundviz.images.raster.modes` (rasters),
    `groundviz.images.raster.arrays` and `groundviz.images.dicom.presentation` (DICOM).

    Args:
        source: A path; the content of a file as bytes, or open for reading; a Pillow image; a numpy
            array or a torch tensor, grey or with 1, 3 or 4 channels last or first, see
            `groundviz.images.raster.arrays`; a pydicom data set; or a SourceImage, which is returned as
            it is.
        frame: Which image of a multi-page or multi-frame image, counting from 0. It must be named where
            there are several.
        window: (centre, width) of the values to spread from black to white, in the units of the
            file (Hounsfield units for CT), in place of the file's own or the usual range. For a PNG
            and its like these are the stored numbers: 0 to 255 for 8 bits.

    Returns:
        Pixels float32 in 0 to 1, (rows, cols) if grey or (rows, cols, 3), without any identity.

    Raises:
        ImageError: The image is missing, damaged, too large, of another kind, or ambiguous. The
            message carries no path, only the first digits of the content's SHA-256.
        MissingExtra: It is DICOM, and pydicom is not installed.

    >>> source_image = load(np.array([[0, 51], [102, 255]], dtype=np.uint8))
    >>> source_image.pixels.round(1).tolist(), source_image.source, source_image.raw_range
    ([[0.0, 0.20000000298023224], [0.4000000059604645, 1.0]], 'array', (0.0, 255.0))
    """
    if isinstance(source, SourceImage):
        return _unchanged(source, frame, window)
    if isinstance(source, str | os.PathLike):
        with opened(os.fspath(source)) as stream:
            return _from_stream(stream, frame, window)
    if isinstance(source, Image.Image):
        return _contained(partial(files.from_pillow, source), frame, window)
    if isinstance(source, np.ndarray):
        return _contained(partial(_from_array, source, channels_first=False), frame, window)
    if _is_tensor(source):
        array, _ = contained(partial(_values_of, source))
        return _contained(partial(_from_array, array, channels_first=True), frame, window)
    if reading.is_dataset(source):
        reading.require()
        return _contained(partial(reading.from_dataset, source), frame, window)
    if isinstance(source, bytes | bytearray | memoryview) or hasattr(source, "read"):
        content, _ = contained(partial(content_of, source))
        return _from_stream(io.BytesIO(content), frame, window)
    raise ImageError(f"This is not an image: {type(source).__name__!r} was given. Give {_TAKEN}.")


def load_each(
    sources: Source | list[Source] | tuple[Source, ...],
    *,
    frame: int | list[int | None] | None = None,
    window: Pair | list[Pair | None] | None = None,
) -> tuple[SourceImage, ...]:
    """One image, or every image of a list or tuple, as display-ready pixels.

    Args:
        sources: What `load` takes, or a list or tuple of it. An array or a tensor is one image.
        frame: As in `load`: one number for all images, or a list with one for each (None where the
            image has only one image).
        window: As in `load`: one (centre, width) for all images, or a list with one for each (None
            where the file's own is to be used).

    Raises:
        ImageError: One of them cannot be read, as in `load`; the list is empty; or the numbers of
            frames or windows and of images differ.
        MissingExtra: One of them is DICOM, and pydicom is not installed.

    >>> now, before = np.zeros((4, 6), np.uint8), np.zeros((5, 5), np.uint8)
    >>> [source_image.shape for source_image in load_each([now, before])], len(load_each(now))
    ([(4, 6), (5, 5)], 1)
    >>> [source_image.window for source_image in load_each([now, before], window=[(40, 80), None])]
    [(40.0, 80.0), None]
    """
    if not isinstance(sources, list | tuple):
        sources = (sources,)
    if not sources:
        raise ImageError(f"There is no image: an empty list was given. Give {_TAKEN}, or a list of these.")
    count = len(sources)
    frames = _one_each(frame, count, "frame")
    windows = _one_each(window, count, "window")
    source_images = []
    for number, (source, chosen, pair) in enumerate(zip(sources, frames, windows, strict=True), start=1):
        try:
            source_images.append(load(source, frame=chosen, window=pair))
        except (ImageError, MissingExtra) as error:
            if count == 1:
                raise
            failure = type(error)(f"Image {number} of {count}: {error}")
            break
    else:
        return tuple(source_images)
    # Raised outside the handler, so that the first error is not its context.
    raise failure


def _one_each(given: Any, count: int, what: str) -> list[Any]:
    """A value for every image: the same for all, or those of a list."""
    several = isinstance(given, list | tuple)
    if several and what == "window" and len(given) == 2 and all(isinstance(end, Number) for end in given):
        # Two numbers are one window, not two.
        several = False
    if not several:
        return [given] * count
    if len(given) != count:
        images = "1 image" if count == 1 else f"{count} images"
        raise ImageError(
            f"{len(given)} values were given as {what}= for {images}. Give "
            f"one for all of them, or a list with one for each."
        )
    return list(given)


def _is_tensor(source: object) -> bool:
    """Whether `source` is a torch tensor; torch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(source, torch.Tensor)


def _values_of(tensor: Any) -> np.ndarray[Any, Any]:
    """The numbers of a tensor, wherever it lies and whether or not it has gradients."""
    plain = tensor.detach().cpu()
    # numpy has no bfloat16, and float32 holds every number of half precision.
    if plain.is_floating_point() and plain.element_size() < 4:
        plain = plain.float()
    return np.asarray(plain.numpy())


class _Reader(Protocol):
    def __call__(self, *, frame: int | None, window: tuple[float, float] | None) -> SourceImage: ...


def _from_stream(stream: BinaryIO, frame: int | None, window: tuple[float, float] | None) -> SourceImage:
    tag = partial(content_tag, stream)
    kind, _ = contained(partial(kind_of, stream), tag=tag)
    if kind == "dicom":
        reading.require()
        return _contained(partial(reading.read, stream), frame, window, tag=tag)
    return _contained(partial(files.read, stream, kind), frame, window, tag=tag)


def _from_array(
    array: np.ndarray[Any, Any],
    *,
    channels_first: bool,
    frame: int | None,
    window: tuple[float, float] | None,
) -> SourceImage:
    choose_frame(frame, 1)
    return displayed(samples_of(array, channels_first=channels_first), source="array", window=window)


def _unchanged(
    source_image: SourceImage, frame: int | None, window: tuple[float, float] | None
) -> SourceImage:
    if frame is None and window is None:
        return source_image
    raise ImageError(
        "A SourceImage is already one image, mapped to black and white. "
        "Pass frame= and window= when the image is loaded."
    )


def _contained(
    read: _Reader,
    frame: int | None,
    window: tuple[float, float] | None,
    *,
    tag: Callable[[], str] | None = None,
) -> SourceImage:
    """Read with the decoder's messages stopped; a note counts its warnings, without their text."""
    source_image, complaints = contained(partial(read, frame=frame, window=window), tag=tag)
    if not complaints:
        return source_image
    note = f"The decoder found irregularities in the file ({complaints}), and went on."
    return replace(source_image, notes=(*source_image.notes, note))
