"""`groundviz evaluate | worker | status | merge`: a model on a data set, by one process or by many."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import groundviz
from groundviz.cli import values
from groundviz.cli.interruption import held_back
from groundviz.cli.printing import aligned, complain, importing, say
from groundviz.errors import OptionError
from groundviz.render.base.escape import visible

if TYPE_CHECKING:
    from groundviz.evaluation import Run

FOLDER = "groundviz-run"
NOT_FINISHED = 1
_MOST_METRICS = 6
# Of reasons why something was not done.
_MOST_LINES = 6

WORKER_SAYS = """
Any number of workers may be started, at any time, on any machine that sees the folder: each takes shards
that nobody is at. `srun groundviz worker RUN` in a job of N tasks, a SLURM array, torchrun and `&` all do.
With --num-chunks and --chunk-idx the shards are divided beforehand, as LLaVA's scripts do.
"""


def evaluate(chosen: argparse.Namespace) -> int:
    """Begin or continue a run, work on it until nothing is left, and print what came of it."""
    with importing("Loading the libraries"):
        # A public name is imported, with all it needs, when it is first used.
        start = groundviz.evaluate
    run = start(
        chosen.model,
        chosen.dataset,
        out=chosen.out,
        recipe=chosen.recipe,
        data=dict(chosen.data),
        methods=_methods(chosen),
        limit=chosen.limit,
        answers=chosen.answers,
        controls=_listed(chosen.controls),
        metrics=_listed(chosen.metrics) if chosen.metrics else None,
        space=chosen.space,
        curves=_listed(chosen.curves),
        generation=dict(chosen.generation) or None,
        system=chosen.system,
        prompt=chosen.prompt,
        seed=chosen.seed or 0,
        device=chosen.device,
        dtype=chosen.dtype,
        shard_size=chosen.shard_size,
        executor=chosen.executor,
        workers=chosen.workers,
        fork=chosen.fork,
    )
    _say_status(run)
    if run.status().done:
        _say_scores(run)
        return 0
    say("", "Start workers, here or on any machine that sees the folder:", f"  groundviz worker {run.path}")
    return 0


def worker(chosen: argparse.Namespace) -> int:
    """Work on a run beside others, until nothing is left for this worker."""
    # What many processes of one shell print would be mixed.
    with held_back() if chosen.quiet else importing("Loading the libraries"):
        from groundviz.evaluation import work_on
    run = work_on(chosen.run_folder, chunk=_chunk(chosen), ttl=chosen.ttl, progress=not chosen.quiet)
    if not chosen.quiet:
        _say_status(run)
    return 0


def status(chosen: argparse.Namespace) -> int:
    """Say how far a run has come; returns 1 if something is left to do."""
    from groundviz.evaluation import Run

    run = Run(chosen.run_folder)
    _say_status(run)
    return 0 if run.status().done else NOT_FINISHED


def merge(chosen: argparse.Namespace) -> int:
    """Score what is explained, without the model, and join the parts of each table to one file."""
    with importing("Loading the libraries"):
        from groundviz.evaluation import Run
    run = Run(chosen.run_folder)
    metrics = _listed(chosen.metrics) if chosen.metrics else None
    if run.score(metrics=metrics, space=chosen.space):
        _say_scores(run)
    else:
        complain("groundviz: note: some samples are not explained yet, so nothing was scored")
    say("", "Tables:", *(f"  {path}" for path in run.merge()))
    return 0


def add(added: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add these commands to those of the command line."""
    _add_evaluate(
        command(added, "evaluate", evaluate, "ask a model every question of a data set and score it")
    )
    says = "work on a run beside others, here or on another machine"
    working = command(added, "worker", worker, says)
    working.formatter_class = argparse.RawDescriptionHelpFormatter
    working.epilog = f"{WORKER_SAYS}\n{working.epilog}"
    _add_run(working)
    says = "divide the shards among so many workers beforehand"
    working.add_argument("--num-chunks", type=values.positive, metavar="N", help=says)
    working.add_argument("--chunk-idx", type=values.natural, metavar="I", help="this worker's part, from 0")
    says = "take a worker on another machine for dead after so many seconds without a sign (default: 600)"
    working.add_argument("--ttl", type=values.above_zero, metavar="SECONDS", default=600.0, help=says)
    working.add_argument("--quiet", action="store_true", help="print nothing but errors")
    _add_run(command(added, "status", status, "say how far a run has come"))
    says = "score a run without its model, and join the parts of each table to one file"
    merging = command(added, "merge", merge, says)
    _add_run(merging)
    _add_scoring(merging)


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("run_folder", type=Path, metavar="RUN", help="the folder of a run")


