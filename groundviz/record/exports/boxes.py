"""Where a map is strong: its strongest cells, boxes around them, and these as a COCO file.

Only what speaks for the target counts: values above zero. A map that is the same everywhere, up to
rounding, has no strong cells.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from groundviz.errors import OptionError
from groundviz.record.arguments import is_number
from groundviz.record.exports import believed
from groundviz.record.exports.long import listed
from groundviz.record.geometry import apply
from groundviz.record.mass import heaviest
from groundviz.record.types import Bools, Heatmap, Record

# The four neighbours of a cell, those that share an edge with it.
_NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle around strong cells that touch each other.

    Attributes:
        x: Its left edge, in source pixels.
        y: Its upper edge.
        width: Source pixels to its right edge.
        height: Source pixels to its lower edge.
        score: The highest raw value in it, in the map's unit.
        mass: Which share of all that is above zero in the map its strong cells hold.
    """

    x: float
    y: float
    width: float
    height: float
    score: float
    mass: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Strong:
    """Which cells of a map count as strong.

    Attributes:
        share: The fewest cells that hold this share of the map's mass (`groundviz.record.mass`), above 0
            to 1. They are what figures outline; of them, those above zero count.
        threshold: Cells from this raw value on, in place of a share; above 0.

    Raises:
        OptionError: One of them is out of its range.
    """

    share: float = 0.5
    threshold: float | None = None

    def __post_init__(self) -> None:
        if not (is_number(self.share) and 0 < self.share <= 1):
            raise OptionError(
                f"The share is {self.share!r}: expected a number above 0 to 1. Give for example share=0.5."
            )
        if self.threshold is None:
            return
        if not (is_number(self.threshold) and 0 < self.threshold < math.inf):
            raise OptionError(
                f"The threshold is {self.threshold!r}: expected a raw value above 0, as cells below zero "
                "speak against the target. Give one in the map's unit, or leave it out."
            )

    def cells(self, heatmap: Heatmap) -> Bools:
        """The strong cells, bool (rows, cols)."""
        if not heatmap.has_evidence:
            return np.zeros(heatmap.shape, dtype=bool)
        above = np.isfinite(heatmap.values) & (heatmap.values > 0)
        if self.threshold is None:
            return above & heaviest(heatmap.values, self.share)
        return above & (heatmap.values >= self.threshold)


def boxes(heatmap: Heatmap, strong: Strong, shape: tuple[int, int]) -> list[Box]:
    """A box around each group of strong cells, the highest score first.

    Args:
        heatmap: The map.
        strong: Which cells count.
        shape: Rows and columns of the source image, which boxes do not leave.
    """
    cells = strong.cells(heatmap)
    whole = float(np.nansum(heatmap.values.clip(0.0), dtype=np.float64))
    found = []
    for group in _groups(cells):
        box = _around(heatmap, group, shape, whole)
        # Cells that lie on padding alone show nothing of the image.
        if box.width > 0 and box.height > 0:
            found.append(box)
    return sorted(found, key=lambda box: (-box.score, box.y, box.x))


def _around(heatmap: Heatmap, group: Bools, shape: tuple[int, int], whole: float) -> Box:
    row, col = np.nonzero(group)
    corners = np.array([[row.min(), col.min()], [row.max() + 1, col.max() + 1]], dtype=np.float64)
    (top, left), (bottom, right) = apply(heatmap.grid.to_source, corners).clip(0.0, np.array(shape))
    values = heatmap.values[group]
    return Box(
        x=float(left),
        y=float(top),
        width=float(right - left),
        height=float(bottom - top),
        score=float(values.max()),
        mass=float(values.sum(dtype=np.float64)) / whole,
    )


def _groups(cells: Bools) -> Iterator[Bools]:
    """The cells that touch each other by an edge, group by group, as masks of the whole grid."""
    left = cells.copy()
    while left.any():
        start = np.unravel_index(int(left.argmax()), left.shape)
        group = np.zeros_like(cells)
        waiting = [(int(start[0]), int(start[1]))]
        left[start] = False
        while waiting:
            row, col = waiting.pop()
            group[row, col] = True
            for down, right in _NEIGHBOURS:
                beside = (row + down, col + right)
                inside = 0 <= beside[0] < cells.shape[0] and 0 <= beside[1] < cells.shape[1]
                if inside and left[beside]:
                    left[beside] = False
                    waiting.append(beside)
        yield group


def as_coco(record: Record, heatmaps: Iterable[Heatmap], strong: Strong) -> bytes:
    """Boxes of several maps as a COCO data set, its annotations with what COCO results hold.

    Every image has its number in the record as its id, and no file name of its owner's. A category is
    what one method measured of one target. Each annotation holds `score`, the highest raw value in its
    box, `unit`, and `mass` beside what COCO asks for, so that the list of annotations alone is a COCO
    results file. `info` says of each method whether its maps are to be believed.
    """
    categories: dict[tuple[str, str], dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    for heatmap in heatmaps:
        kind = (heatmap.method, f"{heatmap.target.text} [{listed(heatmap.target)}]")
        category = categories.setdefault(kind, _category(len(categories) + 1, heatmap))
        shape = record.source_images[heatmap.grid.image].shape
        for box in boxes(heatmap, strong, shape):
            annotations.append(_annotation(len(annotations) + 1, category["id"], heatmap, box))
    images = []
    for number, source_image in enumerate(record.source_images):
        height, width = source_image.shape
        images.append({"id": number, "width": width, "height": height, "file_name": f"image-{number}.png"})
    info = {
        "description": _described(strong),
        "version": record.provenance.versions.get("groundviz"),
        "evidence": believed.of_each(record),
    }
    document = {
        "info": info,
        "images": images,
        "categories": list(categories.values()),
        "annotations": annotations,
    }
    return json.dumps(document, indent=1, sort_keys=True).encode("ascii")


def _described(strong: Strong) -> str:
    if strong.threshold is None:
        return f"Boxes around those above zero of the fewest cells that hold {strong.share:g} of a map's mass"
    return f"Boxes around the cells from {strong.threshold:g} on"


def _category(number: int, heatmap: Heatmap) -> dict[str, Any]:
    name = f"{heatmap.method}: {heatmap.target.text}"
    return {"id": number, "name": name, "supercategory": heatmap.method}


def _annotation(number: int, category: int, heatmap: Heatmap, box: Box) -> dict[str, Any]:
    right, bottom = box.x + box.width, box.y + box.height
    return {
        "id": number,
        "image_id": heatmap.grid.image,
        "category_id": category,
        "bbox": [box.x, box.y, box.width, box.height],
        "area": box.width * box.height,
        "iscrowd": 0,
        "segmentation": [[box.x, box.y, right, box.y, right, bottom, box.x, bottom]],
        "score": box.score,
        "unit": heatmap.unit,
        "mass": box.mass,
        "method": heatmap.method,
        "target": heatmap.target.text,
        "tile": heatmap.grid.label,
        "layer": heatmap.layer,
        "head": heatmap.head,
    }
