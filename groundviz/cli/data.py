"""The command `data`: which data sets there are, and whether one in a local folder is as published."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from groundviz.cli.printing import aligned, counted, importing, say, working
from groundviz.errors import OptionError
from groundviz.render.base.escape import visible

if TYPE_CHECKING:
    from groundviz.datasets.sample import Sample


def listed(chosen: argparse.Namespace) -> None:
    """List the data sets, in words or as a page."""
    with importing("Loading the data sets"):
        from groundviz.datasets import catalogue
    if chosen.markdown:
        say(*catalogue.markdown())
    else:
        say(*catalogue.lines())


def check(chosen: argparse.Namespace) -> int:
    """Compare a data set in a folder with what its publisher states; returns 1 where something is wrong."""
    with importing("Loading the data sets"):
        from groundviz import datasets
    options = dict(chosen.option)
    if len(options) < len(chosen.option):
        raise OptionError("An option is given twice. Give each once.")
    with working("Reading the tables"):
        dataset = datasets.load(chosen.name, chosen.path, **options)
    report = datasets.check(dataset, opened=chosen.images, progress=_progress)
    say(f"{report.name} {report.version}")
    # A split or a version may come from a table of a stranger.
    say(*(visible(line) for line in aligned(report.rows())), "")
    say(*(visible(note) for note in report.notes()), "")
    if report.passed:
        say("Nothing is wrong.")
        return 0
    wrong = sum(line.state == "wrong" for line in report.lines)
    say(f"{wrong} of {len(report.lines)} lines are wrong.")
    return 1


def _progress(samples: Iterable[Sample], title: str, count: int) -> Iterable[Sample]:
    return counted(samples, title, count, unit="image")
