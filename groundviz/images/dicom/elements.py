"""The listed elements of a DICOM file or item, and the positions of the items of its sequences.

pydicom's parser gets one run of elements without sequences at a time. Sequences are walked over, see
`groundviz.images.dicom.sequences`. An item is parsed only when it is needed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from groundviz.errors import ImageError
from groundviz.images.base.intake import BoundedReader
from groundviz.images.dicom.sequences import MAX_STEPS, UNDEFINED, Encoding, spans_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_COLOURS = ("Red", "Green", "Blue")

KEYWORDS = (
    "SOPClassUID",
    "Modality",
    "ConversionType",
    "BurnedInAnnotation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "FloatPixelPaddingValue",
    "FloatPixelPaddingRangeLimit",
    "DoubleFloatPixelPaddingValue",
    "DoubleFloatPixelPaddingRangeLimit",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "PixelAspectRatio",
    "PixelMeasuresSequence",
    "ImageOrientationPatient",
    "PlaneOrientationSequence",
    "ImagePositionPatient",
    "PlanePositionSequence",
    "InstanceNumber",
    "PatientOrientation",
    "ImageLaterality",
    "Laterality",
    "RescaleSlope",
    "RescaleIntercept",
    "PixelValueTransformationSequence",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
    "FrameVOILUTSequence",
    "LUTDescriptor",
    "LUTData",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "PresentationLUTShape",
    "PixelPresentation",
    "ICCProfile",
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in _COLOURS),
    *(f"{colour}PaletteColorLookupTableData" for colour in _COLOURS),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in _COLOURS),
)
# What tells series apart: read as a hash, and nothing else of it.
HASHED = ("SeriesInstanceUID",)
PIXEL_KEYWORDS = (
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)
# Rows of the sixteen overlay planes, (60xx,0010): their presence is all that is asked.
OVERLAY_TAGS = tuple(0x60000010 + (plane << 17) for plane in range(16))


PIXEL_GROUP = 0x7FE0
_MAX_HEADER_READS = 120_000
_MAX_HEADER_BYTES = 3_000_000
# Longer elements stay in the file; none of the listed ones needs to be that long.
_MAX_ELEMENT = 2_000_000
_CHARACTER_SET = 0x00080005
_MAX_CHARACTER_SET = 1024
# Sequences with one item per frame, which are read item by item also where their length is defined.
_FRAME_GROUPS = (0x52009229, 0x52009230)
_SEQUENCE_TYPES = ("SQ", "UN", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """The items of one sequence, still in the file.

    Attributes:
        stream: Where they are.
        spans: First and last byte of each item's elements, the last not included.
        encoding: How they are written.
        steps: The rest of the file's budget of parts.
    """

    stream: BinaryIO
    spans: Sequence[tuple[int, int]]
    encoding: Encoding
    steps: Iterator[int]

    def __len__(self) -> int:
        return len(self.spans)

    def read(self, index: int) -> Header:
        """The elements of one item.

        Raises:
            ImageError: It is damaged, or far larger than any real item.
        """
        start, stop = self.spans[index]
        self.stream.seek(start)
        return read(self.stream, self.encoding, stop=stop, steps=self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The listed elements of a file or item.

    Attributes:
        dataset: A pydicom Dataset of all but sequences.
        sequences: Items by tag, of the listed sequences.
        lengths: By tag, the lengths of listed elements that are too long to be read.
    """

    dataset: Any
    sequences: Mapping[int, Items]
    lengths: Mapping[int, int]


@cache
def tag_of(keyword: str) -> int:
    """The tag of a listed keyword."""
    from pydicom.tag import Tag

    return int(Tag(keyword))


def read(
    stream: BinaryIO, encoding: Encoding, *, stop: int | None = None, steps: Iterator[int] | None = None
) -> Header:
    """The listed elements from here to the pixels, or to `stop`.

    Raises:
        ImageError: The header is damaged, or built of more or longer parts than any image needs.
    """
    from pydicom.dataset import Dataset

    if steps is None:
        steps = iter(range(MAX_STEPS))
    held = Dataset()
    sequences: dict[int, Items] = {}
    lengths: dict[int, int] = {}
    wanted = {*(tag_of(word) for word in (*KEYWORDS, *HASHED)), *OVERLAY_TAGS}
    reader = BoundedReader(stream, reads=_MAX_HEADER_READS, total=_MAX_HEADER_BYTES, stop=stop)
    encoding, stated = _found(stream, encoding), encoding
    while True:
        pause = _Pause()
        # pydicom gets the stated encoding: it finds the true one itself, and warns where they differ.
        held.update(_parsed(cast(BinaryIO, reader), stated, wanted, pause))
        if not pause.reached:
            return Header(dataset=held, sequences=sequences, lengths=lengths)
        stated = encoding
        group, number, length, _ = encoding.header(stream)
        tag, begins = group << 16 | number, stream.tell()
        after = begins + length
        if pause.is_sequence:
            spans, after = spans_of(stream, length, encoding, steps)
            if tag in wanted:
                sequences[tag] = Items(stream=stream, spans=spans, encoding=encoding, steps=steps)
        elif tag in wanted:
            lengths[tag] = length
        stream.seek(after)


def items_in(element: Any) -> Items | None:
    """The items of a sequence that a data set holds as bytes, or None if it was parsed already.

    Raises:
        ImageError: It is damaged.
    """
    value = element.value
    if not isinstance(value, bytes):
        return None
    encoding = Encoding(implicit=bool(element.is_implicit_VR), little=bool(element.is_little_endian))
    stream, steps = io.BytesIO(value), iter(range(MAX_STEPS))
    spans, _ = spans_of(stream, len(value), encoding, steps)
    return Items(stream=stream, spans=spans, encoding=encoding, steps=steps)


class _Pause:
    """Tells the parser where to stop: before sequences and very long elements, and at the pixels.

    Attributes:
        reached: Whether it stopped before the pixels.
        is_sequence: Whether it stopped before a sequence.
    """

    def __init__(self) -> None:
        self.reached = self.is_sequence = False

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        # pydicom always converts this element, character by character.
        if tag == _CHARACTER_SET and length > _MAX_CHARACTER_SET:
            raise ImageError("The DICOM's character set has no end. Export the image again from its origin.")
        self.reached = self.is_sequence = False
        if tag >> 16 >= PIXEL_GROUP:
            return True
        endless = length == UNDEFINED
        self.is_sequence = tag in _FRAME_GROUPS or (endless and vr in _SEQUENCE_TYPES)
        self.reached = self.is_sequence or (length > _MAX_ELEMENT and not endless)
        return self.reached


def _found(stream: BinaryIO, stated: Encoding) -> Encoding:
    """How the elements that start here are written; some files state the wrong way."""
    start = stream.read(6)
    stream.seek(-len(start), io.SEEK_CUR)
    if len(start) < 6:
        return stated
    typed = start[4:6].isalpha() and start[4:6].isupper()
    return Encoding(implicit=not typed, little=stated.little)


def _parsed(
    reader: BinaryIO,
    encoding: Encoding,
    wanted: set[int],
    pause: Callable[[int, str | None, int], bool],
) -> Dataset:
    """The listed elements from here to where `pause` says so."""
    from pydicom.filereader import read_dataset

    tags = cast(Any, sorted(wanted))
    return read_dataset(reader, encoding.implicit, encoding.little, stop_when=pause, specific_tags=tags)
