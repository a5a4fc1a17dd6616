"""Which method works on which family of models.

    python benchmarks/families.py --write

Every method explains a tiny random model of every family, on an image of 61 by 37 pixels. A method
must give maps with a number in every cell in view, or refuse with one of groundviz's errors: anything
else ends this script with an error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from groundviz import models
from groundviz.errors import UnsupportedMethod
from groundviz.explain import explain
from groundviz.methods import METHODS
from groundviz.testing.families import TINY
from tests.support.quick import quick

TOY = ("llava", "mllama")
PAGE = Path(__file__).parents[1] / "docs" / "families.md"
HEAD = """\
# Which method works on which family

Made by `python benchmarks/families.py --write` on tiny random models of the real classes with their real
processors, and compared with what runs by the tests. **yes**: maps with a number in every cell in view.
**nothing to see**: the same, all of them zero, because the method cuts off what is below zero and these
random weights give nothing else. **no**: `explain` raises `UnsupportedMethod`; the reasons are below.
"""
YES, NOTHING = "yes", "nothing to see"


@cache
def image() -> np.ndarray:
    """Random grey values, 61 by 37: no model's own shape."""
    return np.random.default_rng(1).random((61, 37), dtype=np.float32)


def outcome(vlm: Any, method: str) -> str:
    """What becomes of a method on a model: "yes", "nothing to see", or why it refuses.

    Raises:
        RuntimeError: A cell in view has no number.
    """
    # A quarter of the image at a time: tiles of a random model need no finer look.
    recipe = {"occlusion": {"window": 0.5, "stride": 0.25}} if method == "occlusion" else quick(method)
    ask = {"answer": "left lung nodule and effusion", "methods": recipe}
    try:
        maps = explain(vlm, image(), "Is there a nodule?", **ask).record.heatmaps
    except UnsupportedMethod as error:
        return str(error)
    whole = [one.at(one.targets[-1]) for one in maps]
    if not all(np.isfinite(one.values[one.grid.valid]).all() for one in whole):
        raise RuntimeError(f"{method} left cells in view without a number.")
    return YES if any(one.has_evidence for one in whole) else NOTHING


def outcomes(family: str, methods: Iterable[str]) -> dict[str, str]:
    """By method, what becomes of it on a family's tiny model."""
    vlm = models.resolve(*TINY[family]())
    return {method: outcome(vlm, method) for method in methods}


def table(found: Mapping[str, Mapping[str, str]], methods: Iterable[str]) -> str:
    """A Markdown table with a row per method and a column per family, and the reasons below it."""
    reasons: dict[str, int] = {}
    lines = [["", *found], ["---"] * (len(found) + 1)]
    for method in methods:
        outcomes = [found[family][method] for family in found]
        marks = [one if one in (YES, NOTHING) else f"no [{_numbered(one, reasons)}]" for one in outcomes]
        lines.append([f"`{method}`", *marks])
    notes = "".join(f"\n{number}. {why}" for why, number in reasons.items())
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n{notes}\n"


def _numbered(reason: str, reasons: dict[str, int]) -> int:
    return reasons.setdefault(reason, len(reasons) + 1)


def page_of(found: Mapping[str, Mapping[str, str]]) -> str:
    """The whole page, from what became of each method on each family."""
    return f"{HEAD}\n{table(found, METHODS)}"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/families.md")
    parser.add_argument("--toy", action="store_true", help="as little as runs every line, to try the code")
    chosen = parser.parse_args(argv)
    families = TOY if chosen.toy else TINY
    text = page_of({family: outcomes(family, METHODS) for family in families})
    if chosen.write:
        PAGE.write_text(text, "utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
