"""What methods state of themselves is read from their registration."""

import subprocess
import sys
from pathlib import Path

import pytest

from groundviz.methods import METHODS
from groundviz.methods.running.catalogue import lines, markdown

ROOT = Path(__file__).parents[3]


def row(method):
    [found] = [line for line in markdown() if line.startswith(f"| `{method}` |")]
    return [cell.strip() for cell in found.strip("|").split(" | ")]


def test_a_method_that_states_nothing_is_listed_as_such(monkeypatch):
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    monkeypatch.setattr(METHODS, "_facts", dict(METHODS._facts))
    METHODS.add("silent", lambda live, prompt, answer, targets: [])
    assert row("silent")[1:] == ["not stated", "not stated", "not stated", "yes", "not stated", "not stated"]


def test_source_and_failure_are_told_apart():
    *_, source, failure = row("relative_attention")
    assert source.endswith('ask to "Write a general description of the image."')
    assert failure.startswith("Where the neutral instruction makes the model look at the same place, the")
    assert failure.endswith("are divided by next to nothing.")


def test_default_methods_are_marked_in_the_list():
    marked = [line for line in lines(("attention",)) if "(default)" in line]
    assert marked == ["attention (default)"]


def test_the_list_says_where_a_method_is_known_to_fail():
    text = "\n".join(lines(()))
    assert text.count("  known failure: ") == len(list(METHODS))
    assert "known failure: On a real Gemma 3 it found a planted object in none of 3 places" in text


@pytest.mark.wide
def test_python_without_docstrings_lists_and_offers_the_same():
    script = """
from groundviz.methods import METHODS
from groundviz.methods.running import catalogue, refusals
from groundviz.record.types import Foil, Target
targets = (Target(tokens=(0,), text="a", foil=Foil(text="b", token_ids=(1,))),)
print([name for name in METHODS if refusals.fits(METHODS.facts(name), targets, described=True)])
print(*catalogue.markdown(), *catalogue.lines(()), sep="\\n")
"""
    outputs = []
    for flags in ([], ["-OO"]):
        command = [sys.executable, *flags, "-c", script]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        outputs.append(run.stdout)
    plain, bare = outputs
    assert plain == bare
    assert "'occlusion'" in plain.splitlines()[0]
