"""`groundviz report | gallery`: a run as tables, charts and pages; neither the model nor torch is needed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from groundviz.cli import values
from groundviz.cli.printing import counted, say, working

_SHOWN = 4


def report(chosen: argparse.Namespace) -> None:
    """Write the report of a run, and the gallery beside it where pixels may leave."""
    from groundviz.evaluation.report import gallery as write_gallery
    from groundviz.evaluation.report import report as write_report

    options = {
        "out": chosen.out,
        "public": chosen.public,
        "primary": chosen.primary,
        "seed": chosen.seed or 0,
    }
    with working("Writing the report"):
        written = write_report(chosen.run_folder, **options)
    folder = written[0].parent
    if not chosen.public and not chosen.no_gallery:
        page = folder / "gallery.html"
        written.insert(1, write_gallery(chosen.run_folder, out=page, most=chosen.most, counted=_counted))
    _say_lead(folder)
    more = f"  and {len(written) - _SHOWN} more files" if len(written) > _SHOWN else None
    say("", "Written:", *(f"  {path}" for path in written[:_SHOWN]), *filter(None, [more]))


def gallery(chosen: argparse.Namespace) -> None:
    """Write the page of a run's cases."""
    from groundviz.evaluation.report import gallery as write_gallery

    page = write_gallery(chosen.run_folder, out=chosen.out, most=chosen.most, counted=_counted)
    say("Written:", f"  {page}")


def _counted(cases: Any) -> Any:
    return counted(cases, "Drawing", len(cases), unit="case")


def _say_lead(folder: Path) -> None:
    """What must be read first."""
    import json

    lead = json.loads((folder / "report.json").read_text("utf-8"))["lead"]
    for sentence in lead:
        say(sentence)


def add(added: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add these commands to those of the command line."""
    says = "write the tables, charts and answers of a run for a paper, without its model"
    reporting = command(added, "report", report, says)
    _add_run(reporting)
    says = "where to write (default: RUN/report, or RUN/report-public)"
    reporting.add_argument("--out", type=Path, metavar="FOLDER", help=says)
    says = "leave out phrases, questions, answers, paths and pixels"
    reporting.add_argument("--public", action="store_true", help=says)
    says = "the metric that charts and tests are about (default: pointing)"
    reporting.add_argument("--primary", metavar="METRIC", default="", help=says)
    reporting.add_argument("--seed", type=values.seed, metavar="N", help="of draws (default: 0)")
    reporting.add_argument("--no-gallery", action="store_true", help="write no page of all cases")
    _add_most(reporting)
    says = "write one page of a run's cases, sorted and filtered, each in the viewer"
    paging = command(added, "gallery", gallery, says)
    _add_run(paging)
    paging.add_argument("--out", type=Path, metavar="PAGE.html", help="default: RUN/report/gallery.html")
    _add_most(paging)


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("run_folder", type=Path, metavar="RUN", help="what `groundviz evaluate` wrote")


def _add_most(command: argparse.ArgumentParser) -> None:
    says = "of more cases, those at even steps (default: 1000)"
    command.add_argument("--most", type=values.positive, metavar="N", default=1000, help=says)
