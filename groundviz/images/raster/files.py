"""Reads PNG, JPEG, TIFF, WebP and BMP files and Pillow images: page, limits, orientation, completeness."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, BinaryIO, cast

# Importing the plugins here keeps Pillow from loading its forty others in search of one.
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from groundviz.errors import ImageError
from groundviz.images.base.display import Samples, displayed
from groundviz.images.base.intake import BoundedReader, occurrences, tail
from groundviz.images.base.limits import MAX_PIXELS, choose_frame, frame_note, require_memory, require_size
from groundviz.images.raster.modes import samples_of, stored_form
from groundviz.record.types import SourceImage

_PLUGINS = {
    "png": PngImagePlugin.PngImageFile,
    "jpeg": JpegImagePlugin.JpegImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
}

# Pillow unpacks run-length BMP in Python, byte by byte.
_MAX_RLE_PIXELS = 4_000_000
# Pillow reads the texts and profiles of a PNG whole, and keeps them.
_MAX_TEXT = 50_000_000
# A progressive JPEG is decoded once per scan, and an empty scan takes a few bytes in the file.
_MAX_SCANNED_PIXELS = 20 * MAX_PIXELS

# Bytes per pixel at the peak, by Pillow's mode: measured, and rounded up.
_COSTS = {
    "1": 6,
    "L": 6,
    "LA": 20,
    "La": 20,
    "RGB": 21,
    "RGBX": 21,
    "RGBA": 20,
    "RGBa": 20,
    "I": 12,
    "F": 12,
    **dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N"), 9),
}
_OTHER_COST = 25
# Turning the image upright takes another copy.
_TURN_COST = 4
# A compressed TIFF is unpacked one whole strip or tile at a time, and a tile may be larger than the image.
_TILE_WIDTH, _TILE_LENGTH, _STRIP_ROWS = 322, 323, 278
_BITS, _COMPRESSION = 258, 259
_TILE_COST = 16

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read(
    stream: BinaryIO, kind: str, *, frame: int | None, window: tuple[float, float] | None
) -> SourceImage:
    """The SourceImage of a raster file of a known kind, read by that kind's decoder and no other.

    Raises:
        ImageError: Too large, several pages and none named, or values without a range.
    """
    if kind == "png":
        _require_little_text(stream)
    reader = cast(BinaryIO, BoundedReader(stream))
    with Image.open(reader, formats=(str(_PLUGINS[kind].format),)) as image:
        _require_room(image, held=_held(kind, image, stream))
        _require_cheap(kind, image, stream)
        samples = _page(image, frame=frame, ending=_ending(kind, stream))
    # The decoded image is released before its numbers take four bytes each.
    del image
    return displayed(samples, source=kind, window=window)


def from_pillow(image: Image.Image, *, frame: int | None, window: tuple[float, float] | None) -> SourceImage:
    """The SourceImage of a Pillow image, which stays on its page.

    Raises:
        ImageError: As for a file.
    """
    _require_room(image)
    if _pages(image) <= 1:
        return displayed(_page(image, frame=frame), source="pil", window=window)
    at = image.tell()
    try:
        return displayed(_page(image, frame=frame), source="pil", window=window)
    finally:
        image.seek(at)


def frames_of(stream: BinaryIO, kind: str) -> tuple[int, partial[SourceImage]]:
    """How many pages a raster file of a known kind has, and what reads one: as `read`.

    Raises:
        ImageError: As for a file.
    """
    reader = cast(BinaryIO, BoundedReader(stream))
    with Image.open(reader, formats=(str(_PLUGINS[kind].format),)) as image:
        count = _pages(image)
    return count, partial(read, stream, kind)


def frames_from_pillow(image: Image.Image) -> tuple[int, partial[SourceImage]]:
    """How many pages a Pillow image has, and what reads one: as `from_pillow`."""
    return _pages(image), partial(from_pillow, image)


def require_few_scans(scans: int, pixels: int) -> None:
    """Refuse a progressive JPEG whose scans would take many times longer than the image.

    Raises:
        ImageError: Naming the scans found.
    """
    if scans * pixels > _MAX_SCANNED_PIXELS:
        raise ImageError(
            f"The progressive JPEG goes over its {pixels / 1e6:.0f} megapixels {scans} times, where about "
            "10 times is usual. Convert it to PNG."
        )


def _page(image: Image.Image, *, frame: int | None, ending: tuple[str, ...] = ()) -> Samples:
    count = _pages(image)
    index = choose_frame(frame, count)
    if count > 1:
        _require_near(image, index)
        image.seek(index)
        _require_room(image)
    stored = stored_form(image)
    upright, turned = _upright(image)
    notes = frame_note(index, count) + turned + ending
    return samples_of(upright, stored, notes)


def _held(kind: str, image: Image.Image, stream: BinaryIO) -> int:
    """Bytes of the file that its decoder holds in memory."""
    raw = kind == "tiff" and cast(Any, image).tag_v2.get(_COMPRESSION, 1) == 1
    if kind not in ("webp", "tiff") or raw:
        return 0
    at = stream.tell()
    size = stream.seek(0, os.SEEK_END)
    stream.seek(at)
    return size


def _require_room(image: Image.Image, *, held: int = 0) -> None:
    """Refuse a page that is too large, or takes too much memory to decode."""
    require_size(image.height, image.width)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        held += _piece(image)
    require_memory(image.height, image.width, _COSTS.get(image.mode, _OTHER_COST), more=held)


def _piece(image: TiffImagePlugin.TiffImageFile) -> int:
    """Bytes of one unpacked strip or tile of a TIFF."""
    tags: Any = image.tag_v2
    tile = int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_LENGTH, 0)) * _TILE_COST
    if tags.get(_COMPRESSION, 1) == 1:
        return tile
    bytes_per_pixel = -(-sum(tags.get(_BITS, (1,))) // 8)
    if image.mode not in ("1", "L", "P"):
        # Pillow unpacks some kinds of strips as RGBA.
        bytes_per_pixel = max(4, bytes_per_pixel)
    pixels = min(int(tags.get(_STRIP_ROWS, image.height)), image.height) * image.width
    return tile + pixels * max(1, int(bytes_per_pixel))


def _require_little_text(stream: BinaryIO) -> None:
    """Refuse a PNG that is mostly texts, profiles and the like; only its chunks' headers are read."""
    reader, at, text = BoundedReader(stream), 8, 0
    while True:
        reader.seek(at)
        head = reader.read(8)
        if len(head) < 8:
            break
        length = int.from_bytes(head[:4], "big")
        if head[4:] not in (b"IDAT", b"fdAT"):
            text += length
        # Length, type and checksum take four bytes each.
        at += 12 + length
        if text > _MAX_TEXT and at <= reader.seek(0, os.SEEK_END):
            raise ImageError(
                f"The PNG holds more than {_MAX_TEXT // 10**6} MB beside its pixels. "
                "Convert it to a plain PNG."
            )
    reader.seek(0)


