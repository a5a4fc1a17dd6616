"""Cases in rows: the same method on one scale from case to case, each with its reference outlined."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from groundviz.record.types import Bools, Heatmap, SourceImage
from groundviz.render.base import overlay
from groundviz.render.base.captions import no_evidence
from groundviz.render.base.colour import Scale, bar, least, printed, scales
from groundviz.render.base.overlay import level_lines

_LONGEST = 420
# As on figures: dark below light is seen on any tissue.
_DARK, _LIGHT = "#000000", "#7dffb0"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One case of a row.

    Attributes:
        image: What was asked about.
        reference: bool (rows, cols) of the image.
        heatmap: The map; None where it was not measured.
        caption: What to read under it.
    """

    image: SourceImage
    reference: Bools
    heatmap: Heatmap | None
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A method's maps of several cases.

    Attributes:
        name: The method.
        cases: From the lowest to the highest of what they were chosen by.
    """

    name: str
    cases: tuple[Case, ...]

    @property
    def scale(self) -> Scale | None:
        """One scale for the whole row; None where no map points anywhere."""
        shown = [one.heatmap for one in self.cases if one.heatmap is not None]
        return next((scale for scale in scales(shown) if scale is not None), None)


def panel(case: Case, scale: Scale | None, *, longest: int = _LONGEST) -> tuple[bytes, tuple[int, int]]:
    """A case as JPEG bytes, with its rows and columns: image, map without smoothing, reference."""
    shape = overlay.fitting(case.image, longest)
    shown = overlay.resample(case.image.pixels, shape)
    if case.heatmap is not None and scale is not None:
        shown = overlay.overlaid(case.image, shape, case.heatmap, scale)
    image = Image.fromarray(overlay.to_bytes(shown))
    outline(image, case.reference)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85, subsampling=0)
    return stream.getvalue(), shape


def unseen(case: Case, scale: Scale | None) -> str:
    """Why the map of a case looks empty, in words; empty where it does not, or where it was not measured."""
    heatmap = case.heatmap
    if heatmap is None or scale is None or not heatmap.has_evidence:
        return "" if heatmap is None else no_evidence(heatmap)
    floor, highest = least(heatmap.unit, heatmap.values.size), scale.largest(heatmap.values)
    if highest >= floor:
        return ""
    return f"below its scale's floor of {printed(floor)}: highest {printed(highest, 2)}"


def outline(image: Image.Image, reference: Bools) -> None:
    """Draw the border of a reference, bool (rows, cols) of the source image, on an image of any size."""
    if not reference.any():
        return
    scale = np.array([image.height, image.width]) / np.array(reference.shape)
    draw = ImageDraw.Draw(image)
    for line in level_lines(reference.astype(np.float32), 0.5):
        points: list[tuple[float, float]] = []
        for row, col in (line * scale).tolist():
            points.append((col, row))
        draw.line(points, fill=_DARK, width=4, joint="curve")
        draw.line(points, fill=_LIGHT, width=2, joint="curve")


def colour_bar(scale: Scale) -> bytes:
    """The scale as a bar, as PNG bytes of 10 by 160 pixels."""
    return overlay.png(bar(scale, 10, 160))


def chosen(values: npt.NDArray[np.floating], count: int, *, seed: int = 0) -> list[int]:
    """Cases at even quantiles of a number, the lowest and the highest among them; ties are drawn by a seed.

    Args:
        values: (case,); NaN are never chosen.
        count: How many.
        seed: Of the order among ties.

    >>> chosen(np.array([0.0, 5.0, 1.0, np.nan, 3.0]), 3)
    [0, 4, 1]
    """
    known = np.flatnonzero(np.isfinite(values))
    ties = np.random.default_rng(seed).random(len(values))
    order = sorted(known.tolist(), key=lambda at: (values[at], ties[at]))
    places = np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))
    return [order[place] for place in places] if order else []
