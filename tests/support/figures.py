"""Figures of one record, for tests of what a figure shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from groundviz.record.types import Heatmap, Record
from groundviz.render.figures.columns import Part
from groundviz.render.figures.figure import compose
from groundviz.render.figures.file import PaperFigure


def draw(record: Record, rows: Sequence[Sequence[Heatmap]], **options: Any) -> PaperFigure:
    """A figure of several maps of one record; the options are those of `compose`."""
    return compose([Part(record, rows)], **options)
