"""DICOM files and data sets: the only place that knows pydicom.

A file is read in three bounded steps: the transfer syntax alone; the listed technical elements
before the pixels; the pixel element. Deflated content is unpacked under a cap in between. One frame
is decoded, by a decoder that is given numbers and bytes, never the header.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from groundviz.errors import ImageError, MissingExtra
from groundviz.images import presentation
from groundviz.images.codestream import size_of
from groundviz.images.fields import KEYWORDS, OVERLAY_TAGS, PIXEL_KEYWORDS, Fields
from groundviz.images.header import Layout, Shades, cautions, palette_of, spacing_of
from groundviz.images.inflate import inflated
from groundviz.images.intake import BoundedReader
from groundviz.images.raster import require_few_scans
from groundviz.images.rle import require_bounded
from groundviz.images.window import Values
from groundviz.types import Study

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_IMPLICIT = "1.2.840.10008.1.2"
_EXPLICIT = "1.2.840.10008.1.2.1"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_RLE = "1.2.840.10008.1.2.5"

# Transfer syntaxes that may need a further package, by the family their identifier falls into.
_DECODERS = (
    (("1.2.840.10008.1.2.4.5", "1.2.840.10008.1.2.4.7"), "JPEG", "pylibjpeg pylibjpeg-libjpeg"),
    (("1.2.840.10008.1.2.4.8",), "JPEG-LS", "pyjpegls"),
    (("1.2.840.10008.1.2.4.9", "1.2.840.10008.1.2.4.20"), "JPEG 2000", "pylibjpeg pylibjpeg-openjpeg"),
)

_PIXEL_GROUP = 0x7FE0
_MAX_HEADER_READS = 120_000
_MAX_HEADER_BYTES = 3_000_000
_CHARACTER_SET = 0x00080005
_MAX_CHARACTER_SET = 1024


def require() -> None:
    """Make sure that pydicom is there.

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
    if missing:
        raise MissingExtra('Reading DICOM needs pydicom. Install it with: pip install "groundviz[dicom]"')


def is_dataset(source: object) -> bool:
    """Whether `source` is a pydicom data set; pydicom is not imported to find out."""
    pydicom = sys.modules.get("pydicom.dataset")
    return pydicom is not None and isinstance(source, pydicom.Dataset)


def read(stream: BinaryIO, *, frame: int | None, window: tuple[float, float] | None) -> Study:
    """The Study of a DICOM file.

    Raises:
        ImageError: No picture, a damaged header, several frames and none chosen, no decoder.
    """
    dataset, syntax = _parsed(stream)
    return _study(dataset, syntax, frame=frame, window=window)


def from_dataset(dataset: Any, *, frame: int | None, window: tuple[float, float] | None) -> Study:
    """The Study of a pydicom data set, which is left as it is.

    Raises:
        ImageError: As for a file.
    """
    meta = getattr(dataset, "file_meta", None)
    stated = None if meta is None else meta.get("TransferSyntaxUID")
    implicit, little = dataset.original_encoding
    return _study(
        dataset, str(stated or _uncompressed(bool(implicit), little is not False)), frame=frame, window=window
    )


def _parsed(stream: BinaryIO) -> tuple[Dataset, str]:
    """The listed elements of a file, and its transfer syntax."""
    from pydicom.filereader import read_dataset, read_preamble
    from pydicom.tag import Tag

    head = _bounded(stream)
    read_preamble(head, force=True)
    syntax_tag = Tag("TransferSyntaxUID")
    meta = read_dataset(head, False, True, stop_when=_outside(0, 2), specific_tags=[syntax_tag])
    stated = str(meta.get("TransferSyntaxUID") or "")
    body = cast(BinaryIO, inflated(stream)) if stated == _DEFLATED else stream
    implicit, little = _encoding(stated, body)
    tags: list[Any] = [*(Tag(word) for word in KEYWORDS), *OVERLAY_TAGS]
    dataset = read_dataset(
        _bounded(body), implicit, little, stop_when=_outside(0, _PIXEL_GROUP - 1), specific_tags=tags
    )
    pixels = read_dataset(
        cast(BinaryIO, BoundedReader(body)),
        implicit,
        little,
        stop_when=_outside(_PIXEL_GROUP, _PIXEL_GROUP),
        specific_tags=[Tag(word) for word in PIXEL_KEYWORDS],
    )
    dataset.update(pixels)
    return dataset, stated or _uncompressed(implicit, little)


def _bounded(stream: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, BoundedReader(stream, reads=_MAX_HEADER_READS, total=_MAX_HEADER_BYTES))


def _outside(first: int, last: int) -> Callable[[int, str | None, int], bool]:
    """Stop reading at the first element whose group is not in this range."""

    def stop(tag: int, vr: str | None, length: int) -> bool:
        # The one element that pydicom converts unasked, character by character.
        if tag == _CHARACTER_SET and length > _MAX_CHARACTER_SET:
            raise ImageError("The DICOM's character set has no end. Export the image again from its origin.")
        return not first <= tag >> 16 <= last

    return stop


def _encoding(stated: str, body: BinaryIO) -> tuple[bool, bool]:
    """Whether elements lack their type (implicit), and whether words start with the low byte."""
    if stated:
        return stated == _IMPLICIT, stated != _BIG_ENDIAN
    start = body.read(6)
    body.seek(-len(start), io.SEEK_CUR)
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return not explicit, not (explicit and start[:1] == b"\0")


