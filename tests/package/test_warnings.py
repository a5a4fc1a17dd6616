"""Whose warnings fail a run of the tests: our own always, those of dependencies in `.ci/run` alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A package that is no part of ours: it warns of its own line, or of the line that calls it.
ELSEWHERE = """
import warnings
def warn(message, category, level):
    warnings.warn(message, category, stacklevel=level)
"""
DEPRECATIONS = ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning")
LEVELS = {"theirs": 1, "ours": 2}
ONE_TEST = """
def test_{category}_{whose}():
    elsewhere.warn("old is going away", {category}, {level})
"""
KNOWN = """
def test_known():
    elsewhere.warn("__array__ must take copy", DeprecationWarning, 1)
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """By whether every warning is an error, how each test of a file ended, with our own settings."""
    folder = tmp_path_factory.mktemp("warning")
    (folder / "elsewhere.py").write_text(ELSEWHERE)
    (folder / "tests").mkdir()
    tests = [
        ONE_TEST.format(category=category, whose=whose, level=level)
        for category in (*DEPRECATIONS, "UserWarning")
        for whose, level in LEVELS.items()
    ]
    # In a folder of this name, its lines count as ours.
    (folder / "tests" / "test_it.py").write_text("\n".join(["import elsewhere", *tests, KNOWN]))
    strict = re.search(r'PYTEST_ADDOPTS="(.*)"', (ROOT / ".ci" / "run").read_text("utf-8"))[1]
    return {every: run(folder, options) for every, options in ((False, ""), (True, strict))}


def run(folder, options):
    surroundings = {**os.environ, "PYTHONPATH": str(folder), "PYTEST_ADDOPTS": options}
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    command += ["-c", str(ROOT / "pyproject.toml"), "tests/test_it.py"]
    done = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True)
    lines = re.findall(r"^(PASSED|FAILED) \S*::test_(\w+)", done.stdout, re.MULTILINE)
    return {name: outcome for outcome, name in lines}


@pytest.mark.parametrize("whose", LEVELS)
@pytest.mark.parametrize("category", DEPRECATIONS)
def test_a_dependency_that_will_change_fails_nobody_but_us(outcomes, category, whose):
    assert outcomes[False][f"{category}_{whose}"] == "PASSED"
    assert outcomes[True][f"{category}_{whose}"] == "FAILED"


def test_what_our_own_lines_lead_to_is_always_an_error(outcomes):
    assert outcomes[False]["UserWarning_ours"] == outcomes[True]["UserWarning_ours"] == "FAILED"
    assert outcomes[True]["UserWarning_theirs"] == "FAILED"


def test_what_is_known_is_let_through_everywhere(outcomes):
    assert outcomes[False]["known"] == outcomes[True]["known"] == "PASSED"
