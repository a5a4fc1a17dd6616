"""Sheets of phantoms for the documentation: a part of `python scripts/doc_images.py`."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from groundviz.demo.findings import FINDINGS
from groundviz.demo.phantoms import Phantom, phantom
from groundviz.demo.samples import SAMPLES, to_levels
from groundviz.record.types import Bools, Floats

SIDE, GAP = 288, 4
TRUTH = (0.0, 0.85, 0.85)


def sheets() -> Iterator[tuple[str, bytes]]:
    """The name and the PNG of every sheet, one by one."""
    yield "now", six_findings()
    yield "twins", _sheet([_twins(name) for name in ("nodule", "pneumothorax")])


def six_findings() -> bytes:
    """One phantom for each finding, those of the sample images."""
    drawn = [_grey(sample.draw_at(SIDE)) for sample in SAMPLES[: len(FINDINGS)]]
    return _sheet([drawn[i : i + 2] for i in range(0, len(drawn), 2)])


def _twins(name: str) -> list[Floats]:
    """A phantom with a finding, the same one with the truth outlined, and its twin without."""
    (sample,) = (sample for sample in SAMPLES if sample.findings == (name,))
    sick = sample.draw_at(SIDE)
    twin = phantom(sample.seed, size=SIDE, findings=sample.findings, without=sample.findings)
    outlined = _grey(sick)
    outlined[_border(sick.mask(name))] = TRUTH
    return [_grey(sick), outlined, _grey(twin)]


def _grey(drawn: Phantom) -> Floats:
    return np.repeat(drawn.pixels[..., None], 3, axis=2)


def _border(mask: Bools) -> Bools:
    """The pixels of a mask that touch its outside."""
    within = np.logical_and.reduce([np.roll(mask, by, axis) for by in (-1, 1) for axis in (0, 1)])
    return np.asarray(mask & ~within)


def _sheet(rows: list[list[Floats]]) -> bytes:
    """Images in rows, on white."""
    high, wide = len(rows) * (SIDE + GAP) - GAP, len(rows[0]) * (SIDE + GAP) - GAP
    page = np.ones((high, wide, 3), np.float32)
    for r, row in enumerate(rows):
        for c, image in enumerate(row):
            top, left = r * (SIDE + GAP), c * (SIDE + GAP)
            page[top : top + SIDE, left : left + SIDE] = image
    stream = io.BytesIO()
    Image.fromarray(to_levels(page, 8)).save(stream, "PNG")
    return stream.getvalue()
