"""Scores of answers and maps, and what was published of the same data set beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from groundviz.evaluation.recipes import RECIPES
from groundviz.evaluation.report.results import SCORERS, Results, name_of, title_of
from groundviz.metrics.published import (
    MAP_CAVEATS,
    MAP_NUMBERS,
    VQA_CAVEATS,
    VQA_ROWS,
    VQA_TEST_SETS,
    PublishedRow,
)
from groundviz.render.report.tables import Cell, Number, Table

NOT_STATED = "\u2013"
# Papers print answers in percent with two digits; of ours the second one says nothing.
_DIGITS, _PRINTED_DIGITS = 3, 4
_MOST_PERCENT = 100.0


def answers(results: Results) -> Table | None:
    """How right the answers are, by scorer and type of question, and what was published with a recipe."""
    types = [one or "not stated" for one in results.answers["answer_type"]]
    recipe, printed = of_recipe(results)
    rows: list[tuple[Cell, ...]] = []
    apart: set[int] = set()
    for scorer in SCORERS:
        values = results.correct(scorer)
        if not np.isfinite(values).any():
            continue
        for kind in sorted(set(types)):
            inside = np.array([one == kind for one in types])
            known = inside & np.isfinite(values)
            mean = results.number(np.where(inside, values, np.nan), percent=True)
            if mean is not None:
                mean = replace(mean, digits=_DIGITS)
            rows.append((scorer, kind, mean, int(known.sum()), int((inside & ~known).sum())))
        if recipe is not None and scorer == recipe["scorer"]:
            beside = list(_printed(results, printed))
            apart.update(range(len(rows), len(rows) + len(beside)))
            rows += beside
    if not rows:
        return None
    notes = ["Scorers differ in what they count as right; rows that a scorer drops are counted, not hidden."]
    if recipe is not None:
        notes += _caveats(results, recipe, printed)
    return Table(
        name="answers",
        title="Answers",
        head=("scorer", "questions", "score", "n", "dropped"),
        rows=tuple(rows),
        note=" ".join(notes),
        strong=frozenset(apart),
    )


def of_recipe(results: Results) -> tuple[Any, tuple[PublishedRow, ...]]:
    """What the manifest says of a recipe, None without one, and the rows that were published of it."""
    facts = results.run.manifest.get("recipe")
    if not facts or facts["name"] not in RECIPES:
        return facts, ()
    models = RECIPES[facts["name"]].published
    return facts, tuple(row for row in VQA_ROWS if row.model in models)


def _printed(results: Results, printed: Sequence[PublishedRow]) -> Iterable[tuple[Cell, ...]]:
    """The published numbers of the data set, each with the size of the whole test set."""
    data = results.data
    for row in printed:
        if data not in row.numbers:
            continue
        # Open questions, then closed ones.
        for at, kind in enumerate(("open", "closed")):
            share = round(row.numbers[data][at] / _MOST_PERCENT, _PRINTED_DIGITS)
            value = Number(share, digits=_PRINTED_DIGITS, percent=True)
            counted = VQA_TEST_SETS[data][2 + at]
            yield f"published: {row.model}, {row.setting}", kind, value, counted, NOT_STATED


def _caveats(results: Results, recipe: Any, printed: Sequence[PublishedRow]) -> list[str]:
    """What must be read beside published numbers, each sentence once."""
    data = results.data
    notes = [f"Decoding and split as {recipe['source']} has them (recipe {recipe['name']})."]
    here = [row for row in printed if data in row.numbers]
    if here:
        notes.append(
            "Published rows are of the whole test set, open questions by recall and closed ones by accuracy, "
            f"from {_joined(row.source for row in here)}; they have no intervals."
        )
    for row in printed:
        if not row.numbers:
            notes.append(
                f"Of {row.model} only the average over VQA-RAD, SLAKE and PathVQA is published: "
                f"{row.average:.2f} % ({row.source})."
            )
    notes.append(str(recipe["caveat"]))
    for row in here:
        notes += row.caveats
    if here and data in VQA_CAVEATS:
        notes.append(VQA_CAVEATS[data])
    return list(dict.fromkeys(notes))


def _joined(words: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(words))


def maps(results: Results) -> Table | None:
    """Published numbers of maps on the data set, beside those of the methods; None where there are none."""
    data = results.data
    printed = [one for one in MAP_NUMBERS if one.data == data]
    rows: list[tuple[Cell, ...]] = []
    for metric in dict.fromkeys(one.ours for one in printed):
        for method in [*results.methods, *results.priors]:
            mean = results.number(results.values(method, metric))
            rows.append((name_of(method), title_of(metric), mean, "this run"))
    ours = len(rows)
    for one in printed:
        spread = "" if one.spread is None else f", \u00b1 {one.spread:g}"
        rows.append((f"published: {one.model}", one.metric, Number(one.value, digits=3), one.source + spread))
    if not printed:
        return None
    return Table(
        name="published_maps",
        title="Published numbers of maps",
        head=("map", "metric", "value", "source"),
        rows=tuple(rows),
        note=" ".join(MAP_CAVEATS),
        strong=frozenset(range(ours, len(rows))),
    )
