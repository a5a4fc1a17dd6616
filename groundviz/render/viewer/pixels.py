"""An image as the viewer reads it: whole numbers in tiles, at several sizes, and how they were shown.

Grey images have 16 bits: the values of their file where a record kept them, else the brightness. Colours
have three channels of 8 bits. Sizes halve from the first, the largest, until the longer side has at most
1,024 pixels. Each tile is deflated, after each number was replaced by its difference from the mean of its
left and its upper neighbour, modulo 256 or 65,536; of 16 bits the low bytes stand before the high ones.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.record.types import SourceImage
from groundviz.render.base import overlay

LONGEST, SMALLEST, TILE = 4096, 1024, 512
_TOP = 65535
# A curve from values to brightness that is no straight line has so many points.
_POINTS = 1024
# Of brightness: what a straight line may be off.
_STRAIGHT = 2e-3

Codes = npt.NDArray[Any]


@dataclass(frozen=True)
class Pixels:
    """The numbers of one image at every size.

    Args:
        source_image: What is shown.
    """

    source_image: SourceImage

    @cached_property
    def levels(self) -> list[Codes]:
        """The image (rows, cols, channels) at each size, the smallest first; uint16 grey, uint8 in colour.

        A pixel of a smaller one is the mean of the area that it covers.
        """
        codes = self._codes
        exact = codes.astype(np.float32)
        shapes = [_fitting(codes.shape[:2], LONGEST)]
        while max(shapes[0]) > SMALLEST:
            shapes.insert(0, _halved(shapes[0]))
        made: list[Codes] = []
        for shape in reversed(shapes):
            if shape == codes.shape[:2]:
                made.insert(0, codes)
                continue
            exact = overlay.area_means(overlay.area_means(exact, shape[0], axis=0), shape[1], axis=1)
            made.insert(0, np.rint(exact).astype(codes.dtype))
        return made

    @cached_property
    def _codes(self) -> Codes:
        image = self.source_image
        if image.stored is not None:
            return np.asarray(image.stored.codes)[..., None]
        if image.pixels.ndim == 3:
            return overlay.to_bytes(image.pixels)
        return np.rint(image.pixels.astype(np.float64) * _TOP).astype(np.uint16)[..., None]

    def tile(self, level: int, number: int) -> bytes:
        """One tile of a size, counted row by row."""
        codes = self.levels[level]
        across = -(-codes.shape[1] // TILE)
        row, col = divmod(number, across)
        return coded(codes[row * TILE : (row + 1) * TILE, col * TILE : (col + 1) * TILE])

    def count(self, level: int) -> int:
        """How many tiles a size has."""
        rows, cols = self.levels[level].shape[:2]
        return int(-(-rows // TILE) * -(-cols // TILE))

    def meaning(self) -> dict[str, Any]:
        """What the numbers mean: their values, and the brightness that they were shown with.

        `read` is the pair of numbers that were shown black and white; `curve` is given where brightness
        does not rise evenly from one to the other, as its values at equal steps.
        """
        stored = self.source_image.stored
        if self.source_image.pixels.ndim == 3:
            return {"top": 255, "read": [0, 255], "value": None}
        if stored is None:
            return {"top": _TOP, "read": [0, _TOP], "value": None}
        top = max(1, int(stored.codes.max()))
        value = {"low": stored.low, "step": stored.step, "unit": stored.unit, "shift": [0.0, 0.0]}
        line = _line(stored.codes, self.source_image.pixels)
        if line is not None:
            value["shift"] = self._shift(*(stored.low + stored.step * code for code in line))
            return {"top": top, "read": line, "value": value}
        return {"top": top, "read": [0, top], "value": value, "curve": self._curve(top)}

    def _shift(self, black: float, white: float) -> list[float]:
        """What a window's centre and width, as it was given, have more than its ends say.

        A window of DICOM's LINEAR runs from centre - 0.5 - (width - 1) / 2 over width - 1.
        """
        if self.source_image.window is None:
            return [0.0, 0.0]
        centre, width = self.source_image.window
        return [centre - (black + white) / 2, width - abs(white - black)]

    def _curve(self, top: int) -> list[float]:
        """Brightness at equal steps from number 0 to `top`; between those that occur it is interpolated."""
        codes, at = np.unique(self.source_image.stored.codes, return_index=True)  # type: ignore[union-attr]
        shown = self.source_image.pixels.reshape(-1)[at]
        points = np.interp(np.linspace(0, top, min(_POINTS, top + 1)), codes, shown)
        return [round(point, 4) for point in points.tolist()]


def coded(codes: Codes) -> bytes:
    """The bytes of one tile (rows, cols, channels)."""
    wide = codes.astype(np.int32)
    left, above = np.zeros_like(wide), np.zeros_like(wide)
    left[:, 1:], above[1:] = wide[:, :-1], wide[:-1]
    left[:, 0], above[0] = above[:, 0], left[0]
    change = wide - ((left + above) >> 1)
    if codes.dtype == np.uint8:
        return zlib.compress((change & 0xFF).astype(np.uint8).tobytes(), 6)
    halves = (change & 0xFF).astype(np.uint8).tobytes(), ((change >> 8) & 0xFF).astype(np.uint8).tobytes()
    return zlib.compress(b"".join(halves), 6)


def _fitting(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    shrink = min(1.0, longest / max(shape))
    return max(1, round(shape[0] * shrink)), max(1, round(shape[1] * shrink))


def _halved(shape: tuple[int, int]) -> tuple[int, int]:
    return max(1, -(-shape[0] // 2)), max(1, -(-shape[1] // 2))


def _line(codes: Codes, pixels: npt.NDArray[np.floating]) -> list[float] | None:
    """The numbers shown black and white, where brightness rises or falls evenly between them."""
    between = (pixels > 0.0) & (pixels < 1.0)
    inner = codes[between].astype(np.float64)
    if inner.size == 0 or inner.min() == inner.max():
        return None
    shown = pixels[between].astype(np.float64)
    first, last = inner.argmin(), inner.argmax()
    rise = (shown[last] - shown[first]) / (inner[last] - inner[first])
    if rise == 0.0:
        return None
    black = inner[first] - shown[first] / rise
    straight = np.clip((codes - black) * rise, 0.0, 1.0)
    if np.abs(straight - pixels).max() > _STRAIGHT:
        return None
    return [black, black + 1.0 / rise]
