"""What a run costs beside bare `explain`, case by case: `python benchmarks/evaluation.py [--write]`.

CPU seconds of one process. Runs and bare calls take turns, and the lowest of the rounds counts: other work on
the machine can only add to them. The controls ask the model again, so they are measured apart from what the
run itself adds: keys, files and scores.

`--memory [--write]` measures instead what the process holds after 100, 300 and 1,000 cases.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import groundviz
from benchmarks.report import machine, publish, table
from groundviz import datasets, models
from groundviz.datasets.sample import Dataset
from groundviz.evaluation import Run, evaluate, opening

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
METHODS = ("attention", "gradient_attention")
CASES, ROUNDS, TOY = 40, 5, 3
# So many cases, one after the other, in one process; the page names these numbers.
MEMORY_AFTER = (100, 300, 1000)
MEMORY_TOY = (2, 4, 6)


def bare(vlm: Any, dataset: Dataset) -> None:
    """Each question explained, and nothing kept."""
    for sample in dataset.samples:
        image = groundviz.images.load(dataset.image(sample))
        groundviz.explain(vlm, image, sample.question or "", methods=METHODS, certify=False)


def ran(vlm: Any, dataset: Dataset, out: Path, **settings: Any) -> Run:
    """Each question in a run."""
    return evaluate(vlm, dataset, methods=METHODS, out=out, progress=False, **settings)


def seconds(work: Callable[[], object], count: int) -> float:
    """CPU seconds of one of `count` cases."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / count


def costs(count: int, rounds: int) -> str:
    """The table of CPU seconds."""
    vlm, dataset = groundviz.load("demo"), datasets.load("phantoms", limit=count)
    first = datasets.load("phantoms", limit=1)
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        # The first case loads what all need, and a model is certified once, by whoever explains it first.
        models.verdict_on(vlm)
        bare(vlm, first)
        ran(vlm, first, out / "first")
        for number in range(rounds):
            whole = out / f"whole {number}"
            works: dict[str, Callable[[], object]] = {
                "bare `explain`": lambda: bare(vlm, dataset),
                "in a run, scored": lambda: ran(vlm, dataset, out / f"plain {number}", controls=()),  # noqa: B023
                "with both controls": lambda: ran(vlm, dataset, whole),  # noqa: B023
                "one more metric, later": lambda: ran(vlm, dataset, whole, metrics=["auroc"]),  # noqa: B023
            }
            for name, work in works.items():
                found.setdefault(name, []).append(seconds(work, count))
    plain = min(found["bare `explain`"])
    rows: list[tuple[object, ...]] = []
    for name, each in found.items():
        own = min(each)
        beside = "" if name == "bare `explain`" else f"{100 * (own / plain - 1):+.1f} %"
        rows.append((name, f"{own:.3f}", f"{max(each):.3f}", beside))
    head = (
        f"{machine()}, shared with other work; {count} cases of the demo model, {', '.join(METHODS)}; "
        f"the lowest of {rounds} rounds\n\n"
    )
    return head + table(("a case", "CPU s", "highest", "beside bare `explain`"), rows)


class Held:
    """Watches a run, and notes what the process holds after some numbers of samples."""

    def __init__(self, after: Sequence[int]) -> None:
        self.after = after
        self._what, self._done = "", 0
        self.rows: list[tuple[str, int, float]] = []

    def begin(self, what: str, done: int, total: int) -> None:
        """A part of the work begins."""
        self._what, self._done = what.partition("-")[0], done

    def advance(self, statuses: Sequence[str]) -> None:
        """Some samples are done."""
        before, self._done = self._done, self._done + len(statuses)
        for number in self.after:
            if before < number <= self._done:
                gc.collect()
                self.rows.append((self._what, number, held()))


def held() -> float:
    """Megabytes of memory that this process holds right now."""
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[1])
    return pages * resource.getpagesize() / 2**20


def memory(after: Sequence[int]) -> str:
    """The table of memory by number of cases; explaining first, then scoring all of them."""
    watcher = Held(after)
    settings: dict[str, Any] = {"methods": "attention", "controls": (), "progress": False}
    with tempfile.TemporaryDirectory() as folder:
        data = {"phantoms": after[-1]}
        run = evaluate(
            "demo",
            "phantoms",
            data=data,
            limit=after[-1],
            out=folder,
            executor="shards",
            workers=0,
            **settings,
        )
        opened = opening.again(run.path)
        work, scoring = (
            opened.work(watcher),
            opened.scoring(opening.evaluation_of(run.manifest["evaluation"])),
        )
        work.do(work.explaining(opened.session()))
        work.do(work.scoring(scoring))
    says = {"explain": "explained", "scores": "and scored"}
    rows = [(f"{number} {says[what]}", f"{megabytes:.0f}") for what, number, megabytes in watcher.rows]
    head = f"{machine()}; the demo model, attention, in one process\n\n"
    return head + table(("cases", "MB held"), rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables; with --write put them into the docs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--toy", action="store_true", help="few cases")
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    chosen = parser.parse_args(argv)
    warnings.simplefilter("ignore", RuntimeWarning)
    if chosen.memory:
        after = MEMORY_TOY if chosen.toy else MEMORY_AFTER
        publish("evaluation memory", memory(after), write=chosen.write, on=PAGE)
        return
    count, rounds = (TOY, 1) if chosen.toy else (chosen.cases, ROUNDS)
    publish("evaluation", costs(count, rounds), write=chosen.write, on=PAGE)


if __name__ == "__main__":
    main()
