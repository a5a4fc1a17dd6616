"""The files of a DICOM series in a folder, in their order in space, and what is odd about their spacing.

Of every file the header alone is read. What tells series apart never leaves this module.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from groundviz.errors import ImageError, argument
from groundviz.images.base.intake import content_tag, kind_of, opened
from groundviz.images.base.several import one_of
from groundviz.images.dicom import reading
from groundviz.images.dicom.containment import contained
from groundviz.images.dicom.header import PARALLEL, Place
from groundviz.record.types import Doubles

# Files of a folder; a larger one is hardly one series.
_MOST_FILES = 4096
# Of the usual distance of two slices: what another may differ by.
_EVEN = 0.1
# Millimetres below which two slices lie at one place.
_SAME = 1e-3
# The list of a disc's files, which is DICOM, too, and no image.
_NO_IMAGES = ("DICOMDIR",)


def files_of(folder: str) -> tuple[list[str], tuple[str, ...]]:
    """The files of the one series in a folder, in their order in space, and notes on them.

    Raises:
        ImageError: The folder holds no series, several, or one that lacks slices, is not parallel, or has
            two slices at one place.
        MissingExtra: pydicom is not installed.
    """
    placed, others = _placed(_entries(folder))
    places = [place for _, place in placed]
    _require_series(places)
    order, notes = _order(places)
    if others:
        things = "1 other thing" if others == 1 else f"{others} other things"
        notes = (f"{things} in the folder, no DICOM image, left out.", *notes)
    ranked = sorted(zip(order, [path for path, _ in placed], strict=True))
    return [path for _, path in ranked], notes


def _placed(paths: Sequence[str]) -> tuple[list[tuple[str, Place]], int]:
    """Files with their places in a series, and how many others are no images.

    Raises:
        ImageError: One of them cannot be read. Left out silently, it might be a slice at either end, which
            nobody would miss.
    """
    placed: list[tuple[str, Place]] = []
    for path in paths:
        place = one_of(
            f"One of the {len(paths)} files in the folder", partial(_place_in, path), (ImageError,)
        )
        if place is not None:
            placed.append((path, place))
    return placed, len(paths) - len(placed)


def require_one(sources: Sequence[Any]) -> None:
    """Refuse DICOM files of several series among the slices of one stack.

    Raises:
        ImageError: There are several series, or a file cannot be opened.
    """
    found: set[bytes] = set()
    for source in sources:
        if isinstance(source, str | os.PathLike):
            place = _place_in(os.fsdecode(source))
            if place is not None:
                found.add(place.series)
    if len(found) > 1:
        raise ImageError(
            f"The slices come from {len(found)} series, where a stack is one. Give a list for each series: "
            "[[first, second], [third, fourth]]."
        )


def unevenness(numbers: Sequence[int], positions: Sequence[float | None]) -> tuple[str, ...]:
    """Notes on the distances of slices, by their numbers in the stack; none where positions are unknown.

    >>> unevenness([0, 2, 3, 4], [0.0, 10.0, 15.0, 25.0])[0][:57]
    'Slices are unevenly spaced: 10 mm between slices 4 and 5,'
    """
    known = [(number, at) for number, at in zip(numbers, positions, strict=True) if at is not None]
    if len(known) < max(2, len(numbers)):
        return ()
    known.sort()
    at, where = (np.array(column, dtype=np.float64) for column in zip(*known, strict=True))
    steps = np.diff(where) / np.diff(at)
    usual = _usual(steps)
    if usual == 0.0:
        return ("All slices lie at one place, as the frames of a film do.",)
    odd = np.flatnonzero(np.abs(steps / usual - 1.0) > _EVEN)
    if not odd.size:
        return ()
    first = odd[0]
    more = "" if odd.size == 1 else f", and at {odd.size - 1} more places"
    return (
        f"Slices are unevenly spaced: {abs(steps[first]):.4g} mm between slices {known[first][0] + 1} and "
        f"{known[first + 1][0] + 1}, where {abs(usual):.4g} mm are usual{more} (counting from 1).",
    )


def _usual(steps: Doubles) -> float:
    """The median distance, which is one of them: of two, the shorter one."""
    rising = steps[np.argsort(np.abs(steps))]
    return float(rising[(len(steps) - 1) // 2])


def _entries(folder: str) -> list[str]:
    try:
        found = sorted(entry.path for entry in os.scandir(folder) if not entry.name.startswith("."))
    except OSError as error:
        reason = f"The folder cannot be read: {error.strerror}. Check its permissions."
    else:
        if len(found) <= _MOST_FILES:
            return found
        reason = (
            f"The folder holds {len(found)} files, where at most {_MOST_FILES} are looked through for a "
            "series. Move the series into a folder of its own."
        )
    raise ImageError(reason)


def _place_in(path: str) -> Place | None:
    """Where a file belongs in a series; None where it is no DICOM image."""
    if Path(path).name in _NO_IMAGES or not Path(path).is_file():
        return None
    with opened(path) as stream:
        tag = partial(content_tag, stream)
        try:
            kind, _ = contained(partial(kind_of, stream), tag=tag)
        except ImageError:
            return None
        if kind != "dicom":
            return None
        reading.require()
        place, _ = contained(partial(reading.place_of, stream), tag=tag)
        return place


def _require_series(places: Sequence[Place]) -> None:
    if not places:
        raise ImageError(
            "The folder holds no DICOM series, and folders in it are not opened. Give a folder of one, or "
            "the images as a list in their order."
        )
    counts: dict[bytes, int] = {}
    for place in places:
        counts[place.series] = counts.get(place.series, 0) + 1
    if len(counts) > 1:
        listed = ", ".join(str(count) for count in counts.values())
        raise ImageError(
            f"The folder holds {len(counts)} series, of {listed} images. Move each into a folder of its own, "
            "or give the files of one as a list."
        )
    if len(places) > 1 and any(place.frames > 1 for place in places):
        raise ImageError(
            "The folder holds files with several frames each. Give one of these files itself, with "
            f"{argument('frames')}."
        )


def _order(places: Sequence[Place]) -> tuple[list[float], tuple[str, ...]]:
    """What the slices are sorted by, and notes on it.

    Raises:
        ImageError: There is no order, the slices are not parallel, or some are missing.
    """
    normals = [place.normal for place in places if place.normal is not None]
    positions = [place.position for place in places if place.position is not None]
    if len(positions) < len(places):
        return _by_number(places)
    odd = [one for one in normals if np.abs(one - normals[0]).max() > PARALLEL]
    if odd:
        raise ImageError(
            f"The slices of the series are not parallel: {len(odd)} of {len(places)} lie in another "
            "plane than the first, as an overview image does. Give those that belong together as a list."
        )
    ordered = np.sort(positions)
    steps = np.diff(ordered)
    if (steps < _SAME).any():
        raise ImageError(
            f"{int((steps < _SAME).sum())} of {len(places)} slices lie where another one does, as phases or "
            "echoes do. Give the slices of one of these as a list."
        )
    _require_all(steps)
    return list(positions), unevenness(range(len(places)), ordered.tolist())


def _by_number(places: Sequence[Place]) -> tuple[list[float], tuple[str, ...]]:
    """Order by Instance Number, where positions are not known."""
    numbers = [place.number for place in places if place.number is not None]
    if len(set(numbers)) < len(places):
        raise ImageError(
            "The slices of the series have no order: their files give neither positions nor numbers that "
            "differ. Give the files as a list in their order."
        )
    return list(numbers), ("Slices are in the order of their Instance Number: positions are not known.",)


def _require_all(steps: Doubles) -> None:
    """Refuse a series with holes: distances that are a multiple of the usual one."""
    if len(steps) < 2:
        return
    usual = _usual(steps)
    ratios = steps / usual
    holes = (ratios > 1.5) & (np.abs(ratios - np.rint(ratios)) < _EVEN)
    missing = int((np.rint(ratios[holes]) - 1).sum())
    # Where few distances are the usual one, nothing is missing: the slices are uneven.
    if not missing or holes.mean() > 0.25:
        return
    first = int(np.flatnonzero(holes)[0])
    lacks = "1 slice" if missing == 1 else f"{missing} slices"
    raise ImageError(
        f"The series lacks {lacks}: {steps[first]:.4g} mm lie between slices {first + 1} and {first + 2} of "
        f"{len(steps) + 1}, where {usual:.4g} mm are usual. Fetch it again, or give the files "
        "that there are as a list in their order."
    )
