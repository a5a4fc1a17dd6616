"""Finds the images of a command: files by their names, and the image files in folders."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import groundviz
from groundviz.cli.printing import complain
from groundviz.errors import ImageError

if TYPE_CHECKING:
    from groundviz.record.types import SourceImage


def expanded(given: Sequence[str]) -> list[str]:
    """Every image that was named, and every image file of each folder, each once, in order.

    Raises:
        ImageError: There is none.
    """
    places: dict[str, None] = {}
    others = inner = 0
    for place in given:
        if not is_folder(place):
            places[place] = None
            continue
        try:
            entries = sorted(Path(place).iterdir())
        except OSError as error:
            raise ImageError(f"The folder cannot be read: {error.strerror}. Check its permissions.") from None
        found = [str(entry) for entry in entries if entry.is_file() and _may_be_image(entry)]
        places.update(dict.fromkeys(found))
        others += len(entries) - len(found)
        inner += sum(entry.is_dir() for entry in entries)
    if not places:
        unsearched = f", and {inner} folders in it are not opened" if inner > 1 else ""
        if inner == 1:
            unsearched = ", and one folder in it is not opened"
        raise ImageError(
            f"There is no image in the folder itself{unsearched}. Give one that holds images: PNG, JPEG, "
            "DICOM ..."
        )
    if others:
        # Without this note a reader might believe that every file was explained.
        what = f"{others} things that are no images were"
        if others == 1:
            what = "one thing in the folder that is no image was"
        complain(f"groundviz: note: {what} left out; folders in a folder are not opened")
    return list(places)


def _may_be_image(path: Path) -> bool:
    """Whether a file's content is of a kind that is read; one that cannot be opened is reported later."""
    from groundviz.images.base.intake import kind_of, opened

    if path.name == "DICOMDIR":  # The list of a disc's files, which is DICOM, too, and no image.
        return False
    with suppress(ImageError), opened(str(path)) as stream:
        try:
            kind_of(stream)
        except ImageError:
            return False
    return True


def is_folder(place: str) -> bool:
    """Whether a text is the path of a folder."""
    # A text that is no valid path raises an error: it is too long, or has a NUL.
    with suppress(OSError, ValueError):
        return bool(place) and Path(place).is_dir()
    return False


def require_places(count: int, chosen: argparse.Namespace) -> None:
    """Refuse frames and windows that belong to no image of a question about `count` images.

    Raises:
        ImageError: There are more of them than images.
    """
    for what, values in (("frames", chosen.frame), ("windows", chosen.window)):
        if len(values) > count:
            raise ImageError(
                f"There are more {what} than images: {len(values)} against {count}. "
                f"Give --{what[:-1]} once for each image of the question, in the order of the images."
            )


def loaded(places: Sequence[str], chosen: argparse.Namespace) -> list[SourceImage]:
    """The images of one question, each with its frame and window; or the slices of a stack.

    Raises:
        ImageError: One of them will not do, or there are more frames or windows than images.
        MissingExtra: One of them is DICOM, and pydicom is not installed.
    """
    require_places(len(places), chosen)
    if chosen.slices is not None:
        frames = None if chosen.slices == "all" else chosen.slices
        window = chosen.window[0] if chosen.window else None
        return list(groundviz.images.load_stack(places[0], frames=frames, window=window))
    rows = zip_longest(places, chosen.frame, chosen.window)
    return [groundviz.images.load(place, frame=frame, window=window) for place, frame, window in rows]
