"""DICOM files and data sets.

A file is read in three bounded steps: the transfer syntax alone; the listed technical elements
before the pixels; the pixel element. Deflated content is unpacked under a cap in between. One frame
is decoded, by a decoder that is given numbers and bytes, never the header.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, BinaryIO, cast

from groundviz.errors import MissingExtra
from groundviz.images.base.intake import BoundedReader
from groundviz.images.base.stored import keeps_values
from groundviz.images.dicom import decoding, elements, presentation
from groundviz.images.dicom.elements import PIXEL_KEYWORDS, Header
from groundviz.images.dicom.fields import Fields
from groundviz.images.dicom.header import (
    Place,
    cautions,
    edges_of,
    laterality_of,
    palette_of,
    position_of,
    spacing_of,
)
from groundviz.images.dicom.inflate import inflated
from groundviz.images.dicom.layout import Layout, frame_count, lowered
from groundviz.images.dicom.sequences import Encoding
from groundviz.images.dicom.shades import Shades
from groundviz.record.types import SourceImage

_IMPLICIT = "1.2.840.10008.1.2"
_EXPLICIT = "1.2.840.10008.1.2.1"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_MAX_META_READS = 1_000
_MAX_META_BYTES = 3_000_000


def require() -> None:
    """Make sure that pydicom 3 is installed.

    Raises:
        MissingExtra: With the command that installs it.
    """
    try:
        import_module("pydicom.pixels")
        import_module("pydicom.filereader")
    except ImportError:
        missing = True
    else:
        missing = False
    if missing and find_spec("pydicom") is not None:
        raise MissingExtra(
            "Reading DICOM needs pydicom 3. Bring it up to date: pip install --upgrade pydicom"
        )
    if missing:
        raise MissingExtra('Reading DICOM needs pydicom. Install it with: pip install "groundviz[dicom]"')


def is_dataset(source: object) -> bool:
    """Whether `source` is a pydicom data set; pydicom is not imported to find out."""
    pydicom = sys.modules.get("pydicom.dataset")
    return pydicom is not None and isinstance(source, pydicom.Dataset)


def read(stream: BinaryIO, *, frame: int | None, window: tuple[float, float] | None) -> SourceImage:
    """The SourceImage of a DICOM file.

    Raises:
        ImageError: No image, a damaged header, several frames and none chosen, no decoder.
    """
    dataset, syntax = _parsed(stream)
    return _source_image(dataset, syntax, frame=frame, window=window)


def from_dataset(dataset: Any, *, frame: int | None, window: tuple[float, float] | None) -> SourceImage:
    """The SourceImage of a pydicom data set, which is left as it is.

    Raises:
        ImageError: As for a file.
    """
    meta = getattr(dataset, "file_meta", None)
    syntax = None
    if meta is not None:
        syntax = meta.get("TransferSyntaxUID")
    if not syntax:
        implicit, little = dataset.original_encoding
        syntax = _uncompressed(bool(implicit), little is not False)
    return _source_image(dataset, str(syntax), frame=frame, window=window)


def frames_of(stream: BinaryIO) -> tuple[int, partial[SourceImage]]:
    """How many frames a DICOM file has, and what reads one: as `read`, with the header read once.

    Raises:
        ImageError: The header is damaged.
    """
    header, syntax = _parsed(stream)
    fields = Fields(header, little=syntax != _BIG_ENDIAN)
    return frame_count(fields), partial(_source_image, header, syntax)


def frames_from_dataset(dataset: Any) -> tuple[int, partial[SourceImage]]:
    """How many frames a pydicom data set has, and what reads one.

    Raises:
        ImageError: The header is damaged.
    """
    return frame_count(Fields(dataset, little=True)), partial(from_dataset, dataset)


def place_of(stream: BinaryIO) -> Place | None:
    """Where a DICOM file belongs in a series, by its header alone; None where it holds no image.

    Raises:
        ImageError: The header is damaged.
    """
    header, syntax, *_ = _opened(stream)
    return Place.of(Fields(header, little=syntax != _BIG_ENDIAN))


def _parsed(stream: BinaryIO) -> tuple[Header, str]:
    """The listed elements of a file, those of its pixels among them, and its transfer syntax."""
    from pydicom.filereader import read_dataset
    from pydicom.tag import Tag

    header, syntax, body, encoding = _opened(stream)
    pixels = read_dataset(
        cast(BinaryIO, BoundedReader(body)),
        encoding.implicit,
        encoding.little,
        stop_when=_outside(elements.PIXEL_GROUP),
        specific_tags=[Tag(word) for word in PIXEL_KEYWORDS],
    )
    header.dataset.update(pixels)
    return header, syntax


def _opened(stream: BinaryIO) -> tuple[Header, str, BinaryIO, Encoding]:
    """The listed elements before the pixels, the transfer syntax, and where and how the pixels lie."""
    from pydicom.filereader import read_dataset, read_preamble
    from pydicom.tag import Tag

    head = cast(BinaryIO, BoundedReader(stream, reads=_MAX_META_READS, total=_MAX_META_BYTES))
    read_preamble(head, force=True)
    syntax_tag = Tag("TransferSyntaxUID")
    meta = read_dataset(head, False, True, stop_when=_outside(2), specific_tags=[syntax_tag])
    stated = str(meta.get("TransferSyntaxUID") or "")
    body = stream
    if stated == _DEFLATED:
        body = cast(BinaryIO, inflated(stream))
    encoding = _encoding(stated, body)
    header = elements.read(body, encoding)
    return header, stated or _uncompressed(encoding.implicit, encoding.little), body, encoding


def _outside(group: int) -> Callable[[int, str | None, int], bool]:
    """Stop reading at the first element after this group."""
    return lambda tag, vr, length: tag >> 16 > group


def _encoding(stated: str, body: BinaryIO) -> Encoding:
    """How the elements are written: as stated, or else as the first one is."""
    if stated:
        return Encoding(implicit=stated == _IMPLICIT, little=stated != _BIG_ENDIAN)
    start = body.read(6)
    body.seek(-len(start), io.SEEK_CUR)
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return Encoding(implicit=not explicit, little=not (explicit and start[:1] == b"\0"))


def _uncompressed(implicit: bool, little: bool) -> str:
    """The transfer syntax of a data set that states none."""
    if not little:
        return _BIG_ENDIAN
    if implicit:
        return _IMPLICIT
    return _EXPLICIT


def _source_image(
    source: Any, syntax: str, *, frame: int | None, window: tuple[float, float] | None
) -> SourceImage:
    fields = Fields(source, little=syntax != _BIG_ENDIAN)
    dataset = source
    if isinstance(source, Header):
        dataset = source.dataset
    found = decoding.find(dataset, syntax, Layout.of(fields, frame))
    layout = found.layout
    spacing, spacing_from, spacing_notes = spacing_of(fields, layout)
    position, towards = position_of(fields, layout.index)

    # The header's rules for the numbers are read and checked before the numbers are decoded.
    shades, palette = None, None
    if layout.is_grey:
        shades = Shades.of(fields, layout)
    elif layout.is_indexed:
        palette = palette_of(fields, layout)
    found.require_room(held=_held(dataset), more=_more(shades, palette, layout))
    stored = decoding.decoded(dataset, syntax, found)
    moved: tuple[str, ...] = ()
    if found.stream is None:
        stored, moved = lowered(stored, layout)
    if shades is not None:
        source_image = presentation.grey(stored, layout, shades, window, unit=_unit(fields, shades))
    elif palette is not None:
        source_image = presentation.indexed(stored, palette, window)
    else:
        source_image = presentation.colour(stored, layout, window)
    notes = (
        *layout.notes,
        *found.notes,
        *moved,
        *source_image.notes,
        *spacing_notes,
        *cautions(fields, layout),
    )
    return replace(
        source_image,
        spacing_mm=spacing,
        spacing_from=spacing_from,
        notes=notes,
        edges=edges_of(fields, layout),
        laterality=laterality_of(fields),
        position_mm=position,
        towards=towards,
    )


def _unit(fields: Fields, shades: Shades) -> str:
    """What rescaled values of a CT count, unless the file brings a table in place of the rescaling."""
    is_ct = fields.code("Modality") == "CT" and shades.modality is None
    return "HU" if is_ct and not shades.is_plain else ""


def _held(dataset: Any) -> int:
    """Bytes of the pixel data, all frames."""
    value = next((dataset[word].value for word in PIXEL_KEYWORDS[:3] if word in dataset), b"")
    return len(value or b"")


def _more(shades: Shades | None, palette: object, layout: Layout) -> float:
    """Bytes per pixel that tables, padding and stored values take, as measured."""
    if palette is not None:
        return 24.0
    each = 0.0
    if keeps_values(layout.rows, layout.cols):
        each += 2.0
    if shades is not None and shades.padding:
        each += 4.0
    if shades is not None and shades.modality:
        each += 18.0
    return each
