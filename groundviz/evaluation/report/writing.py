"""A report on disk: one page, tables in four formats, charts in two, all from the run's own files."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from groundviz.errors import GroundvizError
from groundviz.evaluation.report import drawn, reviewers, sections
from groundviz.evaluation.report.headline import falls_short, headline
from groundviz.evaluation.report.results import Results
from groundviz.evaluation.run import Run
from groundviz.record import files
from groundviz.record.exports import sheets
from groundviz.render.report import page as pages
from groundviz.render.report import tables
from groundviz.render.report.cases import Row
from groundviz.render.report.page import Report

PUBLIC_SAYS = (
    "Made to be published: it holds no phrase, question or answer, no path and no pixel. "
    "Samples and patients are numbered."
)
# Images of one's own, which have no other name than that of their folder.
FOLDER = "folder"
NO_PIXELS = "Cases are left out: this report is made to be published."
Step = Callable[[str], None]


def report(
    run: str | os.PathLike[str] | Run,
    *,
    out: str | os.PathLike[str] | None = None,
    public: bool = False,
    primary: str = "",
    repeats: int = 2000,
    seed: int = 0,
    step: Step = lambda what: None,
) -> list[Path]:
    """Write the report of a run: a page, tables (CSV, LaTeX, Markdown, JSON), charts (PDF, PNG), samples.

    It needs neither the model nor torch, and gives the same files each time. The data set must lie where it
    lay, for the cases; where it does not, they are left out and the page says so.

    Args:
        run: The run, or its folder.
        out: Where to write; the run's folder "report" when None ("report-public" with `public`).
        public: Whether to leave out phrases, questions, answers, paths and pixels.
        primary: The metric that charts, findings and tests are about; the pointing game when empty.
        repeats: Draws of each bootstrap.
        seed: Of the draws, and of cases among ties.
        step: Told what is done next.

    Returns:
        The files that were written, the page first.

    Raises:
        StoreError: There is no run, nothing was scored, or the disk refused.
        OptionError: The primary metric was not scored, or a number is out of range.

    Cost:
        None through a model.
    """
    run = run if isinstance(run, Run) else Run(run)
    results = Results(run, repeats=repeats, seed=seed, primary=primary)
    place = Path(out) if out is not None else run.path / ("report-public" if public else "report")
    folder = files.folder_for_writing(place)
    step("Computing the tables")
    made = described(results, public=public, step=step)
    step("Writing the report")
    written = [files.write(folder / "report.html", pages.page(made).encode())]
    facts = {
        "title": made.title,
        "lead": list(made.lead),
        "questions": dict(made.questions),
        "made": dict(made.facts),
    }
    written.append(files.write(folder / "report.json", tables.as_json(made.tables, facts).encode()))
    written.append(files.write(folder / "report.md", markdown(made).encode()))
    written.append(files.write(folder / "report.csv", tables.comma_separated(made.tables[0]).encode()))
    latex = "\n".join(map(tables.latex, made.tables))
    written.append(files.write(folder / "report.tex", latex.encode()))
    for table in made.tables:
        written.append(files.write(folder / f"{table.name}.csv", tables.comma_separated(table).encode()))
    for chart in made.charts:
        for kind in ("pdf", "png"):
            written.append(files.write(folder / f"{chart.name}.{kind}", chart.figure.to_bytes(kind)))
    written.append(files.write(folder / "samples.csv", samples(results, public=public).encode()))
    return written


def described(results: Results, *, public: bool = False, step: Step = lambda what: None) -> Report:
    """What the report says, before it is written."""
    manifest = results.run.manifest
    lead = headline(results)
    made = sections.tables(results)
    step("Drawing the charts")
    rows: list[Row] = []
    rule = NO_PIXELS
    if not public:
        rule = drawn.rule(results)
        step("Drawing cases")
        try:
            rows, left_out = drawn.rows(results)
            rule = f"{rule} {left_out}".rstrip()
        except GroundvizError as error:
            rule = f"Cases are left out, for the data set could not be opened. {error}"
    report = Report(
        title=subject(manifest, public=public),
        lead=tuple(lead),
        warned=falls_short(results),
        tables=tuple(made),
        charts=tuple(drawn.drawn(results)),
        rows=tuple(rows),
        rule=rule,
        questions=tuple(reviewers.questions(results)),
        notes=tuple(reviewers.metric_notes(results)),
        facts=tuple(footer(results, public=public)),
    )
    if public:
        report = replace(report, lead=(*report.lead, PUBLIC_SAYS))
    return report


def subject(manifest: Any, *, public: bool = False) -> str:
    """What was evaluated on what, for a title; a folder of one's own by its name, unless it is published."""
    dataset = manifest["dataset"]
    data, path = str(dataset["name"]), dataset["path"]
    if data == FOLDER:
        data = "a folder" if public or not path else f"the folder {Path(path).name}"
    return f"{_model_name(manifest)} on {data}"


