"""How far readers are to be trusted: hidden controls, and agreement, as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundviz.metrics.statistics import cluster_bootstrap
from groundviz.render.report.tables import Cell, Number, Table
from groundviz.study.agreement import Box, kappa, krippendorff_alpha, reader_ious
from groundviz.study.responses import CHOICES, MARKED, NOTHING, RATED, Response
from groundviz.study.selecting import SCALES, chosen_arm, judged, of_ratings, prior_arms, rated_arms


def controls(rows: Sequence[Response]) -> Table | None:
    """Whether readers see what must be seen, have no favourite side, and agree with themselves."""
    chosen = [row for row in rows if row.response in CHOICES]
    if not chosen:
        return None
    cells: list[tuple[Cell, ...]] = []
    priors = prior_arms(chosen)
    for rater in sorted({row.rater_id for row in chosen}):
        own = [row for row in chosen if row.rater_id == rater]
        against = [row for row in own if row.is_control == "prior" and not row.repeat_of]
        real = [row for row in against if row.response == ("B" if row.arm_left in priors else "A")]
        same = [row for row in own if row.is_control == "identical"]
        left, right = (sum(row.response == side for row in same) for side in "AB")
        sides = [row.response for row in own if not row.repeat_of and row.response in "AB"]
        cells.append(
            (
                rater,
                f"{len(real)} of {len(against)}",
                f"{left} left, {right} right of {len(same)}",
                Number(sides.count("A") / len(sides) if sides else float("nan"), percent=True),
                Number(_self_kappa(own)),
            )
        )
    return Table(
        name="controls",
        title="Hidden controls, by reader",
        head=(
            "reader",
            "real map preferred to a prior",
            "a side preferred of identical pairs",
            "left",
            "kappa",
        ),
        rows=tuple(cells),
        note="A reader who prefers a map that never saw the image to a real one as often as not, or a side "
        "of an identical pair, does not see what is asked. Kappa: the reader's own repeats, sides exchanged.",
    )


def _self_kappa(own: Sequence[Response]) -> float:
    first = {row.trial: row for row in own if not row.repeat_of}
    again = [row for row in own if row.repeat_of in first]
    return kappa([chosen_arm(first[row.repeat_of]) for row in again], [chosen_arm(row) for row in again])


def agreement(rows: Sequence[Response], repeats: int, seed: int) -> Table | None:
    """How far readers agree with each other, and with themselves."""
    raters = sorted({row.rater_id for row in rows})
    cells: list[tuple[Cell, ...]] = []
    for column, (words, levels) in SCALES.items():
        units = {(arm, case) for arm in rated_arms(rows) for _, case in of_ratings(rows, column, arm)}
        given = {arm: of_ratings(rows, column, arm) for arm in rated_arms(rows)}
        if not units:
            continue
        table = [[given[arm].get((rater, case)) for arm, case in sorted(units)] for rater in raters]
        cells.append((f"{words}: alpha between readers", Number(krippendorff_alpha(table)), len(units)))
        first, again = _repeated(rows, column)
        own = kappa(first, again, ranks=list(levels))
        cells.append((f"{words}: kappa within readers", Number(own), len(first)))
    compared = judged(rows)
    if compared:
        cells.append(_choice_alpha(compared, raters))
    overlaps = reader_ious(_marks(rows))
    if overlaps:
        values, of = np.array([value for _, value in overlaps]), np.array([case for case, _ in overlaps])
        estimate = cluster_bootstrap(values, of, repeats=repeats, seed=seed)
        ceiling = Number(estimate.mean, estimate.low, estimate.high)
        cells.append(("marked findings: IoU between readers", ceiling, len(overlaps)))
    if not cells:
        return None
    return Table(
        name="agreement",
        title="Agreement",
        head=("what", "value", "units"),
        rows=tuple(cells),
        note="Alpha: Krippendorff's, ordinal for ratings and nominal for choices. Kappa: Cohen's, weighted "
        "by the square of the distance. IoU: 0 where one reader of two saw nothing; it is the ceiling for "
        "any map.",
    )


def _choice_alpha(compared: Sequence[Response], raters: Sequence[str]) -> tuple[Cell, ...]:
    """Krippendorff's alpha of which map was preferred, whatever its side."""
    kinds: dict[str, int] = {}
    chosen: dict[tuple[str, tuple[str, ...]], dict[str, float]] = {}
    for row in compared:
        unit = (row.case_hash, tuple(sorted((row.arm_left, row.arm_right))))
        chosen.setdefault(unit, {})[row.rater_id] = kinds.setdefault(chosen_arm(row), len(kinds))
    table = [[chosen[unit].get(rater) for unit in sorted(chosen)] for rater in raters]
    return (
        "choice of two maps: alpha between readers",
        Number(krippendorff_alpha(table, level="nominal")),
        len(chosen),
    )


def _repeated(rows: Sequence[Response], column: str) -> tuple[list[float], list[float]]:
    rated = [row for row in rows if row.response == RATED]
    first = {(row.rater_id, row.trial): row for row in rated if not row.repeat_of}
    again = [row for row in rated if (row.rater_id, row.repeat_of) in first]
    pairs = [(first[row.rater_id, row.repeat_of], row) for row in again]
    return [float(getattr(one, column)) for one, _ in pairs], [
        float(getattr(two, column)) for _, two in pairs
    ]


def _marks(rows: Sequence[Response]) -> dict[str, dict[str, Box | None]]:
    """Each reader's first mark of each case."""
    marks: dict[str, dict[str, Box | None]] = {}
    for row in rows:
        if row.response in (MARKED, NOTHING):
            marks.setdefault(row.rater_id, {}).setdefault(row.case_hash, row.box)
    return marks
