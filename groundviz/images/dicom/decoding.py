"""Decodes one frame of a DICOM. The headers of compressed data are read before they are unpacked.

The decoder gets the values that the compressed data state, never those of the DICOM header. Where the two
differ, these are the rules:

==========================  ====================================================================
size, values per pixel      refused
more bits than the header   the low Bits Stored bits count (PS3.5 8.1.1), with a note; refused
                            where the header has no room for them (Bits Allocated)
fewer bits                  as compressed, with a note
negative values (JPEG       compressed data that have them keep them, with a note; data without
2000 alone can say)         are read as the header says, with a note
colours                     the compressed data are followed where they name them, with a note
==========================  ====================================================================
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image

from groundviz.errors import ImageError
from groundviz.images.base.intake import BoundedReader
from groundviz.images.base.limits import require_memory
from groundviz.images.base.window import Values
from groundviz.images.dicom.codestream import Stream, codestream, stream_of
from groundviz.images.dicom.elements import PIXEL_KEYWORDS
from groundviz.images.dicom.layout import Layout
from groundviz.images.dicom.rle import require_bounded
from groundviz.images.raster.files import require_few_scans

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

RLE = "1.2.840.10008.1.2.5"

# Transfer syntaxes that may need a further package: the beginnings of their identifiers, the name of the
# family, and the packages with the module of each.
_JPEG_PACKAGES = {"pylibjpeg": "pylibjpeg", "pylibjpeg-libjpeg": "libjpeg"}
DECODERS: tuple[tuple[tuple[str, ...], str, dict[str, str]], ...] = (
    (("1.2.840.10008.1.2.4.5", "1.2.840.10008.1.2.4.7"), "JPEG", _JPEG_PACKAGES),
    (("1.2.840.10008.1.2.4.8",), "JPEG-LS", {"pyjpegls": "jpeg_ls"}),
    (
        ("1.2.840.10008.1.2.4.9", "1.2.840.10008.1.2.4.20"),
        "JPEG 2000",
        {"pylibjpeg": "pylibjpeg", "pylibjpeg-openjpeg": "openjpeg"},
    ),
)
_MAX_OFFSETS = 8_000_000
_END = b"\xff\xd9"
_YBR = ("YBR_FULL", "YBR_FULL_422")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The chosen frame before it is decoded.

    Attributes:
        layout: The header's layout, corrected by the compressed data.
        notes: Where the two contradict each other.
        stream: The header of the compressed data; None for data without one.
        data: The compressed frame; empty where pixels are not compressed.
    """

    layout: Layout
    notes: tuple[str, ...] = ()
    stream: Stream | None = None
    data: bytes = b""

    def require_room(self, *, held: int, more: float) -> None:
        """Refuse a frame that takes too much memory to decode.

        Args:
            held: Bytes of all frames, where they are not compressed.
            more: Bytes per pixel for its presentation, besides the values and the image.

        Raises:
            ImageError: As `require_memory` raises it.
        """
        layout, stream = self.layout, self.stream
        size = layout.samples * -(-layout.bits_allocated // 8)
        # Bytes per pixel at the peak, measured for each decoder and rounded up.
        each = 4 * layout.samples + 2 * size + 1.5 + more
        if stream is not None and stream.kind == "JPEG 2000":
            each += layout.samples * (6 if stream.bits <= 8 else 11)
        elif stream is not None and stream.kind == "JPEG":
            each += 2 * layout.samples
        elif self.data:
            each += 3 * size
        elif layout.photometric.startswith("YBR"):
            each += 10
        others = max(0, held - layout.rows * layout.cols * size)
        require_memory(layout.rows, layout.cols, each, more=others + 2 * len(self.data))


def find(dataset: Dataset, syntax: str, layout: Layout) -> Frame:
    """The chosen frame, checked to be the image that the header describes.

    Raises:
        ImageError: There are no pixels, no decoder for them, or they contradict the header.
    """
    decoder = _decoder(syntax)
    if not any(word in dataset for word in PIXEL_KEYWORDS[:3]):
        raise ImageError("The DICOM file describes an image but holds no pixel data. Choose another.")
    if not decoder.is_encapsulated:
        return Frame(layout=layout)
    data = codestream(_one_frame(dataset, layout))
    if syntax == RLE:
        require_bounded(data, layout.rows * layout.cols)
        return Frame(layout=layout, data=data)
    stream = stream_of(data)
    _require_same_image(stream, layout)
    require_few_scans(data.count(b"\xff\xda"), layout.rows * layout.cols)
    agreed, notes = _agreed(stream, layout)
    if not data.rstrip(b"\0").endswith(_END):
        notes += ("The compressed data end early: parts of the image may be missing.",)
    return Frame(layout=agreed, notes=notes, stream=stream, data=data)


def decoded(dataset: Dataset, syntax: str, frame: Frame) -> Values:
    """The frame as stored, (rows, cols) or (rows, cols, 3) in RGB.

    Raises:
        ImageError: It cannot be decoded.
    """
    layout, stream = frame.layout, frame.stream
    if stream is None:
        return _plain(dataset, syntax, frame)
    if stream.kind == "JPEG" and stream.samples == 3 and stream.bits == 8:
        return cast(Values, _unpacked(lambda: _colour_jpeg(frame.data, stream, layout), syntax))
    values: Values = _unpacked(lambda: _by_plugins(_decoder(syntax), frame.data, stream, layout), syntax)
    if stream.samples == 3 and (stream.colours or layout.photometric) in ("YBR", *_YBR):
        values = _to_rgb(values, stream.bits)
    return _low_bits(values, stream, layout)


def _require_same_image(stream: Stream, layout: Layout) -> None:
    """Refuse compressed data of another size than the header's, since that size was checked."""
    if (stream.rows, stream.cols) != (layout.rows, layout.cols):
        _contradiction(f"{stream.rows} rows and {stream.cols} columns", f"{layout.rows} and {layout.cols}")
    if stream.samples != layout.samples:
        _contradiction(f"{stream.samples} values per pixel", str(layout.samples))
    if stream.bits > layout.bits_allocated:
        _contradiction(f"{stream.bits} bits per value", f"{layout.bits_allocated} at most")


def _contradiction(found: str, stated: str) -> None:
    raise ImageError(
        f"The DICOM contradicts itself: its compressed data have {found}, "
        f"its header says {stated}. Export the image again from its origin."
    )


def _agreed(stream: Stream, layout: Layout) -> tuple[Layout, tuple[str, ...]]:
    """The layout by the rules above, and a note on each contradiction."""
    notes: tuple[str, ...] = ()
    if stream.bits != layout.bits_stored:
        rule = "The data are followed."
        if stream.bits > layout.bits_stored:
            rule = "The low bits count."
        notes += (
            f"The compressed data hold {stream.bits} bits per value, where the header says "
            f"{layout.bits_stored}. {rule}",
        )
    if stream.signed and not layout.signed:
        notes += ("The compressed data are signed, where the header says unsigned. The data are followed.",)
        layout = replace(layout, signed=True, bits_stored=stream.bits)
    elif stream.signed is False and layout.signed:
        notes += (
            "The compressed data are unsigned, where the header says signed. The header is followed: "
            "the highest bit is the sign.",
        )
    named = layout.photometric
    if named.startswith("YBR"):
        named = "YBR"
    # The decoder undoes these two, which are JPEG 2000's own.
    undone = stream.transformed and layout.photometric in ("YBR_ICT", "YBR_RCT")
    if stream.colours and stream.colours != named and not undone:
        notes += (
            f"The compressed data are {stream.colours}, where the header says {named}. "
            "The data are followed.",
        )
    return layout, notes


def _plain(dataset: Dataset, syntax: str, frame: Frame) -> Values:
    """Pixels that are not compressed, or run-length encoded."""
    from pydicom.encaps import encapsulate

    decoder, layout = _decoder(syntax), frame.layout
    keyword = next(word for word in PIXEL_KEYWORDS[:3] if word in dataset)
    element = dataset[keyword]
    options = _options(layout, bits=layout.bits_stored + layout.shift, signed=layout.signed)
    options |= {"pixel_keyword": keyword, "pixel_vr": str(element.VR), "allow_excess_frames": False}
    if decoder.is_encapsulated:
        # pydicom's own run-length decoder is in Python; the faster ones crash on damaged data.
        options["decoding_plugin"] = "pydicom"
        values, facts = _unpacked(
            lambda: decoder.as_array(encapsulate([frame.data]), index=0, **options), syntax
        )
    else:
        options["number_of_frames"] = layout.frames
        values, facts = decoder.as_array(element.value, index=layout.index, **options)
    if layout.samples == 3 and facts["photometric_interpretation"] != "RGB":
        raise ImageError("The DICOM's colours could not be converted to RGB. Export the image as RGB.")
    return cast(Values, values)


def _options(layout: Layout, *, bits: int, signed: bool) -> dict[str, Any]:
    """The options of a decoder."""
    return {
        "rows": layout.rows,
        "columns": layout.cols,
        "number_of_frames": 1,
        "samples_per_pixel": layout.samples,
        "photometric_interpretation": layout.photometric,
        "planar_configuration": layout.planar,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": bits,
        "pixel_representation": int(signed),
    }


def _by_plugins(decoder: Any, data: bytes, stream: Stream, layout: Layout) -> Values:
    """Compressed values as they are, by the first decoder that reads them."""
    from pydicom.encaps import encapsulate

    options = _options(layout, bits=stream.bits, signed=bool(stream.signed))
    options |= {
        "bits_allocated": 8 * _bytes_for(stream.bits),
        "pixel_keyword": "PixelData",
        "pixel_vr": "OB",
        # `_low_bits` corrects signs and unused bits afterwards, by one rule for all decoders.
        "apply_j2k_sign_correction": False,
        "apply_jls_sign_correction": False,
        "correct_unused_bits": False,
    }
    # GDCM comes last: it changes signs and colours by rules of its own.
    plugins = sorted(decoder.available_plugins, key=lambda name: name == "gdcm")
    for number, plugin in enumerate(plugins):
        try:
            values, _ = decoder.as_array(
                encapsulate([data]), index=0, raw=True, decoding_plugin=plugin, **options
            )
        except Exception:
            if number == len(plugins) - 1:
                raise
        else:
            return cast(Values, values)
    raise ValueError


def _colour_jpeg(data: bytes, stream: Stream, layout: Layout) -> Values:
    """RGB of an 8-bit colour JPEG, by the library that every environment has."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        if not stream.colours and layout.photometric == "RGB":
            # Only the header says that its values are RGB. Read as YCbCr, they are not converted.
            image.draft("YCbCr", image.size)
            return np.asarray(image)
        if image.mode == "RGB":
            return np.asarray(image)
        return np.asarray(image.convert("RGB"))


def _to_rgb(values: Values, bits: int) -> Values:
    from pydicom.pixels.processing import convert_color_space

    if bits != 8:
        raise ImageError(
            "The DICOM's colours are compressed as YBR with more than 8 bits. Export the image as RGB."
        )
    return convert_color_space(values, "YBR_FULL", "RGB")


def _low_bits(values: Values, stream: Stream, layout: Layout) -> Values:
    """Values as the header describes them: the low bits are used, and the highest of these may be a sign."""
    bits = layout.bits_stored
    if stream.signed or (stream.bits <= bits and not layout.signed):
        return values
    if not layout.signed:
        return np.asarray(np.bitwise_and(values, values.dtype.type((1 << bits) - 1)))
    size = max(values.dtype.itemsize, _bytes_for(bits))
    signed = values.astype(f"u{size}").view(f"i{size}")
    # Moved up and down again, so that the highest stored bit fills all bits above it.
    shift = 8 * size - bits
    np.left_shift(signed, shift, out=signed)
    return np.asarray(np.right_shift(signed, shift, out=signed))


def _bytes_for(bits: int) -> int:
    """The bytes of the smallest integer type that holds so many bits."""
    if bits <= 8:
        return 1
    if bits <= 16:
        return 2
    return 4


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
        family, packages = family_of(syntax)
        missing = _missing(packages)
        advice = f"Bring it up to date with: pip install --upgrade {' '.join(packages)}"
        if missing:
            advice = f"Install one with: pip install {missing}"
        raise ImageError(
            f"The DICOM is compressed as {family}, and no decoder for it can be used here. {advice}"
        )
    return decoder


def family_of(syntax: str) -> tuple[str, dict[str, str]]:
    """The family's name of a compressed transfer syntax, and the packages that decode all its variants."""
    for prefixes, family, packages in DECODERS:
        if syntax.startswith(prefixes):
            return family, packages
    return "run-length", {}


def _missing(packages: dict[str, str]) -> str:
    """Those of the packages that are not installed, for the advice in a message."""
    return " ".join(name for name, module in packages.items() if find_spec(module) is None)


def _unpacked(decode: Callable[[], Any], syntax: str) -> Any:
    """The decoded frame.

    Raises:
        ImageError: That failed; the message names packages that decode more variants.
    """
    family, packages = family_of(syntax)
    try:
        return decode()
    except ImageError:
        raise
    except Exception as error:
        reason = f"The DICOM's {family} data could not be decoded ({type(error).__name__}): they are damaged"
    missing = _missing(packages)
    if missing:
        reason += f", or of a variant that needs a further package. Try: pip install {missing}"
    elif packages:
        reason += (
            ", or of a variant that the installed decoders do not know. Export the image uncompressed "
            "from its origin."
        )
    else:
        reason += ". Export the image again from its origin."
    raise ImageError(reason)


def _one_frame(dataset: Dataset, layout: Layout) -> bytes:
    """The chosen frame alone, still compressed."""
    from pydicom.encaps import get_frame

    offsets = tuple(dataset[word].value for word in PIXEL_KEYWORDS[3:] if word in dataset)
    value = dataset[PIXEL_KEYWORDS[0]].value
    # The first item lists the position of every frame; pydicom makes a number of each.
    tables = [int.from_bytes(value[4:8], "little"), *(len(table) for table in offsets)]
    if max(tables) > _MAX_OFFSETS:
        raise ImageError(
            "The DICOM lists the places of more frames than are read. Export the frame you need alone."
        )
    extended = None
    if len(offsets) == 2:
        extended = offsets
    return get_frame(
        cast(Any, BoundedReader(io.BytesIO(value))),
        layout.index,
        number_of_frames=layout.frames,
        extended_offsets=cast(Any, extended),
    )
