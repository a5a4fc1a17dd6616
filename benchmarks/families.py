"""Which method works on which family of models.

    python benchmarks/families.py --write

Every method explains a tiny random model of every family, on a picture of 61 by 37 pixels. A method
must give maps with evidence in them, or refuse with one of groundviz's errors: anything else ends
this script with an error.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from groundviz import models
from groundviz.errors import UnsupportedMethod
from groundviz.explain import explain
from groundviz.methods import METHODS
from groundviz.testing.families import TINY
from groundviz.testing.quick import quick

PAGE = Path(__file__).parents[1] / "docs" / "families.md"
HEAD = """\
# Which method works on which family

Made by `python benchmarks/families.py --write` on tiny random models of the real classes with their real
processors, and compared with what runs by the tests. **yes**: maps with a value in every cell. **no**:
`explain` raises `UnsupportedMethod`; the reasons are below the table.
"""


@cache
def picture() -> np.ndarray:
    """Random grey values, 61 by 37: no model's own shape."""
    return np.random.default_rng(1).random((61, 37), dtype=np.float32)


def refusal(vlm: Any, method: str) -> str:
    """Why a method cannot explain a model; empty where it can.

    Raises:
        RuntimeError: A map is empty, or a cell in view has no number.
    """
    ask = {"answer": "left lung nodule and effusion", "methods": quick(method)}
    try:
        maps = explain(vlm, picture(), "Is there a nodule?", **ask).record.heatmaps
    except UnsupportedMethod as error:
        return str(error)
    for one in maps:
        heatmap = one.at(one.targets[-1])
        if not np.isfinite(heatmap.values[heatmap.grid.valid]).all():
            raise RuntimeError(f"{method} left cells in view without a number.")
    if not any(one.at(one.targets[-1]).has_evidence for one in maps):
        raise RuntimeError(f"{method} made empty maps.")
    return ""


def refusals(family: str, methods: Iterable[str]) -> dict[str, str]:
    """By method, what `refusal` says of a family's tiny model."""
    vlm = models.resolve(*TINY[family]())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return {method: refusal(vlm, method) for method in methods}


def table(found: Mapping[str, Mapping[str, str]], methods: Iterable[str]) -> str:
    """A Markdown table with a row per method and a column per family, and the reasons below it."""
    reasons: dict[str, int] = {}
    lines = [["", *found], ["---"] * (len(found) + 1)]
    for method in methods:
        said = [found[family][method] for family in found]
        marks = [f"no [{reasons.setdefault(why, len(reasons) + 1)}]" if why else "yes" for why in said]
        lines.append([f"`{method}`", *marks])
    notes = "".join(f"\n{number}. {why}" for why, number in reasons.items())
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n{notes}\n"


def page() -> str:
    """The whole page."""
    methods = list(METHODS)
    return f"{HEAD}\n{table({family: refusals(family, methods) for family in TINY}, methods)}"


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/families.md")
    text = page()
    if parser.parse_args().write:
        PAGE.write_text(text, "utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
