"""The tables of a report, each with its note."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from groundviz.evaluation import families
from groundviz.evaluation.report import faithfulness, published
from groundviz.evaluation.report.inference import Tested, declared, family, patients, spread
from groundviz.evaluation.report.results import (
    Results,
    as_numbers,
    name_of,
    number,
    title_of,
)
from groundviz.evaluation.unscored import unscored
from groundviz.metrics.priors import RANDOM
from groundviz.metrics.statistics import correct_and_grounded, terciles
from groundviz.record.types import Bools, Doubles
from groundviz.render.report.tables import Cell, Number, Table, p_value

RELIANCE = {
    "vr_blurred": "blurred",
    "vr_local_mean": "its local mean",
    "vr_meanpool": "its tokens averaged",
    "vr_shuffle": "another patient's image",
}


def tables(results: Results) -> list[Table]:
    """All tables that a run has numbers for."""
    made: list[Table | None] = []
    if results.localised:
        made += [grounding(results), findings(results), by_size(results)]
        made += [published.maps(results), reasons(results), quadrants(results)]
    made.append(faithfulness.table(results))
    made += [published.answers(results), reliance(results)]
    if results.localised:
        made.append(everything(results))
    made.append(statuses(results))
    return [table for table in made if table is not None and table.rows]


def grounding(results: Results) -> Table:
    """The table of a paper: methods, their controls, and what never saw the image."""
    prior = results.strongest_prior
    versus = name_of(prior) if prior else "prior"
    tests = comparisons(results)
    rows: list[tuple[Cell, ...]] = []
    blind: set[int] = set()
    for name in in_order(results):
        if name in results.priors:
            blind.add(len(rows))
        values = results.values(name, results.primary)
        few, all_of = results.degenerate.get(name, (0, 0))
        # What never saw the image is not held against itself.
        gain: Cell = "\u2013"
        p: Cell = "\u2013"
        if prior is not None and name in tests:
            gain, p = results.number(results.gain(name, prior)), p_value(tests[name].p)
        rows.append(
            (
                name_of(name),
                f"{int(np.isfinite(values).sum())} / {patients(results, np.isfinite(values))}",
                *(results.number(results.values(name, metric)) for metric in results.headline),
                gain,
                p,
                Number(few / all_of, percent=True) if all_of else "\u2013",
            )
        )
    head = (
        "method",
        "n / patients",
        *map(title_of, results.headline),
        f"\u0394 {title_of(results.primary)} vs {versus}",
        "p (Holm)",
        "maps that point nowhere",
    )
    note = (
        f"Means over samples. {spread(results, rows)} \u0394: mean difference to the {versus}, the "
        "strongest map here that never saw the image, on the same samples; above 0 is better. p: sign "
        "flips by patient, corrected after Holm over the methods and controls of this table. "
        f"{declared(results, families.GROUNDING, tests.values())} Maps that point nowhere have all cells "
        f"alike and are scored by expectation. {faithfulness.absent(results)}"
    )
    return Table(
        name="grounding", title="Grounding", head=head, rows=tuple(rows), note=note, strong=frozenset(blind)
    )


def in_order(results: Results) -> list[str]:
    """Methods, each followed by its controls, and the priors last."""
    named: list[str] = []
    for method in results.methods:
        named += [method, *results.controls(method)]
    return [*named, *results.priors]


def comparisons(results: Results) -> dict[str, Tested]:
    """By method and control: the test of the gain over the strongest prior in the primary metric.

    The family is the one that the manifest declares, see `Results.family`; so are those of the other tables.
    """
    prior = results.strongest_prior
    if prior is None:
        return {}
    named = [one for one, _ in results.family(families.GROUNDING)]
    return dict(zip(named, family(results, [results.gain(one, prior) for one in named]), strict=True))


def findings(results: Results) -> Table:
    """The primary metric, finding by finding."""
    named = [*results.methods, *results.priors]
    groups = finding_groups(results)
    prior = results.strongest_prior
    stated = results.family(families.FINDINGS)
    pairs = [(finding, method) for method, _, finding in stated if finding in groups]
    tests: dict[tuple[str, str], Tested] = {}
    if prior is not None:
        gains = [np.where(groups[group], results.gain(method, prior), np.nan) for group, method in pairs]
        tests = dict(zip(pairs, family(results, gains), strict=True))
    rows: list[tuple[Cell, ...]] = []
    for group, inside in groups.items():
        cells: list[Cell] = [group, int(inside.sum()), patients(results, inside)]
        for name in named:
            cells.append(within(results, results.values(name, results.primary), inside))
            if name in results.methods and prior is not None:
                cells.append(p_value(tests[group, name].p) if (group, name) in tests else None)
        rows.append(tuple(cells))
    rows.append(_macro(results, groups, named, tested=prior is not None))
    head: list[str] = ["finding", "n", "patients"]
    for name in named:
        head.append(name_of(name))
        if name in results.methods and prior is not None:
            head.append(f"p, {name_of(name)} vs prior")
    note = (
        f"{title_of(results.primary).capitalize()}, means over samples. {spread(results, rows)} p: against "
        f"the {name_of(prior) if prior else 'prior'}, corrected after Holm over all methods and findings of "
        f"this table. {declared(results, families.FINDINGS, tests.values())} "
        "The last row is the mean of the findings' means."
    )
    return Table(
        name="findings",
        title=f"{title_of(results.primary).capitalize()} by finding",
        head=tuple(head),
        rows=tuple(rows),
        note=note,
    )


def _macro(results: Results, groups: dict[str, Bools], named: list[str], *, tested: bool) -> tuple[Cell, ...]:
    cells: list[Cell] = ["mean of findings", sum(int(one.sum()) for one in groups.values()), ""]
    for name in named:
        values = results.values(name, results.primary)
        means = [
            np.nanmean(values[inside]) for inside in groups.values() if np.isfinite(values[inside]).any()
        ]
        cells.append(Number(float(np.mean(means))) if means else None)
        if name in results.methods and tested:
            cells.append("")
    return tuple(cells)


def finding_groups(results: Results) -> dict[str, Bools]:
    """Which samples with a reference are of each finding, bool (sample,), by name."""
    known = np.isfinite(results.areas)
    labels = np.array(results.findings)
    return {name: (labels == name) & known for name in sorted(set(labels[known].tolist()))}


def within(results: Results, values: Doubles, inside: Bools) -> Number | None:
    """The mean of a part of the samples with its interval."""
    return results.number(np.where(inside, values, np.nan))


def by_size(results: Results) -> Table:
    """The primary metric by the size of the reference: size drives every such number."""
    thirds = np.array([one or "" for one in terciles(results.areas)])
    rows: list[tuple[Cell, ...]] = []
    for third in ("small", "medium", "large"):
        inside = thirds == third
        if not inside.any():
            continue
        area = results.areas[inside]
        cells: list[Cell] = [third, f"{100 * area.min():.1f} to {100 * area.max():.1f} %", int(inside.sum())]
        named = [*results.methods, *results.priors]
        cells += [within(results, results.values(name, results.primary), inside) for name in named]
        rows.append(tuple(cells))
    head = (
        "region",
        "share of the view",
        "n",
        *(name_of(one) for one in [*results.methods, *results.priors]),
    )
    note = (
        "Thirds by the share of the model's view that the reference covers; that share is what chance gives. "
        f"{spread(results, rows)}"
    )
    return Table(
        name="sizes",
        title=f"{title_of(results.primary).capitalize()} by size of the region",
        head=head,
        rows=tuple(rows),
        note=note,
    )


def reasons(results: Results) -> Table | None:
    """Right for the right reason: correct by grounded, with its shares."""
    right = np.where(np.isfinite(results.correct()), (results.correct() >= 0.5).astype(float), np.nan)
    if not np.isfinite(right).any() or results.grounding_metric is None:
        return None
    rows: list[tuple[Cell, ...]] = []
    # Of a random order there is an expected value, and no map that could be grounded.
    maps = [one for one in [*results.methods, *results.priors] if one != RANDOM]
    for method in maps:
        grounded = results.grounded(method)
        if not np.isfinite(right + grounded).any():
            continue
        found = correct_and_grounded(
            right, grounded, results.clusters, repeats=results.repeats, seed=results.seed
        )
        counts = [found.counts[key] for key in ((True, True), (True, False), (False, True), (False, False))]
        shares = (found.right_for_wrong_reason, found.grounded_though_wrong, found.risk_difference)
        rows.append((name_of(method), *counts, *(number(one, percent=True) for one in shares)))
    head = (
        "method",
        "correct, grounded",
        "correct, not grounded",
        "wrong, grounded",
        "wrong, not grounded",
        "not grounded of correct",
        "grounded of wrong",
        "grounded: correct less wrong",
    )
    note = (
        f"Correct: the scorer {results.scorer!r} gives at least a half. Grounded: "
        f"{title_of(results.grounding_metric)} is at least a half. Samples with an answer that was scored "
        f"and a reference region. {spread(results, rows)}"
    )
    return Table(name="reasons", title="Right for the right reason", head=head, rows=tuple(rows), note=note)


def quadrants(results: Results) -> Table | None:
    """Correct by grounded by whether the answer needs the image, as counts."""
    if results.grounding_metric is None:
        return None
    rows: list[tuple[Cell, ...]] = []
    for method in results.methods:
        grounded = results.grounded(method)
        known = np.isfinite(grounded)
        counts = Counter(
            (results.judged[at], results.needs_image[at], bool(grounded[at]))
            for at in np.flatnonzero(known).tolist()
        )
        for correct in ("correct", "wrong", "not scored"):
            for need in ("yes", "no", "not measured"):
                pair = counts[correct, need, True], counts[correct, need, False]
                if any(pair):
                    rows.append((name_of(method), correct, need, *pair))
    head = ("method", "answer", "needs the image", "grounded", "not grounded")
    note = "A map of an answer that does not need the image shows nothing of where the answer comes from."
    return Table(
        name="quadrants",
        title="Correct, grounded, and in need of the image",
        head=head,
        rows=tuple(rows),
        note=note,
    )


def reliance(results: Results) -> Table:
    """How much the answer depends on the image, whatever the maps."""
    rows: list[tuple[Cell, ...]] = []
    for column, words in RELIANCE.items():
        values = as_numbers(results.answers.get(column, []))
        measured = results.number(values) if len(values) else None
        rows.append((words, measured, int(np.isfinite(values).sum())))
    counts = Counter(results.needs_image)
    known = counts["yes"] + counts["no"]
    share = np.array([{"yes": 1.0, "no": 0.0}.get(one, np.nan) for one in results.needs_image])
    rows.append(("answers that need the image", results.number(share, percent=True), known))
    note = (
        "What the answer's log-probability loses, in nats, when the image is replaced. "
        f"{spread(results, rows)}"
    )
    return Table(
        name="reliance",
        title="Does the model use the image?",
        head=("image replaced by", "loss (nats), or share", "n"),
        rows=tuple(rows),
        note=note,
    )


def everything(results: Results) -> Table:
    """Every metric of everything that was scored."""
    rows: list[tuple[Cell, ...]] = []
    for name in in_order(results):
        for metric in results.metrics:
            values = results.values(name, metric)
            if np.isfinite(values).any():
                rows.append((name_of(name), metric, results.number(values), int(np.isfinite(values).sum())))
    return Table(
        name="all_metrics",
        title="All metrics",
        head=("method", "metric", "mean", "n"),
        rows=tuple(rows),
        note=spread(results, rows),
        folded=True,
    )


def statuses(results: Results) -> Table:
    """What became of every sample: nothing is left out without being counted."""
    rows: list[tuple[Cell, ...]] = [("asked", len(results.rows))]
    rows += [(f"ended with status {name!r}", count) for name, count in sorted(results.statuses.items())]
    rows.append(("with a reference region in view", results.with_reference))
    rows += [(f"without a localisation metric: {why}", n) for why, n in without_metric(results).items()]
    for reason, count in results.run.manifest["dataset"].get("dropped", {}).items():
        rows.append((f"left out by the data set: {reason}", count))
    return Table(name="samples", title="Samples", head=("what", "n"), rows=tuple(rows))


def without_metric(results: Results) -> Counter[str]:
    """How many samples have no localisation metric, by why; reasons that differ in numbers alone are one."""
    counts: Counter[str] = Counter()
    for why, those in unscored(results.answers, results.maps, results.scores).items():
        counts[re.sub(r"\d+", "\u2026", why)] += len(those)
    return counts
