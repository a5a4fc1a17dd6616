"""What readers' files say: which map they prefer, how they rate each, and how far that is to be trusted."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.stats import wilcoxon

from groundviz.errors import StoreError
from groundviz.metrics.statistics import cluster_bootstrap, holm
from groundviz.record import files as disk
from groundviz.record.types import Doubles
from groundviz.render.report import tables
from groundviz.render.report.tables import Cell, Number, Table, p_value
from groundviz.study import responses
from groundviz.study.preference import Comparison, strengths
from groundviz.study.reliability import agreement, controls
from groundviz.study.responses import ANSWERS, Response
from groundviz.study.selecting import SCALES, counted, judged, of_ratings, points, rated_arms

Keyed = Mapping[tuple[str, str], float]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What came of a study.

    Attributes:
        tables: Preference, pairs, controls, ratings, their tests, answers, agreement; those that there are
            responses for.
        readers: How many readers.
        responses: How many responses count.
        left_out: How many do not, for the reader had answered that trial before: a file was copied, or two
            readers had one code.
        blinded: Whether methods still have codes for names.
    """

    tables: tuple[Table, ...]
    readers: int
    responses: int
    left_out: int = 0
    blinded: bool = field(default=False)

    def __str__(self) -> str:
        lines = [f"{self.responses} responses of {self.readers} readers"]
        if self.left_out:
            lines += [
                "",
                f"{self.left_out} more are left out: the reader had answered that trial before. A file was "
                "copied or named twice, two windows were open, or two readers had one code.",
            ]
        return "\n".join([*lines, "", *map(tables.markdown, self.tables)])

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write each table as CSV, LaTeX and Markdown, and all as one JSON file.

        Raises:
            StoreError: The folder cannot be written to.
        """
        place = disk.folder_for_writing(folder)
        written = [disk.write(place / "study.md", str(self).encode())]
        facts = {name: getattr(self, name) for name in ("readers", "responses", "left_out", "blinded")}
        written.append(disk.write(place / "study.json", tables.as_json(self.tables, facts).encode()))
        for table in self.tables:
            written.append(disk.write(place / f"{table.name}.csv", tables.comma_separated(table).encode()))
            written.append(disk.write(place / f"{table.name}.tex", tables.latex(table).encode()))
        return written


def analyse(
    files: Iterable[str | os.PathLike[str]],
    *,
    key: str | os.PathLike[str] | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> Findings:
    """The tables of a study, from its readers' files alone.

    Preference is by Bradley-Terry strengths with a two-way cluster bootstrap over readers and cases; ratings
    are compared by Wilcoxon's signed-rank test on each case's mean over readers, with Holm's correction;
    agreement is Krippendorff's alpha between readers, kappa within a reader, and the overlap of marked
    findings. Of several responses of a reader to one trial the first counts.

    Args:
        files: The readers' CSV files, or folders of them.
        key: The key; without it methods keep their codes, and the analysis stays blind.
        repeats: Draws of each bootstrap.
        seed: Of the draws.

    Raises:
        StoreError: A file is no reader's, the key is of another study, or there is no response.

    Source:
        docs/study.md names the source of each statistic.
    """
    given = responses.read(_csv_files(files))
    rows = counted(given)
    if not rows:
        raise StoreError("There is no response in these files. Name the files of readers who began.")
    studies = sorted({row.study_id for row in rows})
    if len(studies) > 1:
        raise StoreError(f"These files are of {len(studies)} studies: {studies}. Analyse one at a time.")
    names = _names(key, studies[0])

    def name(arm: str) -> str:
        return names.get(arm, arm)

    made: list[Table | None] = [
        _preference(rows, name, repeats, seed),
        _pairs(rows, name),
        controls(rows),
        _ratings(rows, name, repeats, seed),
        _tests(rows, name),
        _answers(rows),
        agreement(rows, repeats, seed),
    ]
    readers = len({row.rater_id for row in rows})
    found = tuple(table for table in made if table is not None)
    return Findings(
        tables=found,
        readers=readers,
        responses=len(rows),
        left_out=len(given) - len(rows),
        blinded=not names,
    )


def _csv_files(files: Iterable[str | os.PathLike[str]]) -> list[Path]:
    places: list[Path] = []
    for one in files:
        place = disk.place(one)
        if (place / "responses").is_dir():
            place = place / "responses"
        places += sorted(place.glob("*.csv")) if place.is_dir() else [place]
    return places


def _names(key: str | os.PathLike[str] | None, study_id: str) -> Mapping[str, str]:
    if key is None:
        return {}
    try:
        secret = json.loads(disk.place(key).read_text("utf-8"))
        of, arms = str(secret["study_id"]), dict(secret["arms"])
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreError(
            "The key could not be read. Name the file that was written beside the study."
        ) from None
    if of != study_id:
        raise StoreError(
            f"The key is of study {of}, the responses are of {study_id}. Name the key of this study."
        )
    return arms


def _preference(
    rows: Sequence[Response], name: Callable[[str], str], repeats: int, seed: int
) -> Table | None:
    compared = judged(rows)
    if not compared:
        return None
    comparisons = [
        Comparison(
            rater=row.rater_id,
            case=row.case_hash,
            left=row.arm_left,
            right=row.arm_right,
            points=points(row),
        )
        for row in compared
    ]
    cells: list[tuple[Cell, ...]] = []
    for one in strengths(comparisons, repeats=repeats, seed=seed):
        met = [row for row in compared if one.arm in (row.arm_left, row.arm_right)]
        gained = [points(row) if row.arm_left == one.arm else 1.0 - points(row) for row in met]
        share = Number(float(np.mean(gained)), percent=True)
        cells.append((name(one.arm), Number(one.strength, one.low, one.high), share, len(met)))
    return Table(
        name="preference",
        title="Which map readers prefer",
        head=("map", "strength (log-odds)", "preferred", "comparisons"),
        rows=tuple(cells),
        note="Bradley-Terry strengths; 0 is a map of mean strength. 95 % intervals of a two-way cluster "
        "bootstrap by reader and case. Ties, and pairs of which both are bad, count half for either side.",
    )


def _pairs(rows: Sequence[Response], name: Callable[[str], str]) -> Table | None:
    compared = judged(rows)
    pairs = sorted({tuple(sorted((row.arm_left, row.arm_right))) for row in compared})
    cells: list[tuple[Cell, ...]] = []
    for one, other in pairs:
        of = [row for row in compared if {row.arm_left, row.arm_right} == {one, other}]
        first = sum(points(row) == (1.0 if row.arm_left == one else 0.0) for row in of)
        second = sum(points(row) == (1.0 if row.arm_left == other else 0.0) for row in of)
        counts = Counter(row.response for row in of)
        cells.append((name(one), name(other), first, second, counts["tie"], counts["both_bad"]))
    if not cells:
        return None
    head = ("one", "other", "one preferred", "other preferred", "tie", "both bad")
    return Table(name="pairs", title="Judgements by pair", head=head, rows=tuple(cells))


def _ratings(rows: Sequence[Response], name: Callable[[str], str], repeats: int, seed: int) -> Table | None:
    cells: list[tuple[Cell, ...]] = []
    for arm in sorted(rated_arms(rows), key=name):
        numbers: list[Cell] = []
        for column in SCALES:
            given = of_ratings(rows, column, arm)
            clusters = np.array([case for _, case in given])
            estimate = cluster_bootstrap(np.array(list(given.values())), clusters, repeats=repeats, seed=seed)
            numbers.append(Number(estimate.mean, estimate.low, estimate.high))
        cells.append((name(arm), *numbers, len(of_ratings(rows, "likert_loc", arm))))
    if not cells:
        return None
    return Table(
        name="ratings",
        title="How readers rate each map",
        head=("map", *(words for words, _ in SCALES.values()), "ratings"),
        rows=tuple(cells),
        note="Means with 95 % intervals of a cluster bootstrap by case. The finding was marked before a "
        "map was seen.",
    )


def _tests(rows: Sequence[Response], name: Callable[[str], str]) -> Table | None:
    found: list[tuple[str, str, str, float, float, int]] = []
    for column, (words, _) in SCALES.items():
        for one, other in combinations(sorted(rated_arms(rows), key=name), 2):
            differences = _differences(of_ratings(rows, column, one), of_ratings(rows, column, other))
            p = float("nan")
            if np.any(differences):
                p = float(wilcoxon(differences, zero_method="pratt", method="auto").pvalue)
            elif len(differences):
                p = 1.0
            mean = float(differences.mean()) if len(differences) else float("nan")
            found.append((words, one, other, mean, p, len(differences)))
    if not found:
        return None
    adjusted = holm([row[4] for row in found])
    cells: list[tuple[Cell, ...]] = []
    for (words, one, other, mean, _, count), p in zip(found, adjusted, strict=True):
        cells.append((words, name(one), name(other), Number(mean), p_value(float(p)), count))
    return Table(
        name="rating_tests",
        title="Ratings compared",
        head=("rating", "one", "other", "difference of means", "p (Holm)", "cases"),
        rows=tuple(cells),
        note="Wilcoxon's signed-rank test on each case's mean over readers, zeros by Pratt's rule, over the "
        "whole table corrected after Holm.",
    )


def _differences(one: Keyed, other: Keyed) -> Doubles:
    """By case, the mean over readers who rated both."""
    by_case: dict[str, list[float]] = {}
    for key in one.keys() & other.keys():
        by_case.setdefault(key[1], []).append(one[key] - other[key])
    return np.array([float(np.mean(by_case[case])) for case in sorted(by_case)])


def _answers(rows: Sequence[Response]) -> Table | None:
    judged = [row for row in rows if row.response in ANSWERS]
    if not judged:
        return None
    counts = Counter((row.rater_id, row.response) for row in judged)
    raters = sorted({row.rater_id for row in judged})
    cells: list[tuple[Cell, ...]] = []
    for rater in raters:
        cells.append((rater, *(counts[rater, answer] for answer in ANSWERS)))
    head = ("reader", *(answer.replace("_", " ") for answer in ANSWERS))
    return Table(name="answers", title="Answers, judged without any map", head=head, rows=tuple(cells))
