"""Deletion and insertion curves of a run: a table beside random orders, and charts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from groundviz.evaluation import families
from groundviz.evaluation.cases.covered import DELETION, INSERTION, KINDS
from groundviz.evaluation.families import BLIND_ORDERS, Comparison
from groundviz.evaluation.report.inference import Tested, declared, family, spread
from groundviz.evaluation.report.results import Results, name_of
from groundviz.metrics import priors
from groundviz.record.types import Doubles
from groundviz.render.figures.file import PaperFigure
from groundviz.render.report import charts
from groundviz.render.report.charts import Curve
from groundviz.render.report.page import Chart
from groundviz.render.report.tables import Cell, Table, p_value

NOT_APPLICABLE = "\u2013"
_COVERED_BY = {
    "blur": "a wide blur",
    "mean": "its local mean",
    "flat": "one grey",
    "black": "black",
}
_SHOWN = {DELETION: "covered", INSERTION: "shown"}


def changes(results: Results, method: str, cover: str, kind: str) -> Doubles:
    """(sample,) by how much the answer changes, in nats, on average over the steps between none and all.

    What it loses while the image is covered; what it gains while the image is shown. More is better in both.
    """
    curves = results.curves.get((method, cover, kind))
    if curves is None:
        return np.full(len(results.rows), np.nan)
    change: Doubles = (curves[..., 1:-1] - curves[..., :1]).mean(axis=(1, 2))
    return -change if kind == DELETION else change


def table(results: Results) -> Table | None:
    """How much the answer depends on what each map ranks first; None without curves."""
    if not results.covers:
        return None
    tests = _tests(results)
    rows: list[tuple[Cell, ...]] = []
    blind: set[int] = set()
    for cover in results.covers:
        for kind in KINDS:
            for method in _named(results):
                if method not in results.methods:
                    blind.add(len(rows))
                rows.append(_row(results, method, cover, kind, tests))
    head: list[str] = ["order", "cells are", "with", "n", "loss, or gain (nats)"]
    for other in BLIND_ORDERS:
        head += [f"\u0394 vs {name_of(other)}", f"p vs {name_of(other)} (Holm)"]
    note = (
        "Deletion: the cells of the image are covered in the order of a map, the strongest first. Insertion: "
        "they are shown in that order on a covered image. Loss and gain: by how many nats the "
        "log-probability of the explained words changes, on average over the steps; more is better in both. "
        f"\u0394: to the mean of {_draws(results)} random orders of the same cells, and to the order from "
        "the centre outwards. p: sign flips by patient, corrected after Holm over all of this table. "
        f"{declared(results, families.CURVES, tests.values())} {spread(results, rows)} A covered image is "
        "one that the model has never seen; black is air on a radiograph."
    )
    return Table(
        name="faithfulness",
        title="Deletion and insertion",
        head=tuple(head),
        rows=tuple(rows),
        note=note,
        strong=frozenset(blind),
    )


def _row(
    results: Results, method: str, cover: str, kind: str, tests: dict[Comparison, Tested]
) -> tuple[Cell, ...]:
    change = changes(results, method, cover, kind)
    known = int(np.isfinite(change).sum())
    cells: list[Cell] = [name_of(method), _SHOWN[kind], _COVERED_BY.get(cover, cover), known]
    cells.append(results.number(change))
    for other in BLIND_ORDERS:
        if other == method:
            cells += [NOT_APPLICABLE, NOT_APPLICABLE]
            continue
        cells.append(results.number(change - changes(results, other, cover, kind)))
        # What never saw the image is not held against itself.
        tested = tests.get((method, other, cover, kind))
        cells.append(p_value(tested.p) if tested else NOT_APPLICABLE)
    return tuple(cells)


def _named(results: Results) -> list[str]:
    """The orders that have curves, those that never saw the image last."""
    there = {method for method, _, _ in results.curves}
    return [one for one in (*results.methods, *reversed(BLIND_ORDERS)) if one in there]


def _draws(results: Results) -> int:
    return max(len(curves[0]) for curves in results.curves.values())


def _tests(results: Results) -> dict[Comparison, Tested]:
    """By method, order that knows nothing of the image, cover and kind."""
    compared = results.family(families.CURVES)
    gains: list[Doubles] = []
    for method, other, cover, kind in compared:
        gains.append(changes(results, method, cover, kind) - changes(results, other, cover, kind))
    return dict(zip(compared, family(results, gains), strict=True))


def drawn(results: Results) -> Iterator[Chart]:
    """A chart for each direction and cover: methods with intervals, and the band of random orders."""
    for cover in results.covers:
        for kind in KINDS:
            name = kind if len(results.covers) == 1 else f"{kind}_{cover}"
            yield Chart(name=name, figure=_chart(results, cover, kind))


def _chart(results: Results, cover: str, kind: str) -> PaperFigure:
    named = [one for one in _named(results) if (one, cover, kind) in results.curves]
    caption = (
        f"{kind.capitalize()}: by how much the log-probability of the explained words differs from that with "
        f"the whole image, while cells are {_SHOWN[kind]} in the order of each map; covered cells show "
        f"{_COVERED_BY.get(cover, cover)}. Means over samples with 95 % intervals by patient, none below ten "
        f"patients. Grey never saw the image: the band from the lowest to the highest of {_draws(results)} "
        "random orders, and the order from the centre outwards."
    )
    return charts.curves(
        [_line(results, one, cover, kind) for one in named],
        x=f"share of the cells that is {_SHOWN[kind]} (%)",
        y="change of log-probability (nats)",
        caption=caption,
    )


def _line(results: Results, method: str, cover: str, kind: str) -> Curve:
    curves = results.curves[method, cover, kind]
    whole = curves[..., :1] if kind == DELETION else curves[..., -1:]
    change = curves - whole
    x = np.linspace(0.0, 100.0, change.shape[-1])
    if method == priors.RANDOM:
        each = np.nanmean(change, axis=0)
        return Curve(
            name=name_of(method),
            x=x,
            y=each.mean(axis=0),
            low=each.min(axis=0),
            high=each.max(axis=0),
            band=True,
        )
    if method == priors.CENTRE:
        return Curve(name=name_of(method), x=x, y=np.nanmean(change[:, 0], axis=0), blind=True)
    found = [results.interval(change[:, 0, step]) for step in range(change.shape[-1])]
    y = np.array([one.mean for one in found])
    low, high = np.array([one.low for one in found]), np.array([one.high for one in found])
    if not np.isfinite(low).all():
        return Curve(name=name_of(method), x=x, y=y)
    return Curve(name=name_of(method), x=x, y=y, low=low, high=high)


def absent(results: Results) -> str:
    """What of this kind was not measured, in a sentence."""
    if results.covers:
        return "Randomisation of single blocks: not measured in this run."
    return "Deletion, insertion and randomisation of single blocks: not measured in this run."
