"""The benchmarks run, count what they say they count, and put their tables where they belong."""

import math
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from benchmarks import full_size, methods, precision, report
from benchmarks.memory import peak_bytes
from benchmarks.shapes import ANSWER, QUESTION, build, smallest
from tests.support.browser import needs_browser

FILES = sorted(Path(report.__file__).parent.glob("*.py"))
# The others hold what these share.
SCRIPTS = [path for path in FILES if "def main(" in path.read_text("utf-8")]
# What a cell may hold that is no number: a name, a verdict, a note, or nothing at all.
NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|\b(?:nan|inf)\b)")


@pytest.fixture(scope="module")
def vlm():
    vlm = build(smallest())
    vlm.model.generation_config.update(max_new_tokens=4, min_new_tokens=4)
    return vlm


def tables_of(text):
    """The Markdown tables of a text, each a list of rows of cells, the head first."""
    tables, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            tables.append([rows[0], *rows[2:]])
            rows = []
    return tables


def run_toy(path, capsys):
    import_module(f"benchmarks.{path.stem}").main(["--toy"])
    return tables_of(capsys.readouterr().out)


# At toy size a block may hide all that there is.
@pytest.mark.wide
@pytest.mark.filterwarnings("ignore:.*found no evidence:RuntimeWarning")
@pytest.mark.parametrize(
    "path",
    [pytest.param(one, marks=needs_browser if one.stem == "viewer" else (), id=one.stem) for one in SCRIPTS],
)
def test_every_benchmark_runs_from_end_to_end_at_toy_size(path, capsys):
    tables = run_toy(path, capsys)
    assert tables
    for head, *rows in tables:
        assert rows and {len(row) for row in rows} == {len(head)}
        assert all(row[0] for row in rows)
        numbers = [float(found[0]) for row in rows for cell in row[1:] for found in NUMBER.finditer(cell)]
        assert all(map(math.isfinite, numbers))
        # Some tables say of each cell whether a method works there.
        assert numbers or {"yes", "same", "no"} & {cell.split()[0] for row in rows for cell in row[1:]}


@pytest.mark.wide
def test_every_benchmark_starts_by_its_own_command_from_anywhere(tmp_path):
    """All in one process, each as the file that Python is given, with nothing else on the path."""
    starts = """
import runpy, sys
own = {"groundviz", "benchmarks"}
clean = list(sys.path)
for file in sys.argv[1:]:
    sys.path[:] = [file.rpartition("/")[0], *clean]
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]
    runpy.run_path(file, run_name="started")
    print("started", file)
"""
    command = [sys.executable, "-I", "-c", starts, *map(str, SCRIPTS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("started") == len(SCRIPTS)


def test_passes_are_counted_in_whole_and_in_part(vlm):
    free = methods.run(vlm, "attention", {}, answer=ANSWER, question=QUESTION)
    tail = methods.run(vlm, "gradient_attention", {}, answer=ANSWER, question=QUESTION)
    whole = methods.run(vlm, "input_gradient", {}, answer=ANSWER, question=QUESTION)
    assert (free["forward"], free["backward"]) == (0, 0)
    # The answer's 64 tokens of about 134; the first layer's input is where the graph begins.
    assert 0.4 < tail["forward"] < 0.6
    assert (whole["forward"], whole["backward"]) == pytest.approx((1, 1), abs=0.02)
    assert all(found["seconds"] > 0 and found["plain"] > 0 for found in (free, tail, whole))


def test_short_runs_name_methods_and_options_that_there_are():
    """`choose` refuses a name or an option that is unknown."""
    from groundviz.methods.running.choose import choose

    for name, options in choose(methods.FEW).items():
        assert methods.FEW[name].items() <= options.items()


def test_peak_memory_sees_what_is_held_and_no_more():
    with peak_bytes() as peak:
        np.ones(8 << 20).sum()
    assert 60 < peak.megabytes < 80


def test_peak_memory_is_not_hidden_in_what_the_allocator_kept():
    small = [np.ones(8 << 10) for _ in range(2000)]
    last = np.ones(8 << 10)
    # Given back to the allocator, which keeps it below the last one: room enough for what follows.
    del small
    with peak_bytes() as peak:
        np.ones(8 << 20).sum()
    assert 60 < peak.megabytes < 80
    assert last.any()


def test_capture_times_plain_generation_beside_rows(vlm, monkeypatch):
    """By a clock that takes the number of a run for its seconds; runs 0 and 1 warm up."""
    runs = []

    def numbered(work):
        runs.append(work())
        return len(runs) - 1

    monkeypatch.setattr(full_size, "REPEATS", 2)
    monkeypatch.setattr(full_size, "seconds", numbered)
    # Plain runs take 2 and 4, those with rows 3 and 5.
    assert full_size.capture(vlm) == (3.0, 4.0, 4 / 3)
    plain, with_rows = runs[2:4]
    assert with_rows.token_ids.tolist() == plain[0, -len(with_rows.token_ids) :].tolist()


@pytest.mark.wide
def test_precision_is_measured_at_toy_size(monkeypatch, capsys):
    few = {"rise": ("rise", {"masks": 16}), "shapley": ("shapley", {"cells": 9, "samples": 4})}
    monkeypatch.setattr(precision, "ROWS", few)
    monkeypatch.setattr(precision.by_orders, "__kwdefaults__", {"cells": 4, "orders": 4})
    arguments = ["--phantoms", "3", "--seeds", "2", "--rows", *few, precision.ORDERS]
    precision.main(arguments)
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| r")]
    ((_, agree, stated, found, passes),) = rows
    assert -1 <= float(agree) <= 1 and float(stated) > 0 and float(found) > 0
    assert passes == "16 |"


def test_a_table_goes_between_its_markers(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x -->\nold\n<!-- end of x -->\nb\n")
    monkeypatch.setattr(report, "PAGE", page)
    text = report.table(["one", "two"], [[1, "`z`"]])
    report.publish("x", text, write=True)
    assert page.read_text() == (
        "a\n<!-- x -->\n| one | two |\n| --- | --- |\n| 1 | `z` |\n<!-- end of x -->\nb\n"
    )
    report.publish("x", "other", write=False)
    assert "other" in capsys.readouterr().out
    assert "other" not in page.read_text()


def test_the_published_page_has_a_place_for_every_table():
    text = report.PAGE.with_name("benchmarks.md").read_text("utf-8")
    for name in ("capture", "methods", "precision", "viewer", "full size"):
        assert text.count(f"<!-- {name} -->") == text.count(f"<!-- end of {name} -->") == 1
