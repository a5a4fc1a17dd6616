"""How the pixels of a DICOM are stored, by its header."""

from __future__ import annotations

from dataclasses import dataclass

from groundviz.errors import ImageError
from groundviz.images.base.limits import MAX_FRAME_BYTES, choose_frame, frame_note, require_size
from groundviz.images.base.window import Values
from groundviz.images.dicom.fields import Fields, attempted

GREY = ("MONOCHROME1", "MONOCHROME2")
INDEXED = "PALETTE COLOR"
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
# Values of Presentation LUT Shape: whether low values are bright.
_SHAPES = {"INVERSE": True, "IDENTITY": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the pixels of a DICOM are stored, and which frame is wanted.

    Attributes:
        rows: Of the image.
        cols: Of the image.
        frames: How many frames the file has.
        index: The wanted frame, counting from 0.
        samples: Values per pixel.
        photometric: Photometric Interpretation.
        bits_allocated: Bits per value in memory.
        bits_stored: Bits per value that are used.
        signed: Whether values may be negative.
        planar: Planar Configuration.
        shift: How many unused bits lie below each value (High Bit).
        shape: Presentation LUT Shape, which overrides the photometric interpretation.
        remarks: Notes on elements that cannot be used, or contradict each other.
    """

    rows: int
    cols: int
    frames: int
    index: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool
    planar: int
    shift: int = 0
    shape: str = ""
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, fields: Fields, frame: int | None) -> Layout:
        """Read and check the layout, before any pixel is touched.

        Raises:
            ImageError: No image, an image that is too large, several frames and none chosen, or
                a kind of colour that is not read.
        """
        rows, cols = int(fields.number("Rows", 0.0)), int(fields.number("Columns", 0.0))
        if not rows and not cols:
            raise ImageError(
                "The DICOM file holds no image: it has neither rows nor columns. Choose another."
            )
        require_size(rows, cols)
        frames = frame_count(fields)
        allocated = int(fields.number("BitsAllocated"))
        stored = int(fields.number("BitsStored", float(allocated)))
        shift, remarks = _shift(fields, allocated, stored)
        layout = cls(
            rows=rows,
            cols=cols,
            frames=frames,
            index=choose_frame(frame, frames),
            samples=int(fields.number("SamplesPerPixel", 1.0)),
            photometric=fields.text("PhotometricInterpretation"),
            bits_allocated=allocated,
            bits_stored=stored,
            signed=fields.number("PixelRepresentation", 0.0) != 0.0,
            planar=int(fields.number("PlanarConfiguration", 0.0)),
            shift=shift,
            shape=fields.code("PresentationLUTShape"),
            remarks=remarks,
        )
        layout._check()
        return layout

    def _check(self) -> None:
        samples = 1
        if self.photometric in COLOUR:
            samples = 3
        if self.photometric not in (*GREY, INDEXED, *COLOUR) or self.samples != samples:
            raise ImageError(
                "The DICOM's pixels are of a kind that is not read, or contradict their own description. "
                "Grey, palette, RGB and YBR are read; export the image as one of these."
            )
        if not 1 <= self.bits_stored <= self.bits_allocated <= 64:
            raise ImageError(
                f"The DICOM claims {self.bits_stored} bits in {self.bits_allocated} per value, where 1 to 64 "
                "are possible. Export the image again from its origin."
            )
        size = self.rows * self.cols * self.samples * -(-self.bits_allocated // 8)
        if size > MAX_FRAME_BYTES:
            raise ImageError(
                f"One frame of the DICOM takes {size / 1e6:.0f} MB, where at most "
                f"{MAX_FRAME_BYTES / 1e6:.0f} MB are read. Crop it or scale it down first."
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """Which frame is shown, if there are several, and contradictions in the header."""
        notes = frame_note(self.index, self.frames) + self.remarks
        if self.is_grey and self.is_inverted != (self.photometric == GREY[0]):
            brightness = "bright" if self.is_inverted else "dark"
            notes += (
                f"The file contradicts itself: it is {self.photometric}, and its Presentation LUT Shape is "
                f"{self.shape}. The latter is followed: low values are {brightness}.",
            )
        return notes

    @property
    def is_grey(self) -> bool:
        """Whether values are grey; otherwise they are colours or point into a palette."""
        return self.photometric in GREY

    @property
    def is_inverted(self) -> bool:
        """Whether low values are bright."""
        return _SHAPES.get(self.shape, self.photometric == GREY[0])

    @property
    def is_indexed(self) -> bool:
        """Whether values point into a palette."""
        return self.photometric == INDEXED


def frame_count(fields: Fields) -> int:
    """How many frames the file says it has; at least one."""
    return max(1, int(fields.number("NumberOfFrames", 1.0)))


def _shift(fields: Fields, allocated: int, stored: int) -> tuple[int, tuple[str, ...]]:
    """How far above the lowest bit the values lie, by High Bit."""
    high, notes = attempted(lambda: fields.number("HighBit", stored - 1.0), "High Bit in the file")
    if high is None:
        return 0, notes
    shift = int(high) + 1 - stored
    if shift == 0 or 0 < shift <= allocated - stored:
        return shift, notes
    return 0, ("High Bit in the file cannot be used: values are read from the lowest bit on.",)


def lowered(stored: Values, layout: Layout) -> tuple[Values, tuple[str, ...]]:
    """Values moved down to the lowest bit, where they are stored higher up (High Bit).

    Args:
        stored: Values that were not compressed. Compressed data have no High Bit.
        layout: Of the pixels.
    """
    if not layout.shift or stored.dtype.kind == "f":
        return stored, ()
    top = 1 << layout.bits_stored
    unused_bits = (1 << layout.shift) - 1
    # Values that fit into the low bits, and use them, were not stored higher up.
    if 0 <= stored.min() and stored.max() < top and (stored & unused_bits).any():
        note = "High Bit in the file contradicts its pixels: values are read from the lowest bit on."
        return stored, (note,)
    return stored >> layout.shift, (f"Values were moved down by {layout.shift} bits, as High Bit says.",)
