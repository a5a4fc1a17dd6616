"""Several slices that belong together: a file with frames, a folder with a series, a list, a volume."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from groundviz.errors import ImageError, argument
from groundviz.images import series
from groundviz.images.base.limits import frame_note
from groundviz.images.base.several import one_of
from groundviz.images.single import Pair, frames_of, is_tensor, load
from groundviz.record.types import Doubles, Floats, Slice, SourceImage, StoredValues

if TYPE_CHECKING:
    from groundviz.images.single import Source

Frames = Sequence[int]

# Slices of one stack that can be asked about at once: more are beyond what models take.
MOST_SLICES = 128
# Two slices show a value alike where its brightness differs by no more than this.
_ALIKE = 2e-3
# Values of each slice that are compared.
_COMPARED = 1 << 16


def load_stack(
    source: Source | Sequence[Source], *, frames: Frames | None = None, window: Pair | None = None
) -> tuple[SourceImage, ...]:
    """The slices of a stack as display-ready pixels, of one size; only those that are chosen are decoded.

    Args:
        source: A file with several frames or pages, as `load` takes it; the path of a folder with one DICOM
            series, whose slices are taken in their order in space: from right to left, front to back, or
            feet to head; a list or tuple of what `load` takes, in its own order; or a numpy array or torch
            tensor (slices, rows, cols), or with 3 channels last.
        frames: The numbers of the slices to take, counting from 0, in the order in which the model is to see
            them, such as `range(10, 30, 2)`; None for all.
        window: (centre, width) for all slices, as in `load`.

    Returns:
        A SourceImage for each slice, in the order of `frames`: `slice` tells which of the stack it is,
        `position_mm` where it lies, and `notes` whether slices are unevenly spaced or differ in their window.

    Raises:
        ImageError: A slice cannot be read, as in `load`; there is none of that number, or more than 128 are
            chosen; slices differ in size or come from several series; or a folder holds no series, several,
            or one that lacks slices.
        MissingExtra: It is DICOM, and pydicom is not installed.

    >>> volume = np.zeros((40, 4, 6), np.uint8)
    >>> [one.slice.number for one in load_stack(volume, frames=range(10, 30, 5))]
    [10, 15, 20, 25]
    """
    notes: tuple[str, ...] = ()
    if is_folder(source):
        files, notes = series.files_of(os.fsdecode(source))
        count, numbers, loaded = _chosen_of(files, frames, window)
    elif isinstance(source, list | tuple | np.ndarray) or is_tensor(source):
        count, numbers, loaded = _chosen_of(_listed(source), frames, window)
        notes = series.unevenness(numbers, [one.position_mm for one in loaded])
    else:
        with frames_of(source) as (count, read):
            numbers = _chosen(frames, count)
            loaded = [read(frame=number, window=window) for number in numbers]
        notes = series.unevenness(numbers, [one.position_mm for one in loaded])
    _require_one_size(numbers, loaded)
    if window is None and not all(map(_alike, loaded, loaded[1:])):
        notes += (
            "Slices of this stack were read with different windows, each with its own, so their brightness "
            "cannot be compared. Choose one window for all.",
        )
    found: list[SourceImage] = []
    for number, one in zip(numbers, loaded, strict=True):
        place = Slice(stack=0, number=number, of=count)
        # Which frame it is says the slice itself.
        own = [note for note in one.notes if note not in frame_note(number, count)]
        found.append(replace(one, slice=place, notes=(*own, *notes)))
    return tuple(found)


def is_folder(source: Any) -> TypeGuard[str | os.PathLike[str]]:
    """Whether a source names a folder that is there."""
    if not isinstance(source, str | os.PathLike):
        return False
    try:
        return Path(os.fsdecode(source)).is_dir()
    except (OSError, ValueError):
        # A text that is no valid path: whoever opens it says so.
        return False


def _chosen_of(
    sources: Sequence[Source], frames: Frames | None, window: Pair | None
) -> tuple[int, list[int], list[SourceImage]]:
    """How many slices there are, which are chosen, and these."""
    numbers = _chosen(frames, len(sources))
    series.require_one([sources[number] for number in numbers])
    loaded = [
        one_of(
            f"Slice {number} of {len(sources)} (counting from 0)",
            partial(load, sources[number], window=window),
        )
        for number in numbers
    ]
    return len(sources), numbers, loaded


def _listed(source: Any) -> Sequence[Source]:
    """The slices of a list, or of an array along its first axis."""
    if isinstance(source, list | tuple):
        if not source:
            raise ImageError("The stack is empty: a list without slices was given. Give at least one.")
        return source
    if source.ndim == 3 or (source.ndim == 4 and source.shape[3] in (1, 3, 4)):
        return [source[number] for number in range(len(source))]
    raise ImageError(
        f"An array of shape {tuple(source.shape)} is not a stack: (slices, rows, cols), or with 3 channels "
        "last, is expected. Move its axes, or give its slices as a list."
    )


def _chosen(frames: Frames | None, count: int) -> list[int]:
    """The numbers of the slices to take.

    Raises:
        ImageError: They are no numbers of slices, one stands twice, or they are too many.
    """
    held = f"the stack has {count}, from 0 to {count - 1}"
    numbers: list[int] = []
    try:
        numbers = list(range(count)) if frames is None else [operator.index(one) for one in frames]
    except TypeError:
        wrong = f"frames= takes a list of whole numbers, and {type(frames).__name__!r} is none"
    else:
        outside = [number for number in numbers if not 0 <= number < count]
        wrong = ""
        if outside:
            wrong = f"There is no slice {outside[0]}"
        elif len(set(numbers)) < len(numbers):
            wrong = "frames= names a slice twice"
        elif not numbers:
            wrong = "frames= names no slice"
    if wrong:
        raise ImageError(f"{wrong}: {held}. Pass for example {argument('frames', range(count))}.")
    if len(numbers) > MOST_SLICES:
        step = -(-count // MOST_SLICES)
        raise ImageError(
            f"{len(numbers)} slices were chosen, where at most {MOST_SLICES} are asked about at once. Choose "
            f"some of them: {argument('frames', range(0, count, step))}."
        )
    return numbers


def _require_one_size(numbers: Sequence[int], loaded: Sequence[SourceImage]) -> None:
    rows, cols = loaded[0].shape
    for number, one in zip(numbers, loaded, strict=True):
        if one.shape != (rows, cols):
            raise ImageError(
                f"The slices are of different sizes: slice {numbers[0]} has {rows} by {cols} pixels, slice "
                f"{number} has {one.shape[0]} by {one.shape[1]} (counting from 0). Give slices of one size, "
                "or several images as a plain list."
            )


def _alike(one: SourceImage, other: SourceImage) -> bool:
    """Whether two slices show the values that both of them hold equally bright."""
    if one.stored is None or other.stored is None:
        return one.window == other.window
    values, shown = _curve(one.stored, one.pixels)
    others, others_shown = _curve(other.stored, other.pixels)
    _, at, other_at = np.intersect1d(values, others, return_indices=True)
    return bool(np.abs(shown[at] - others_shown[other_at]).max(initial=0.0) <= _ALIKE)


def _curve(stored: StoredValues, pixels: Floats) -> tuple[Doubles, Doubles]:
    """Values that an image holds, ascending, and the brightness of each."""
    step = max(1, stored.codes.size // _COMPARED)
    codes, at = np.unique(stored.codes.ravel()[::step], return_index=True)
    # Rounded, for equal values of two slices may differ in the last bit.
    values = np.round(stored.low + stored.step * codes.astype(np.float64), 6)
    return values, pixels.ravel()[::step][at].astype(np.float64)
