"""What evidence costs: `python benchmarks/evidence.py [--device cuda] [--write]`.

A LLaVA of 300 million random weights with 256 image tokens and 64 answer tokens. Ways to run it take turns
in one process; times are of the clock, ratios are to `explain` without evidence in the same turn, and their
median is given. What a user would run instead of a challenge is occlusion, which covers one window after the
other.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

import groundviz
from benchmarks.report import machine, publish, table
from benchmarks.shapes import QUESTION, Shape, build, smallest
from groundviz.models import VLM

MID_SIZE = Shape(
    name="mid-size (300 M)",
    side=16,
    width=1024,
    inner=2816,
    layers=14,
    heads=16,
    vocabulary=32000,
    vision_width=768,
    vision_layers=12,
)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def ways(vlm: VLM, image: np.ndarray, *, slow: bool) -> Mapping[str, Callable[[], object]]:
    """What is timed, by name; the first is what the others are compared with."""

    def explain(**options: object) -> groundviz.Explanation:
        return groundviz.explain(vlm, image, QUESTION, certify=False, **options)

    found: dict[str, Callable[[], object]] = {
        "`explain`, no evidence": lambda: explain(evidence=None),
        "`explain`": explain,
    }
    if slow:
        asked = explain(methods="attention", evidence=None)
        found["`challenge`, one map, marked place, 19 copies"] = lambda: groundviz.challenge(
            asked, vlm, checks="marked_place"
        )
        found["`explain_more`, occlusion"] = lambda: groundviz.explain_more(asked, vlm, "occlusion")
    return found


def measured(runs: Mapping[str, Callable[[], object]], turns: int) -> list[list[str]]:
    """For each way its median seconds and its median ratio to the first of the same turn."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(turns):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    first = next(iter(seconds.values()))
    rows = []
    for name, found in seconds.items():
        ratio = statistics.median(one / base for one, base in zip(found, first, strict=True))
        rows.append([name, f"{statistics.median(found):.2f}", f"{ratio:.2f}"])
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="leave out the challenge")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--toy", action="store_true", help="as little as there can be, to try the code")
    chosen = parser.parse_args(arguments)
    shape, dtypes = MID_SIZE, DTYPES
    if chosen.toy:
        # As many cells as copies need to be moved.
        shape, dtypes, chosen.turns = smallest(side=8), {"float32": torch.float32}, 1
    image = np.random.default_rng(0).integers(0, 256, (512, 512), dtype=np.uint8)
    rows = []
    for name, dtype in dtypes.items():
        vlm = build(shape, device=chosen.device, dtype=dtype)
        runs = ways(vlm, image, slow=not chosen.quick)
        rows += [[name, *row] for row in measured(runs, chosen.turns)]
    head = ["weights", "run", "seconds", "ratio"]
    publish("evidence", f"{machine(chosen.device)}\n\n{table(head, rows)}", write=chosen.write)


if __name__ == "__main__":
    main()