def _require_near(image: Image.Image, index: int) -> None:
    """Refuse an image far into an animation, since all before it must be decoded first."""
    if image.format in ("PNG", "WEBP") and (index + 1) * image.height * image.width > _MAX_SCANNED_PIXELS:
        raise ImageError(
            f"Frame {index} of the animation takes minutes to reach. Save that frame as a PNG of its own."
        )


def _pages(image: Image.Image) -> int:
    return int(getattr(image, "n_frames", 1))


def _upright(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """The decoded image turned as its EXIF block asks, and a note when it does."""
    # Read twice: decoding already turns a TIFF, and a PNG may have its EXIF block at the end.
    before = _orientation(image)
    image.load()
    after = _orientation(image)
    if before is None or after is None:
        return image, ("The EXIF block could not be read, so the image may not be upright.",)
    stated = before
    turn = _TURNS.get(after)
    if turn is not None:
        stated = after
        require_memory(image.height, image.width, _COSTS.get(image.mode, _OTHER_COST) + _TURN_COST)
        image = image.transpose(turn)
    if stated not in _TURNS:
        return image, ()
    return image, (f"Turned upright, as its EXIF orientation ({stated}) asks.",)


def _orientation(image: Image.Image) -> int | None:
    """The EXIF orientation, 1 if there is none, None if the block cannot be read."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except ImageError:
        raise
    except Exception:
        return None


def _require_cheap(kind: str, image: ImageFile.ImageFile, stream: BinaryIO) -> None:
    """Refuse the two encodings in which a small file may take any time to decode."""
    pixels = image.height * image.width
    if any(tile[0] == "bmp_rle" for tile in image.tile) and pixels > _MAX_RLE_PIXELS:
        raise ImageError(
            f"A run-length BMP may have {_MAX_RLE_PIXELS // 10**6} megapixels; this one has "
            f"{pixels / 1e6:.0f}. Convert it to PNG."
        )
    if kind == "jpeg" and image.info.get("progressive"):
        require_few_scans(occurrences(stream, b"\xff\xda"), pixels)


def _ending(kind: str, stream: BinaryIO) -> tuple[str, ...]:
    """A note where the end of the file is missing; decoders accept that if no pixel is missing."""
    notes: tuple[str, ...] = ()
    if _stops_short(kind, stream):
        notes += ("The file ends early: its last bytes are missing.",)
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        notes += (
            "Pillow is set to accept cut-off files here (LOAD_TRUNCATED_IMAGES), "
            "so missing parts may show as plain grey or black.",
        )
    return notes


def _stops_short(kind: str, stream: BinaryIO) -> bool:
    """Whether a PNG or BMP lacks its end; other formats cannot be decoded without theirs."""
    at = stream.tell()
    short = False
    if kind == "png":
        short = b"IEND\xaeB`\x82" not in tail(stream)
    elif kind == "bmp":
        stream.seek(2)
        short = int.from_bytes(stream.read(4), "little") > stream.seek(0, os.SEEK_END)
    stream.seek(at)
    return short