def _add_evaluate(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", help="'demo', 'cheat', a local folder, or a hub id")
    says = "'phantoms', or the name of a data set and its folder; `groundviz data` lists the names"
    command.add_argument("dataset", metavar="DATASET[:PATH]", help=says)
    says = f"the folder of the run; one that was begun is continued (default: ./{FOLDER})"
    command.add_argument("--out", type=Path, default=Path(FOLDER), metavar="RUN", help=says)
    says = "start a run beside the one in the folder, if that is of something else"
    command.add_argument("--fork", action="store_true", help=says)
    says = "the split and the decoding of a paper: sigphi, med_moe, llava_med, llava_med_v15 or llava_rad"
    command.add_argument("--recipe", metavar="NAME", help=says)
    says = "an option of the data set, such as split=test; may be repeated"
    command.add_argument(
        "--data", type=values.setting, metavar="KEY=VALUE", action="append", default=[], help=says
    )
    values.add_measured(command)
    says = "the first so many samples alone"
    command.add_argument("--limit", type=values.positive, metavar="N", help=says)
    command.add_argument("--seed", type=values.seed, metavar="N", help="of everything random (default: 0)")
    asked = command.add_argument_group("what is asked and explained")
    says = "explain what the model answers, or the data set's own answers (default: generated)"
    asked.add_argument("--answers", choices=("generated", "reference"), default="generated", help=says)
    says = (
        'what is asked, such as "Is there {finding}?", or with {question} in it (default: the question alone)'
    )
    asked.add_argument("--prompt", metavar="TEXT", help=says)
    asked.add_argument("--system", metavar="TEXT", help="what the model is told before the question")
    each: dict[str, Any] = {"action": "append", "default": []}
    says = "a setting of transformers' generate, such as max_new_tokens=64; may be repeated"
    asked.add_argument("--generation", type=values.setting, metavar="KEY=VALUE", help=says, **each)
    says = "maps of another patient's image and of re-initialised weights, or none of these (default: both)"
    asked.add_argument("--controls", metavar="NAMES", default="shuffled,random_weights", help=says)
    says = (
        "deletion and insertion curves: what covers the image, such as blur,mean (default: none; they cost)"
    )
    asked.add_argument("--curves", metavar="NAMES", default="", help=says)
    _add_scoring(command)
    ran = command.add_argument_group("where it runs")
    says = "here; by processes that share the folder; or by actors of a Ray cluster (default: local)"
    ran.add_argument("--executor", choices=("local", "shards", "ray"), default="local", help=says)
    says = "cpu (default), cuda, or cuda:N; with cuda each worker takes the accelerator of its number"
    ran.add_argument("--device", metavar="DEVICE", help=says)
    says = "float32, bfloat16, float16, int8 or int4 (default: as the weights are stored)"
    ran.add_argument("--dtype", metavar="DTYPE", help=says)
    says = "how many processes or actors; with shards, 0 makes the plan alone (default: 1)"
    ran.add_argument("--workers", type=values.natural, metavar="N", default=1, help=says)
    says = "samples between two commits (default: 8)"
    ran.add_argument("--shard-size", type=values.positive, metavar="N", default=8, help=says)


def _add_scoring(command: argparse.ArgumentParser) -> None:
    scored = command.add_argument_group("scores")
    says = "metrics, separated by commas, such as pointing,iou@mass:0.5 (default: the usual ones)"
    scored.add_argument("--metrics", metavar="NAMES", help=says)
    says = "where maps and references meet: the model's cells, or the image's pixels (default: grid)"
    scored.add_argument("--space", choices=("grid", "image"), default="grid", help=says)


def _methods(chosen: argparse.Namespace) -> Any:
    """The methods with their options; None for the usual ones.

    Raises:
        UnknownName: An option is of a method that is not asked for.
    """
    if not chosen.methods and not chosen.option:
        return None
    from groundviz.methods import DEFAULT

    return values.by_method(chosen.methods or DEFAULT, chosen.option)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip() and name.strip() != "none")


