"""The numbers that keep the code readable: short functions, short files, few parameters, honest names."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "groundviz"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE = {"methods": 120, "models/families": 200}
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "handler", "handlers", "misc"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, Function):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}", node


def body_lines(function: Function) -> int:
    """Lines from the first statement behind the docstring to the last."""
    documented = ast.get_docstring(function) is not None
    body = function.body[documented:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def by_position(function: Function) -> list[str]:
    arguments = function.args.posonlyargs + function.args.args
    return [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]


def test_functions_are_short() -> None:
    # A body that is a docstring only, as in a Protocol, would flatter the figures.
    lengths = {name: lines for name, function in functions() if (lines := body_lines(function))}
    ordered = sorted(lengths.values())
    assert statistics.median(ordered) <= 8
    assert ordered[int(0.9 * len(ordered))] <= 30
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_files_are_short(path: Path) -> None:
    folder = path.relative_to(PACKAGE).parent.as_posix()
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE.get(folder, 400)


def test_functions_take_few_parameters_and_options_by_keyword() -> None:
    assert {name for name, function in functions() if len(by_position(function)) > 6} == set()


def test_parameters_with_a_default_of_true_or_false_are_keywords() -> None:
    flags = {
        name
        for name, function in functions()
        for default in function.args.defaults
        if isinstance(default, ast.Constant) and isinstance(default.value, bool)
    }
    assert flags == set()


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = {part.removesuffix(".py") for path in FILES for part in path.relative_to(PACKAGE).parts}
    assert names & VAGUE == set()
