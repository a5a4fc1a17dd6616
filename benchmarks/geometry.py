"""What measuring a model's geometry costs: `python benchmarks/geometry.py [--device cuda] [--write]`.

A LLaVA of 300 million random weights with 256 image tokens, taken for a model without a family. Its modules
are found once. Then images are encoded: of a shape that is new, where ramps go through the processor; of one
that is known; and as if the model's own pixels had another shape, where gradients go through the tower, which
a model of one resolution needs once. All is compared with one generation of 64 tokens in the same turn. Times
are of the processor, medians of several turns.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.evidence import MID_SIZE
from benchmarks.report import machine, publish, table
from benchmarks.shapes import QUESTION, build, smallest
from groundviz import images
from groundviz.models import VLM
from groundviz.models.adapter.vlm import MEASURED
from groundviz.models.measured.known import KNOWN

SIDES = (512, 448)


def ways(vlm: VLM, turn: int) -> Mapping[str, Callable[[], object]]:
    """What is timed, by name; the first is what the others are compared with."""
    # Another shape in every turn, so that it is new.
    new = _image((SIDES[0] + turn, SIDES[1]))
    unknown = replace(vlm, family_name=MEASURED)

    def forgetting() -> object:
        known = KNOWN[vlm.model]
        known.wirings.clear()
        known.cells.clear()
        return unknown.encode((new,), QUESTION)

    return {
        "generate 64 tokens": lambda: vlm.generate(new.pixels, QUESTION),
        "encode, a family's own geometry": lambda: vlm.encode((new,), QUESTION),
        "encode, measured, a new shape of image": lambda: unknown.encode((new,), QUESTION),
        "encode, measured, a known shape": lambda: unknown.encode((new,), QUESTION),
        "encode, measured, a new shape of the model's own pixels": forgetting,
    }


def measured(vlm: VLM, turns: int) -> list[list[str]]:
    """For each way its median seconds, and its median share of the first of the same turn."""
    unknown = replace(vlm, family_name=MEASURED)
    began = time.process_time()
    unknown.parts()
    once = time.process_time() - began
    seconds: dict[str, list[float]] = {}
    for turn in range(turns):
        for name, run in ways(vlm, turn).items():
            began = time.process_time()
            run()
            seconds.setdefault(name, []).append(time.process_time() - began)
    first = next(iter(seconds.values()))
    seconds["once for each model: its modules are found"] = [once] * turns
    rows = []
    for name, found in seconds.items():
        share = statistics.median(one / base for one, base in zip(found, first, strict=True))
        rows.append([name, f"{statistics.median(found):.3f}", f"{share:.3f}"])
    return rows


def _image(shape: tuple[int, int]) -> images.SourceImage:
    return images.load(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--toy", action="store_true", help="as little as there can be, to try the code")
    chosen = parser.parse_args(arguments)
    shape = MID_SIZE
    if chosen.toy:
        shape, chosen.turns = smallest(side=8), 1
    vlm = build(shape, device=chosen.device, dtype=torch.float32)
    rows = measured(vlm, chosen.turns)
    head = ["run", "seconds", "share of a generation"]
    publish("geometry", f"{machine(chosen.device)}\n\n{table(head, rows)}", write=chosen.write)


if __name__ == "__main__":
    main()
