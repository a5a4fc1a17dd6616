"""An image that was asked about, and the cells that a model makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from groundviz.record.parts import brief
from groundviz.record.parts.arrays import Bools, Doubles, Floats, Ints

Stage = Literal["pixels", "vision", "projector", "language", "cross"]


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

    >>> import groundviz
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
