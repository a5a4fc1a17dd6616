"""The images of a record as the viewer reads them, and which of them are slices of one stack."""

from __future__ import annotations

from typing import Any, Literal

from groundviz.record.stacks import grouped, heaviest, is_stack, position
from groundviz.record.tiles import which, whose
from groundviz.record.types import Record, SourceImage
from groundviz.render.base.escape import visible
from groundviz.render.viewer.container import add
from groundviz.render.viewer.pixels import TILE, Pixels
from groundviz.render.viewer.presets import millimetres, presets

# Of the sizes of an image: all of them, the smallest alone, or the smallest and word of the others, of
# which a live viewer asks for tiles.
Sizes = Literal["all", "first", "ask"]


def stacks(record: Record) -> list[dict[str, Any]]:
    """The images that belong together: their numbers, what to call them, and the one that is shown first.

    Of a stack that is the slice which holds most of what was explained.
    """
    found: list[dict[str, Any]] = []
    for group in grouped(record.source_images):
        name, start = which(group[0], record.source_images), group[0]
        if is_stack(group, record.source_images):
            name = whose(start, record.source_images) or "stack"
            start = heaviest(record, group)[0]
        found.append({"images": list(group), "name": visible(name.capitalize()), "start": start})
    return found


def header(
    record: Record, number: int, blobs: list[bytes], sizes: Sizes, *, file: bytes | None = None
) -> dict[str, Any]:
    """An image with its size, its windows, and its numbers at one or several sizes, or the file of them."""
    source_image = record.source_images[number]
    spacing = source_image.spacing_mm or (1.0, 1.0)
    if file is not None:
        # Read in the browser, which makes a single tile of it.
        meaning: dict[str, Any] = {"top": 255, "read": [0, 255], "value": None, "file": add(file, blobs)}
        held = {"channels": 3, "tile": 1, "levels": []}
    else:
        pixels = Pixels(source_image)
        meaning = pixels.meaning()
        held = {"channels": pixels.levels[0].shape[2], "tile": TILE, "levels": _levels(pixels, blobs, sizes)}
    return {
        "name": which(number, record.source_images).capitalize(),
        "place": _place(source_image),
        "number": source_image.slice.number + 1 if source_image.slice else None,
        "source": list(source_image.shape),
        "aspect": [spacing[0] / min(spacing), spacing[1] / min(spacing)],
        "millimetres": millimetres(source_image),
        "edges": list(source_image.edges or ()),
        "laterality": visible(source_image.laterality),
        "window": _window(source_image),
        "presets": presets(source_image, meaning),
        **held,
        **meaning,
    }


def _levels(pixels: Pixels, blobs: list[bytes], sizes: Sizes) -> list[dict[str, Any]]:
    """Each size of an image, with its tiles where they are held."""
    levels: list[dict[str, Any]] = []
    for level, codes in enumerate(pixels.levels[: 1 if sizes == "first" else None]):
        tiles = None
        if level == 0 or sizes == "all":
            tiles = [add(pixels.tile(level, at), blobs) for at in range(pixels.count(level))]
        levels.append({"shape": list(codes.shape[:2]), "tiles": tiles})
    return levels


def _place(source_image: SourceImage) -> str:
    """Which slice of its stack an image is, and where it lies; empty where neither is known."""
    number = ""
    if source_image.slice is not None:
        number = f"{source_image.slice.number + 1} of {source_image.slice.of}"
    return "  ".join(filter(None, (number, visible(position(source_image)))))


def _window(source_image: SourceImage) -> list[float] | None:
    """Centre and width of the window that was applied; a width below zero where it was inverted."""
    if source_image.window is None:
        return None
    centre, width = source_image.window
    return [centre, -width if source_image.inverted else width]
