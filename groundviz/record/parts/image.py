"""An image that was asked about, and the cells that a model makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from groundviz.record.parts import brief
from groundviz.record.parts.arrays import Bools, Doubles, Floats, Ints, Shorts

Stage = Literal["pixels", "vision", "projector", "language", "cross"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredValues:
    """What a grey image holds, before a window chose what is black and what is white.

    The value of a pixel is `low + step * codes`.

    Attributes:
        codes: uint16 (rows, cols).
        low: The value of code 0, in the file's units.
        step: From one code to the next, in the file's units; below zero where higher numbers mean less.
        unit: "HU" where values are Hounsfield units; empty where they are numbers as stored.
    """

    codes: Shorts = field(repr=False)
    low: float
    step: float
    unit: str = ""

    def __repr__(self) -> str:
        shape = f"{brief.size(self.codes.shape)} values"
        last = self.low + self.step * int(self.codes.max())
        return brief.line("StoredValues", shape, f"{self.low:g} to {last:g}", brief.quoted(self.unit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which of a stack's slices an image is.

    A stack is what belongs together in one direction: the frames of a file, a series, a list of images.

    Attributes:
        stack: Which stack of the question, from 0.
        number: Which slice or frame of it, from 0.
        of: How many the stack has, those that were not asked about among them.
    """

    stack: int
    number: int
    of: int

    def __repr__(self) -> str:
        return brief.line("Slice", f"{self.number + 1} of {self.of}", f"stack {self.stack}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceImage:
    """An image ready to be shown and asked about, without a trace of whose it is.

    Attributes:
        pixels: float32 (rows, cols) or (rows, cols, 3), display space, 0 black to 1 white.
        source: The kind of thing it came from: "png", "jpeg", "dicom", "array", ...
        raw_range: Smallest and largest stored value before display mapping.
        window: DICOM (centre, width) that was applied, or None.
        inverted: Whether low stored values are shown bright.
        spacing_mm: Millimetres per pixel (row, col), or None when unknown; a mere ratio if a note says so.
        notes: What was done to the pixels and what to beware of, in plain words.
        sha256: Of the pixels as shown; equal pixels, equal hash.
        spacing_from: The DICOM element that gave the spacing; empty when unknown.
        stored: The values of a grey image over their whole range, or None where they were not kept.
        edges: Where the left, upper, right and lower edge point in the patient, in DICOM's letters, such as
            ("R", "H", "L", "F"); None when unknown.
        laterality: "R", "L" or "B" where the file says which side it shows; else empty.
        slice: Which slice of a stack it is; None for an image by itself.
        position_mm: Where its plane lies along the line that stands upright on it, in the patient's
            coordinates; None when unknown.
        towards: In which direction positions grow, in DICOM's letters, such as "H"; empty when unknown.

    >>> import groundviz
    >>> import numpy as np
    >>> source_image = groundviz.images.load(np.zeros((4, 6), np.uint8))
    >>> source_image.shape, source_image.source
    ((4, 6), 'array')
    """

    pixels: Floats = field(repr=False)
    source: str
    raw_range: tuple[float, float]
    sha256: str = field(repr=False)
    window: tuple[float, float] | None = None
    inverted: bool = False
    spacing_mm: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    spacing_from: str = ""
    stored: StoredValues | None = None
    edges: tuple[str, str, str, str] | None = None
    laterality: str = ""
    slice: Slice | None = None
    position_mm: float | None = None
    towards: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def __repr__(self) -> str:
        colours = ""
        if self.pixels.ndim == 3:
            colours = "in colour"
        spacing = ""
        if self.spacing_mm is not None:
            spacing = f"{self.spacing_mm[0]:.3g} x {self.spacing_mm[1]:.3g} mm"
        notes = brief.counted(len(self.notes), "note")
        shape = f"{brief.size(self.shape)} pixels"
        return brief.line("SourceImage", shape, colours, f"from {self.source}", spacing, notes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """Where each image token of one image sits, in the prompt and in the source image.

    Attributes:
        rows: Number of token rows.
        cols: Number of token columns.
        positions: int (rows * cols,), index into the prompt's tokens; -1 where a cell has no token.
        to_source: float64 (2, 3) affine: [row, col, 1] in cells to [row, col] in source pixels.
        valid: bool (rows, cols), False where a cell has no token or shows no source pixel.
        stage: Which part of the model the cells belong to.
        image: Which of the prompt's source images the cells lie on.
        label: What tells it from other grids of the same image: "overview", "tiles"; empty for one.
    """

    rows: int
    cols: int
    positions: Ints
    to_source: Doubles
    valid: Bools
    stage: Stage
    image: int = 0
    label: str = ""

    def __repr__(self) -> str:
        label = ""
        if self.label:
            label = brief.quoted(self.label)
        shape = f"{brief.size((self.rows, self.cols))} cells"
        return brief.line("Grid", shape, self.stage, f"image {self.image}", label)
