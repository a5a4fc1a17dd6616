"""`groundviz study make | read | analyse | power`: a reader study from its cases to its tables."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from groundviz.cli import values
from groundviz.cli.printing import complain, counted, importing, say, working
from groundviz.record import files

PASSES = ("compare", "rate", "answer")


def make(chosen: argparse.Namespace) -> None:
    """Choose cases of a run, blind them, and write the study and its key."""
    from groundviz import study
    from groundviz.evaluation import Run

    run = Run(chosen.run_folder)
    arms = chosen.arms.split(",") if chosen.arms else ()
    cases = study.cases_of(run, arms=arms, limit=chosen.cases, seed=chosen.seed or 0)
    made = study.make(
        cases,
        chosen.out,
        key=chosen.key,
        passes=chosen.passes.split(","),
        seed=chosen.seed or 0,
        run_id=run.manifest["run_id"],
        counted=lambda cases: counted(cases, "Blinding", chosen.cases, unit="case"),
    )
    key = chosen.key or chosen.out.with_name(f"{chosen.out.name}.key.json")
    trials = len(made.session("preview").trials)
    say(f"{len(made.cases)} cases, {trials} trials for each reader.", "Written:", f"  {made.folder}")
    say("The key, which readers must not have:", f"  {key}")


def read(chosen: argparse.Namespace) -> None:
    """Open a study for a reader, in JupyterLab."""
    from groundviz import study
    from groundviz.demo import lab

    session = study.open(chosen.study).session(chosen.rater, rater_years=chosen.years)
    server = lab.server()
    years = "" if chosen.years is None else f", rater_years={chosen.years:g}"
    opened = f"groundviz.study.open({str(chosen.study.absolute())!r})"
    code = f"import groundviz\n\n{opened}.read({chosen.rater!r}{years})"
    notebook = chosen.study / f"{files.slug(chosen.rater)}.ipynb"
    files.write(notebook, _notebook(code).encode())
    say(f"{session.done} of {len(session.trials)} trials are done.", "Run the cell. Ctrl-C ends JupyterLab.")
    given = ["--no-browser"] if chosen.no_browser else []
    arguments = lab.arguments(notebook, given)
    if lab.ALLOW_ROOT in arguments:
        complain(f"groundviz: note: {lab.ROOT_SAYS}")
    server.launch_instance(arguments)


def _notebook(code: str) -> str:
    """A notebook of one cell."""
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "read",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": code,
    }
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})


def analyse(chosen: argparse.Namespace) -> None:
    """Print the tables of a study, and write them where a folder is named."""
    with importing("Loading the libraries"):
        from groundviz import study
    with working("Drawing readers and cases anew"):
        found = study.analyse(chosen.files, key=chosen.key, seed=chosen.seed or 0)
    say(str(found))
    if found.blinded:
        say("Methods have codes: name the key with --key when all is read.")
    if chosen.out is not None:
        say("Written:", *(f"  {path}" for path in found.save(chosen.out)))


def power(chosen: argparse.Namespace) -> None:
    """Say how often a study of this size would find a preference."""
    from groundviz import study

    with working("Simulating studies"):
        found = study.power(readers=chosen.readers, cases=chosen.cases, preference=chosen.preference)
    say(
        f"{chosen.readers} readers, {chosen.cases} cases, the better map preferred in "
        f"{chosen.preference:.0%}: found in {found:.0%} of simulated studies."
    )


def add(added: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add these commands to those of the command line."""
    says = "a reader study: radiologists judge maps without knowing which method made them"
    parser = added.add_parser("study", help=says, description=f"{says}.")
    steps = parser.add_subparsers(title="steps", metavar="STEP", required=True)
    making = command(steps, "make", make, "choose cases of a run, blind them, and keep the key apart")
    making.add_argument("run_folder", type=Path, metavar="RUN", help="what `groundviz evaluate` wrote")
    making.add_argument("--out", type=Path, required=True, metavar="STUDY", help="the study's new folder")
    says = "where the key goes (default: STUDY.key.json beside the folder)"
    making.add_argument("--key", type=Path, metavar="FILE", help=says)
    says = "methods and priors, separated by commas (default: all methods, and prior:class_mean)"
    making.add_argument("--arms", metavar="NAMES", help=says)
    making.add_argument(
        "--cases", type=values.positive, metavar="N", default=60, help="how many (default: 60)"
    )
    says = f"what readers do, some of {','.join(PASSES)} (default: compare)"
    making.add_argument("--passes", metavar="NAMES", default="compare", help=says)
    making.add_argument("--seed", type=values.seed, metavar="N", help="of cases and orders (default: 0)")
    reading = command(
        steps, "read", read, "open a study for a reader, in JupyterLab; it goes on where it ended"
    )
    reading.add_argument("study", type=Path, metavar="STUDY", help="the study's folder")
    reading.add_argument("--rater", required=True, metavar="CODE", help="a code for the reader, and no name")
    reading.add_argument("--years", type=float, metavar="N", help="the reader's years of practice")
    reading.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    analysing = command(steps, "analyse", analyse, "print the tables of a study from its readers' files")
    says = "readers' CSV files, or a study's folder"
    analysing.add_argument("files", type=Path, metavar="FILE", nargs="+", help=says)
    analysing.add_argument(
        "--key", type=Path, metavar="FILE", help="names the methods (default: they keep codes)"
    )
    analysing.add_argument("--out", type=Path, metavar="FOLDER", help="where to write the tables, too")
    analysing.add_argument("--seed", type=values.seed, metavar="N", help="of draws (default: 0)")
    sizing = command(steps, "power", power, "simulate how often a study of some size finds a preference")
    sizing.add_argument("--readers", type=values.positive, metavar="N", default=3, help="default: 3")
    sizing.add_argument("--cases", type=values.positive, metavar="N", default=60, help="default: 60")
    says = "how often a mean reader prefers the better map, from 0.5 to 1 (default: 0.65)"
    sizing.add_argument("--preference", type=values.share, metavar="P", default=0.65, help=says)