def _chunk(chosen: argparse.Namespace) -> tuple[int, int] | None:
    """This worker's part of the shards, as it was typed."""
    if (chosen.num_chunks is None) != (chosen.chunk_idx is None):
        raise OptionError("--num-chunks and --chunk-idx belong together. Give both, or neither.")
    if chosen.num_chunks is None:
        return None
    return chosen.chunk_idx, chosen.num_chunks


def _say_status(run: Run) -> None:
    status, facts = run.status(), run.manifest
    rows = [
        ("run", facts["run_id"]),
        ("model", f"{facts['model']['name']} ({facts['model']['weights']})"),
        ("data set", f"{facts['dataset']['name']} {facts['dataset']['version']}, {status.samples} samples"),
        ("methods", ", ".join(facts["methods"])),
        ("explained", f"{status.explained} of {status.samples}"),
        ("scored", f"{status.scored} of {status.samples}"),
    ]
    if status.covered is not None:
        rows.append(("curves", f"{status.covered} of {status.samples}"))
    default = facts.get("default_question", {"samples": 0})
    if default["samples"]:
        count = default["samples"]
        those = "1 sample that has" if count == 1 else f"{count} samples that have"
        rows.append(("asked", f"{default['text']!r}, of {those} no question"))
    rows += _headed("not ok", [f"{count} {name}: {why}" for (name, why), count in run.reasons().items()])
    if status.scored == status.samples:
        rows += _headed("localised", _localised(run, status.samples))
    if status.working:
        rows.append(("at work", f"{len(status.working)} shards"))
    # What could not be done may be told in the words of a stranger's file.
    say(*map(visible, aligned(rows)), f"  {run.path}")


def _headed(head: str, lines: Sequence[str]) -> list[tuple[str, str]]:
    """Lines as rows of a table, the first of which is headed."""
    shown = list(lines[:_MOST_LINES])
    if len(lines) > _MOST_LINES:
        shown.append(f"and for {len(lines) - _MOST_LINES} more reasons")
    return [("" if at else head, line) for at, line in enumerate(shown)]


def _localised(run: Run, count: int) -> list[str]:
    """How many samples have a number of localisation, and why the others have none."""
    from groundviz.evaluation.unscored import unscored

    without = unscored(run.answers(), run.maps_table(), run.scores())
    number = count - sum(map(len, without.values()))
    return [f"{number} of {count}", *(f"{len(those)} without: {why}" for why, those in without.items())]


def _say_scores(run: Run) -> None:
    """How right the answers are, and the mean of each metric of maps, a row for each method and prior."""
    import numpy as np

    from groundviz.evaluation.report.results import Results

    results, table = Results(run), run.means()
    right = results.correct()
    known = right[np.isfinite(right)]
    if known.size:
        say("", f"answers: {known.mean():.1%} right of {known.size}, by the scorer {results.scorer!r}")
    shown = list(dict.fromkeys([*results.headline, *results.metrics]))[:_MOST_METRICS]
    rows = [("method", *shown, "samples")]
    for method in dict.fromkeys(method for method, _ in table):
        cells = [table.get((method, metric), (float("nan"), 0)) for metric in shown]
        rows.append((method, *(f"{value:.3f}" for value, _ in cells), str(max(count for _, count in cells))))
    if len(rows) > 1:
        say("", *aligned(rows))
