"""Figures of one record, for tests of what a figure shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from groundviz.record.types import Heatmap, Record
from groundviz.render.figures.columns import Look, Part
from groundviz.render.figures.figure import compose
from groundviz.render.figures.file import PaperFigure


def draw(record: Record, rows: Sequence[Sequence[Heatmap]], **options: Any) -> PaperFigure:
    """A figure of several maps of one record; the options are a width and those of a `Look`."""
    across = {"width": options.pop("width")} if "width" in options else {}
    options["interpolated"] = options.pop("smooth", False)
    return compose([Part(record, rows)], Look(**options), **across)
