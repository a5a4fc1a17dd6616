"""Any image in, a Study out: display-ready pixels without a trace of whose they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image

from groundviz.errors import ImageError
from groundviz.images import dicom, raster
from groundviz.images.arrays import samples_of
from groundviz.images.containment import contained
from groundviz.images.display import picture
from groundviz.images.intake import content_tag, kind_of, opened
from groundviz.images.limits import choose_frame
from groundviz.types import Study

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    Source = str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any] | Dataset | Study

__all__ = ["load", "load_each"]


def load(
    source: Source,
    *,
    frame: int | None = None,
    window: tuple[float, float] | None = None,
) -> Study:
    """Turn an image into display-ready pixels, saying in `notes` all that was done to them.

    Files are known by their content: PNG, JPEG, TIFF, WebP, BMP or DICOM, at most 256 MB and 64
    megapixels. What the numbers of each kind mean is stated in `groundviz.images.modes` (rasters),
    `groundviz.images.arrays` and `groundviz.images.presentation` (DICOM).

    Args:
        source: A path, a Pillow image, a numpy array (rows, cols) or (rows, cols, 1, 3 or 4), a
            pydicom data set, or a Study, which comes back as it is.
        frame: Which picture of a multi-page or multi-frame image, counting from 0. Never chosen
            silently: several pictures need it.
        window: (centre, width) of the values to spread from black to white, in the units of the
            file (Hounsfield units for CT), in place of what the file or its type suggests.

    Returns:
        Pixels float32 in 0 to 1, (rows, cols) if grey or (rows, cols, 3), without any identity.

    Raises:
        ImageError: The image is missing, damaged, too large, of another kind, or ambiguous. The
            message carries no path, only the first digits of the content's SHA-256.
        MissingExtra: It is DICOM, and pydicom is not installed.

    >>> study = load(np.array([[0, 51], [102, 255]], dtype=np.uint8))
    >>> study.pixels.round(1).tolist(), study.source, study.raw_range
    ([[0.0, 0.20000000298023224], [0.4000000059604645, 1.0]], 'array', (0.0, 255.0))
    """
    if isinstance(source, Study):
        return _unchanged(source, frame, window)
    if isinstance(source, str | os.PathLike):
        return _from_file(os.fspath(source), frame, window)
    if isinstance(source, Image.Image):
        return _contained(partial(raster.from_pillow, source), frame, window)
    if isinstance(source, np.ndarray):
        return _contained(partial(_from_array, source), frame, window)
    if dicom.is_dataset(source):
        dicom.require()
        return _contained(partial(dicom.from_dataset, source), frame, window)
    raise ImageError(
        f"This is not an image: {type(source).__name__!r} was given. Give a path, a Pillow image, "
        "a numpy array or a pydicom Dataset."
    )


def load_each(sources: Source | list[Source] | tuple[Source, ...]) -> tuple[Study, ...]:
    """One image, or every image of a list or tuple, as display-ready pixels.

    Args:
        sources: What `load` takes, or a list or tuple of it. A numpy array is one image.

    Raises:
        ImageError: One of them will not do, as in `load`, or the list is empty.
        MissingExtra: One of them is DICOM, and pydicom is not installed.

    >>> now, before = np.zeros((4, 6), np.uint8), np.zeros((5, 5), np.uint8)
    >>> [study.shape for study in load_each([now, before])], len(load_each(now))
    ([(4, 6), (5, 5)], 1)
    """
    if not isinstance(sources, list | tuple):
        return (load(sources),)
    if not sources:
        raise ImageError("There is no image: an empty list was given. Give at least one image.")
    return tuple(load(source) for source in sources)


class _Reader(Protocol):
    def __call__(self, *, frame: int | None, window: tuple[float, float] | None) -> Study: ...


def _from_file(path: str, frame: int | None, window: tuple[float, float] | None) -> Study:
    with opened(path) as stream:
        tag = partial(content_tag, stream)
        kind, _ = contained(partial(kind_of, stream), tag=tag)
        if kind == "dicom":
            dicom.require()
        read = partial(dicom.read, stream) if kind == "dicom" else partial(raster.read, stream, kind)
        return _contained(read, frame, window, tag=tag)


def _from_array(
    array: np.ndarray[Any, Any], *, frame: int | None, window: tuple[float, float] | None
) -> Study:
    choose_frame(frame, 1)
    return picture(samples_of(array), source="array", window=window)


def _unchanged(study: Study, frame: int | None, window: tuple[float, float] | None) -> Study:
    if frame is None and window is None:
        return study
    raise ImageError(
        "A Study is already one picture, mapped to black and white. "
        "Pass frame= and window= when the image is loaded."
    )


def _contained(
    read: _Reader,
    frame: int | None,
    window: tuple[float, float] | None,
    *,
    tag: Callable[[], str] | None = None,
) -> Study:
    """Read behind the wall; what the decoder complained about becomes a note, without its words."""
    study, complaints = contained(partial(read, frame=frame, window=window), tag=tag)
    if not complaints:
        return study
    note = f"The decoder found irregularities in the file ({complaints}), and went on."
    return replace(study, notes=(*study.notes, note))
