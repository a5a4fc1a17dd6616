"""Which method works on which kind of model and under which modes of its caller.

    python benchmarks/capabilities.py --write

Every method explains the same answer of one tiny model in each condition. A method must give a map
or refuse with one of groundviz's errors: anything else ends this script with an error. Install
accelerate, bitsandbytes and peft for the rows that need them.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from groundviz.errors import UnsupportedMethod, UnsupportedModel
from groundviz.explain import explain
from groundviz.methods import METHODS
from groundviz.record.types import Floats, SourceImage
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support.conditions import CALLERS, MODELS
from tests.support.quick import quick

TOY = ("attention", "input_gradient")
PAGE = Path(__file__).parents[1] / "docs" / "capabilities.md"
HEAD = """\
# What works where

Made by `python benchmarks/capabilities.py --write` on a tiny random model on a CPU, every method
with few samples. A method that cannot work says so: there is no empty and no wrong map.

- **same**: the map is bit for bit the one of the float32 model, explained without further ado.
- **yes**: there is a map; in brackets its correlation with that one.
- **no**: `explain` raises `UnsupportedMethod` or `UnsupportedModel`; the reasons are below.
- **not run**: the library was not installed where this page was made.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one method in one condition: a map, or a reason why there is none."""

    map: Floats | None = None
    reason: str = ""

    def against(self, plain: Floats) -> str:
        """How it reads in the table."""
        if self.map is None:
            return "no" if self.reason else "not run"
        if np.array_equal(self.map, plain, equal_nan=True):
            return "same"
        held = np.isfinite(plain)
        return f"yes ({np.corrcoef(self.map[held], plain[held])[0, 1]:.2f})"


@cache
def source_image() -> SourceImage:
    """An image of random grey values."""
    pixels = np.random.default_rng(1).random((28, 28), dtype=np.float32)
    return SourceImage(pixels=pixels, source="array", raw_range=(0.0, 1.0), sha256="0" * 64)


def attempt(model: Any, method: str, caller: str = "as it is") -> Outcome:
    """Explain one given answer of a model.

    Raises:
        Exception: Whatever is neither a map nor a refusal.
    """
    processor = tiny_llava_processor(tiny_llava())
    ask = {"answer": "left lung nodule", "target": 1, "methods": quick(method), "processor": processor}
    try:
        with CALLERS[caller](), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Anomaly Detection has been enabled", UserWarning)
            heatmap = explain(model, source_image(), "Is there a nodule?", **ask).heatmap(method)
    except (UnsupportedMethod, UnsupportedModel) as refusal:
        return Outcome(reason=str(refusal))
    if not (heatmap.has_evidence and np.isfinite(heatmap.values[heatmap.grid.valid]).all()):
        raise RuntimeError(f"{method} made an empty map.")
    return Outcome(map=heatmap.values)


def on_models(methods: Iterable[str]) -> dict[str, dict[str, Outcome]]:
    """By condition of the model and method."""
    return {name: on_model(name, methods) for name in MODELS}


def on_model(condition: str, methods: Iterable[str]) -> dict[str, Outcome]:
    """What becomes of each method on a model in one condition."""
    try:
        model = MODELS[condition](tiny_llava())
    except ImportError:
        return {method: Outcome() for method in methods}
    return {method: attempt(model, method) for method in methods}


def under_callers(methods: Iterable[str]) -> dict[str, dict[str, Outcome]]:
    """By mode of the caller and method."""
    model = tiny_llava()
    return {caller: {method: attempt(model, method, caller) for method in methods} for caller in CALLERS}


def table(found: Mapping[str, Mapping[str, Outcome]], plain: Mapping[str, Outcome]) -> str:
    """A Markdown table with a row per condition, and below it the reasons for every "no"."""
    methods, reasons = list(plain), {}
    lines = [["", *(f"`{method}`" for method in methods)], ["---"] * (len(methods) + 1)]
    for condition, outcomes in found.items():
        row = [condition]
        for method in methods:
            cell, reason = outcomes[method].against(plain[method].map), outcomes[method].reason
            row.append(f"{cell} [{reasons.setdefault(reason, len(reasons) + 1)}]" if reason else cell)
        lines.append(row)
    notes = "".join(f"\n{number}. {reason}" for reason, number in reasons.items())
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + f"\n{notes}"


def page(methods: Iterable[str]) -> str:
    """The whole page."""
    models, callers = on_models(methods), under_callers(methods)
    plain = models["float32"]
    return (
        f"{HEAD}\n## Kinds of model\n\n{table(models, plain).strip()}\n"
        f"\n## Modes of the caller\n\n{table(callers, plain).strip()}\n"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/capabilities.md")
    parser.add_argument("--toy", action="store_true", help="as little as runs every line, to try the code")
    chosen = parser.parse_args(argv)
    text = page(TOY if chosen.toy else list(METHODS))
    if chosen.write:
        missing = [line.split("|")[1].strip() for line in text.splitlines() if "| not run |" in line]
        if missing:
            raise SystemExit(
                f"Nothing was written: {', '.join(missing)} could not be tried here and would be lost "
                "from the page. Run `pip install accelerate bitsandbytes peft` first."
            )
        PAGE.write_text(text, "utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
