"""Loads any image as a SourceImage: display-ready pixels without the identity of the patient."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from numbers import Integral, Number
from typing import TYPE_CHECKING, Any

from groundviz.errors import ImageError
from groundviz.images.base.several import one_of
from groundviz.images.single import TAKEN, Pair
from groundviz.images.single import load as load
from groundviz.images.stack import Frames, is_folder
from groundviz.images.stack import load_stack as load_stack
from groundviz.record.types import SourceImage

if TYPE_CHECKING:
    from groundviz.images.single import Source as Source

__all__ = ["load", "load_each", "load_stack"]


def load_each(
    sources: Source | list[Source] | tuple[Source, ...],
    *,
    frame: int | list[int | None] | None = None,
    frames: Frames | list[Frames | None] | None = None,
    window: Pair | list[Pair | None] | None = None,
) -> tuple[SourceImage, ...]:
    """One image, or every image of a list or tuple, as display-ready pixels; stacks slice by slice.

    Args:
        sources: What `load` takes, or a list or tuple of it. An array or a tensor is one image. A folder, a
            list within the list, and whatever has `frames` is a stack, see `load_stack`.
        frame: As in `load`: one number for all images, or a list with one for each (None where the
            image has only one image).
        frames: As in `load_stack`: numbers for all images, or a list with numbers for each (None where the
            image is no stack, or is to be taken whole).
        window: As in `load`: one (centre, width) for all images, or a list with one for each (None
            where the file's own is to be used).

    Raises:
        ImageError: One of them cannot be read, as in `load` and `load_stack`; the list is empty; or the
            numbers of frames or windows and of images differ.
        MissingExtra: One of them is DICOM, and pydicom is not installed.

    >>> import numpy as np
    >>> now, before = np.zeros((4, 6), np.uint8), np.zeros((5, 5), np.uint8)
    >>> [source_image.shape for source_image in load_each([now, before])], len(load_each(now))
    ([(4, 6), (5, 5)], 1)
    >>> [source_image.window for source_image in load_each([now, before], window=[(40, 80), None])]
    [(40.0, 80.0), None]
    """
    if not isinstance(sources, list | tuple):
        sources = (sources,)
    if not sources:
        raise ImageError(f"There is no image: an empty list was given. Give {TAKEN}, or a list of these.")
    count = len(sources)
    chosen = zip(
        sources,
        _one_each(frame, count, "frame"),
        _one_each(frames, count, "frames"),
        _one_each(window, count, "window"),
        strict=True,
    )
    if count == 1:
        return _numbered([_loaded(*next(chosen))])
    return _numbered(
        [
            one_of(f"Image {number} of {count}", partial(_loaded, *one))
            for number, one in enumerate(chosen, start=1)
        ]
    )


def _loaded(
    source: Source, frame: int | None, frames: Frames | None, window: Pair | None
) -> tuple[SourceImage, ...]:
    """The slices of a stack, or one image."""
    if frames is None and not isinstance(source, list | tuple) and not is_folder(source):
        return (load(source, frame=frame, window=window),)
    if frame is not None:
        raise ImageError("Both frame= and frames= were given, or frame= for a stack. Give frames= alone.")
    return load_stack(source, frames=frames, window=window)


def _numbered(loaded: list[tuple[SourceImage, ...]]) -> tuple[SourceImage, ...]:
    """All images in order, their stacks numbered as they come."""
    stacks: dict[tuple[int, int], int] = {}
    seen: set[tuple[int, int]] = set()
    found: list[SourceImage] = []
    for item, several in enumerate(loaded):
        for one in several:
            if one.slice is None:
                found.append(one)
                continue
            # Slices that were loaded before and given one by one keep together what their stack was.
            key = (item, 0) if len(several) > 1 else (-1, one.slice.stack)
            stack = stacks.setdefault(key, len(stacks))
            if (stack, one.slice.number) in seen:
                raise ImageError(
                    f"Slice {one.slice.number} of a stack was given twice (counting from 0). Give slices of "
                    "different stacks as a list for each stack: [first, second]."
                )
            seen.add((stack, one.slice.number))
            found.append(replace(one, slice=replace(one.slice, stack=stack)))
    return tuple(found)


def _one_each(given: Any, count: int, what: str) -> list[Any]:
    """A value for every image: the same for all, or those of a list."""
    several = isinstance(given, list | tuple)
    if several and what == "window" and len(given) == 2 and all(isinstance(end, Number) for end in given):
        # Two numbers are one window, not two.
        several = False
    if several and what == "frames" and all(isinstance(number, Integral) for number in given):
        # Numbers are the frames of one stack.
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
