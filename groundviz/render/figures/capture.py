"""One map over its image as an image of its own, which says on itself what it is: for archives of images."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from groundviz.record.types import Heatmap, Record
from groundviz.render.base import captions
from groundviz.render.base.overlay import fitting
from groundviz.render.figures.canvas import Levels, millimetres
from groundviz.render.figures.columns import Look, Part
from groundviz.render.figures.figure import compose

# Dots of the image's longer side: its own, unless that is too small for letters or too large for a screen.
SHORTEST, LONGEST = 1200, 2048
DERIVED = "Derived, not an original image"
# Of the page, on which a question can be read; and what its margins take.
_NARROWEST, _MARGINS = 100.0, 2.0


def captured(record: Record, heatmap: Heatmap) -> Levels:
    """The image under its map, with question, answer, evidence and colour bar, uint8 (rows, cols, 3).

    Args:
        record: What the map is of.
        heatmap: The map; one without evidence leaves the image bare, and says so.
    """
    source_image = record.source_images[heatmap.grid.image]
    longest = min(max(*source_image.shape, SHORTEST), LONGEST)
    rows, cols = fitting(source_image, longest)
    look = Look(bare=False, dark=True, highest=millimetres(rows))
    width = max(millimetres(cols), _NARROWEST) + _MARGINS
    part = Part(record, [[heatmap]], f"{DERIVED}: {shows(heatmap)}")
    figure = compose([part], look, width=width)
    with Image.open(io.BytesIO(figure.to_bytes("png"))) as drawn:
        return np.asarray(drawn.convert("RGB"))


def shows(heatmap: Heatmap) -> str:
    """What an image or lines made of a map show, in words that stand beside them."""
    return captions.claim(heatmap) or f"{captions.method_name(heatmap.method)} map"
