"""Which responses count for what."""

from __future__ import annotations

from collections.abc import Sequence

from groundviz.study.responses import CHOICES, MARKED, NOTHING, RATED, Response

# What a map is rated by, what to call it, and the values that there are.
SCALES = {
    "likert_loc": ("localisation, 1 to 5", range(1, 6)),
    "delta_conf": ("change of confidence, \u22122 to 2", range(-2, 3)),
    "misleading": ("misleading, 0 or 1", range(2)),
}


def counted(rows: Sequence[Response]) -> list[Response]:
    """The first response of each reader to each question of a trial, in the order of time.

    A second one comes of a file that was copied or named twice, or of a code that two readers had.
    """
    first: dict[tuple[str, str, str, bool], Response] = {}
    for row in sorted(rows, key=lambda row: row.ts_utc):
        marks = row.response in (MARKED, NOTHING)
        first.setdefault((row.study_id, row.rater_id, row.trial, marks), row)
    return list(first.values())


def judged(rows: Sequence[Response]) -> list[Response]:
    """Comparisons that count: neither identical pairs nor repeats."""
    return [
        row for row in rows if row.response in CHOICES and row.is_control != "identical" and not row.repeat_of
    ]


def points(row: Response) -> float:
    """1 where the left map was preferred, 0 where the right one was, 0.5 for neither."""
    return {"A": 1.0, "B": 0.0}.get(row.response, 0.5)


def prior_arms(rows: Sequence[Response]) -> set[str]:
    """The arms that stand for priors: those that meet real maps in controls alone."""
    controls = [row for row in rows if row.is_control == "prior"]
    others = {arm for row in rows if row.is_control != "prior" for arm in (row.arm_left, row.arm_right)}
    return {arm for row in controls for arm in (row.arm_left, row.arm_right)} - others


def chosen_arm(row: Response) -> str:
    """The map that was preferred, whatever its side; else "tie" or "both_bad"."""
    return {"A": row.arm_left, "B": row.arm_right}.get(row.response, row.response)


def of_ratings(rows: Sequence[Response], column: str, arm: str) -> dict[tuple[str, str], float]:
    """One rating by reader and case, the first of repeats."""
    found: dict[tuple[str, str], float] = {}
    for row in rows:
        if row.response == RATED and row.arm_left == arm and not row.repeat_of:
            found[row.rater_id, row.case_hash] = float(getattr(row, column))
    return found


def rated_arms(rows: Sequence[Response]) -> list[str]:
    """The maps that were rated."""
    return sorted({row.arm_left for row in rows if row.response == RATED})
