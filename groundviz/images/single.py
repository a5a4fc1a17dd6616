"""One image of any kind as a SourceImage, and the images of a file that holds several."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np
from PIL import Image

from groundviz.errors import ImageError
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

TAKEN = (
    "a path, the bytes of a file or an open binary file, a Pillow image, a numpy array, a torch tensor, "
    "a pydicom Dataset or a SourceImage"
)


def load(
    source: Source,
    *,
    frame: int | None = None,
    window: Pair | None = None,
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
            there are several; `load_stack` takes more than one of them.
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
    if is_tensor(source):
        array, _ = contained(partial(_values_of, source))
        return _contained(partial(_from_array, array, channels_first=True), frame, window)
    if reading.is_dataset(source):
        reading.require()
        return _contained(partial(reading.from_dataset, source), frame, window)
    if isinstance(source, bytes | bytearray | memoryview) or hasattr(source, "read"):
        content, _ = contained(partial(content_of, source))
        return _from_stream(io.BytesIO(content), frame, window)
    raise ImageError(f"This is not an image: {type(source).__name__!r} was given. Give {TAKEN}.")


def is_tensor(source: object) -> bool:
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


class Reader(Protocol):
    """Reads one frame of a file that was opened before."""

    def __call__(self, *, frame: int | None, window: Pair | None) -> SourceImage:
        """The frame with its window, or the file's own."""


@contextmanager
def frames_of(source: Source) -> Iterator[tuple[int, Reader]]:
    """How many frames a file, its content, a Pillow image or a data set holds, and what reads one of them.

    The header is read once. Only frames that are asked for are decoded.

    Raises:
        ImageError: As `load` raises it; or it is of another kind.
        MissingExtra: It is DICOM, and pydicom is not installed.
    """
    with ExitStack() as held:
        tag = None
        if isinstance(source, Image.Image):
            opening = partial(files.frames_from_pillow, source)
        elif reading.is_dataset(source):
            reading.require()
            opening = partial(reading.frames_from_dataset, source)
        else:
            stream = held.enter_context(_stream_of(source))
            tag = partial(content_tag, stream)
            kind, _ = contained(partial(kind_of, stream), tag=tag)
            opening = partial(files.frames_of, stream, kind)
            if kind == "dicom":
                reading.require()
                opening = partial(reading.frames_of, stream)
        (count, read), _ = contained(opening, tag=tag)
        yield count, partial(_contained, read, tag=tag)


@contextmanager
def _stream_of(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, str | os.PathLike):
        with opened(os.fspath(source)) as stream:
            yield stream
    elif isinstance(source, bytes | bytearray | memoryview) or hasattr(source, "read"):
        content, _ = contained(partial(content_of, source))
        yield io.BytesIO(content)
    else:
        raise ImageError(f"This holds no frames: {type(source).__name__!r} was given. Give {TAKEN}.")


def _from_stream(stream: BinaryIO, frame: int | None, window: Pair | None) -> SourceImage:
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
    window: Pair | None,
) -> SourceImage:
    choose_frame(frame, 1)
    return displayed(samples_of(array, channels_first=channels_first), source="array", window=window)


def _unchanged(source_image: SourceImage, frame: int | None, window: Pair | None) -> SourceImage:
    if frame is None and window is None:
        return source_image
    raise ImageError(
        "A SourceImage is already one image, mapped to black and white. "
        "Pass frame= and window= when the image is loaded."
    )


def _contained(
    read: Reader,
    frame: int | None,
    window: Pair | None,
    *,
    tag: Callable[[], str] | None = None,
) -> SourceImage:
    """Read with the decoder's messages stopped; a note counts its warnings, without their text."""
    source_image, complaints = contained(partial(read, frame=frame, window=window), tag=tag)
    if not complaints:
        return source_image
    note = f"The decoder found irregularities in the file ({complaints}), and went on."
    return replace(source_image, notes=(*source_image.notes, note))