def _uncompressed(implicit: bool, little: bool) -> str:
    """The transfer syntax of a data set that states none."""
    if not little:
        return _BIG_ENDIAN
    return _IMPLICIT if implicit else _EXPLICIT


def _study(dataset: Dataset, syntax: str, *, frame: int | None, window: tuple[float, float] | None) -> Study:
    fields = Fields(dataset, little=syntax != _BIG_ENDIAN)
    layout = Layout.of(fields, frame)
    spacing, spacing_notes = spacing_of(fields, layout)
    if layout.is_grey:
        shades = Shades.of(fields, layout)
        study = presentation.grey(_decoded(dataset, syntax, layout), layout, shades, window)
    elif layout.is_indexed:
        palette = palette_of(fields, layout)
        study = presentation.indexed(_decoded(dataset, syntax, layout), palette, window)
    else:
        study = presentation.colour(_decoded(dataset, syntax, layout), layout, window)
    notes = (*layout.notes, *study.notes, *spacing_notes, *cautions(fields))
    return replace(study, spacing_mm=spacing, notes=notes)


def _decoded(dataset: Dataset, syntax: str, layout: Layout) -> Values:
    """The chosen frame as stored, (rows, cols) or (rows, cols, 3) in RGB."""
    decoder = _decoder(syntax)
    keyword = next((word for word in PIXEL_KEYWORDS[:3] if word in dataset), None)
    if keyword is None:
        raise ImageError("The DICOM file describes a picture but holds no pixel data. Choose another.")
    element = dataset[keyword]
    options = {"pixel_keyword": keyword, "pixel_vr": str(element.VR), "allow_excess_frames": False}
    if decoder.is_encapsulated:
        options |= _options(layout, frames=1)
        values, facts = _unpacked(
            lambda: decoder.as_array(_one_frame(dataset, syntax, layout), index=0, **options), syntax
        )
    else:
        options |= _options(layout, frames=layout.frames)
        values, facts = decoder.as_array(element.value, index=layout.index, **options)
    if layout.samples == 3 and facts["photometric_interpretation"] != "RGB":
        raise ImageError("The DICOM's colours could not be converted to RGB. Export the image as RGB.")
    return cast(Values, values)


def _options(layout: Layout, *, frames: int) -> dict[str, Any]:
    """All that a decoder is told."""
    return {
        "rows": layout.rows,
        "columns": layout.cols,
        "number_of_frames": frames,
        "samples_per_pixel": layout.samples,
        "photometric_interpretation": layout.photometric,
        "planar_configuration": layout.planar,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_representation": int(layout.signed),
    }


def _decoder(syntax: str) -> Any:
    """The decoder for a transfer syntax, if it can run here."""
    from pydicom.pixels.decoders.base import get_decoder

    try:
        decoder = get_decoder(syntax)
    except (NotImplementedError, ValueError):
        decoder = None
    if decoder is None:
        raise ImageError(
            "The DICOM is compressed in a way that is not read, such as video. Export it uncompressed, "
            "or as JPEG 2000 or RLE."
        )
    if not decoder.is_available:
        family, packages = _family(syntax)
        raise ImageError(
            f"The DICOM is compressed as {family}, and no decoder for it is installed. "
            f"Install one with: pip install {packages}"
        )
    return decoder


def _family(syntax: str) -> tuple[str, str]:
    """What a compressed transfer syntax is called, and the packages that decode all its variants."""
    for prefixes, family, packages in _DECODERS:
        if syntax.startswith(prefixes):
            return family, packages
    return "run-length", ""


def _unpacked(decode: Callable[[], Any], syntax: str) -> Any:
    """The decoded frame; where that fails, the packages that know more variants."""
    family, packages = _family(syntax)
    try:
        return decode()
    except ImageError:
        raise
    except Exception as error:
        reason = f"The DICOM's {family} data could not be decoded ({type(error).__name__}): they are damaged"
    if packages:
        reason += f", or of a variant that needs a further package. Try: pip install {packages}"
    else:
        reason += ". Export the image again from its origin."
    raise ImageError(reason)


def _one_frame(dataset: Dataset, syntax: str, layout: Layout) -> bytes:
    """The chosen frame alone, still compressed, known to unpack to the size of its picture."""
    from pydicom.encaps import encapsulate, get_frame

    offsets = tuple(dataset[word].value for word in PIXEL_KEYWORDS[3:] if word in dataset)
    frame = get_frame(
        cast(Any, BoundedReader(io.BytesIO(dataset[PIXEL_KEYWORDS[0]].value))),
        layout.index,
        number_of_frames=layout.frames,
        extended_offsets=cast(Any, offsets if len(offsets) == 2 else None),
    )
    if syntax == _RLE:
        require_bounded(frame, layout.rows * layout.cols)
    else:
        _require_same_size(frame, layout)
    return encapsulate([frame])


def _require_same_size(frame: bytes, layout: Layout) -> None:
    """Refuse compressed data of another size than the header's, which was the one that was checked."""
    found = size_of(frame)
    if found != (layout.rows, layout.cols):
        raise ImageError(
            f"The DICOM contradicts itself: its compressed data have {found[0]} rows and {found[1]} columns, "
            f"its header says {layout.rows} and {layout.cols}. Export the image again from its origin."
        )
    require_few_scans(frame.count(b"\xff\xda"), layout.rows * layout.cols)