def _model_name(manifest: Any) -> str:
    """A name without a path: a local folder is somebody's."""
    name = str(manifest["model"]["name"])
    return Path(name).name if os.sep in name and Path(name).is_absolute() else name


def footer(results: Results, *, public: bool) -> list[tuple[str, str]]:
    """How the run was made, from its manifest alone."""
    manifest = results.run.manifest
    model, dataset, asked = manifest["model"], manifest["dataset"], manifest["asked"]
    evaluation = results.run.evaluations()
    spec = evaluation[list(evaluation)[-1]] if evaluation else {}
    grid = sorted({f"{rows} x {cols}" for rows, cols in _grids(results)})
    prompt = (
        "set for this run; left out here"
        if public and asked.get("prompt")
        else str(asked.get("prompt") or "the question alone")
    )
    facts = [
        ("run", manifest["run_id"]),
        ("begun", manifest["created"]),
        ("model", f"{_model_name(manifest)}, revision {model.get('revision') or 'not stated'}"),
        ("weights", f"{model['weights']}, {model['dtype']}, attention {model['attention']}"),
        ("maps certified", str(model.get("certificate") or "not tested")),
        ("processor", str(model["processor"])),
        ("token grid", ", ".join(grid) or "not measured"),
        ("data set", f"{dataset['name']}, version {dataset['version']}, {dataset['n']} samples"),
        ("annotations", dataset["annotations"]),
        ("licence", results.card.license if results.card is not None else "not stated"),
        ("citation", results.card.citation if results.card is not None else "not stated"),
        ("answers", f"{asked['answers']}; explained: {asked['target']}"),
        ("prompt", prompt),
        ("decoding", json.dumps(asked["generation"]) if asked["generation"] else "the model's own settings"),
        ("methods", json.dumps(manifest["methods"], sort_keys=True)),
        ("controls", ", ".join(manifest["controls"]) or "none"),
        ("evaluation space", str(spec.get("space", "not stated"))),
        ("metrics", ", ".join(spec.get("metrics", results.metrics))),
        (
            "primary metric",
            f"{results.primary or 'none'}; "
            f"tests against the strongest prior: {results.strongest_prior or 'none'}",
        ),
        ("statistics", f"cluster bootstrap, {results.repeats} draws, seed {results.seed}; sign flips; Holm"),
        (
            "versions",
            ", ".join(f"{name} {version}" for name, version in sorted(manifest["versions"].items())),
        ),
    ]
    return [(name, str(value)) for name, value in facts]


def _grids(results: Results) -> set[tuple[int, int]]:
    table = results.maps
    found: set[tuple[int, int]] = set()
    for rows, cols, status in zip(table["rows"], table["cols"], table["status"], strict=True):
        if status == "ok":
            found.add((rows, cols))
    return found


def markdown(made: Report) -> str:
    """The report in Markdown, without images."""
    words = tables.in_markdown
    parts = [f"# {words(made.title)}", "", *(f"- {words(one)}" for one in made.lead), ""]
    parts += [tables.markdown(table) for table in made.tables]
    parts += ["## What reviewers ask", ""]
    for question, answer in made.questions:
        parts += [f"**{words(question)}** {words(answer)}", ""]
    parts += ["## How this was made", ""]
    parts += [f"- {words(name)}: {words(value)}" for name, value in made.facts]
    return "\n".join(parts) + "\n"


def samples(results: Results, *, public: bool = False) -> str:
    """A row for each sample and method: the finding and numbers; no phrase, no path, no pixel.

    Samples and patients have their names in the run: hashes, from which whoever guesses at names, such as
    hospital numbers, finds the right one. With `public` they are numbered instead.
    """
    rows: list[tuple[str, ...]] = [
        ("sample_id", "cluster_id", "finding", "method", "needs_image", "correct", *results.metrics)
    ]
    right = results.correct()
    places, patients = results.rows, {cluster: cluster for cluster in results.clusters}
    if public:
        # The order of the rows tells no more than the numbers do: that of the data set may be by patient.
        places = {f"sample {count}": at for count, (_, at) in enumerate(sorted(places.items()), 1)}
        patients = {cluster: f"patient {count}" for count, cluster in enumerate(sorted(patients), 1)}
    # Without a reference region no map has a number, and a sample is one row.
    named = sections.in_order(results) if results.localised else [""]
    for method in named:
        values = [results.values(method, metric) for metric in results.metrics]
        for sample, at in places.items():
            numbers = [_plain(one[at]) for one in values]
            if any(numbers) or not results.localised:
                known = (
                    patients[results.clusters[at]],
                    results.findings[at],
                    method,
                    results.answers["needs_image"][at] or "",
                )
                rows.append((sample, *known, _plain(right[at]), *numbers))
    return sheets.as_csv(rows)


def _plain(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))
