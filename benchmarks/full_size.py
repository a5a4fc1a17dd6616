"""LLaVA-Rad and SigPhi-Med at full size, random bfloat16 weights: `python benchmarks/full_size.py [--write]`.

Needs a GPU with room for the weights (13.5 and 7.7 GB) and 10 GB more. Measured: `generate` of 64
tokens with every layer's and head's attention rows kept, beside plain `generate`, interleaved; what
it takes to certify the model; and the seconds and peak memory, weights included, of every method
but the sampling ones, whose passes are plain passes. `--toy` runs the same code on a tiny model on
any machine.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.methods import FEW, run, seconds
from benchmarks.report import machine, publish, table
from benchmarks.shapes import ANSWER, LLAVA_RAD, QUESTION, SIGPHI_MED, Shape, build, smallest
from groundviz import images
from groundviz.methods import METHODS
from groundviz.models import VLM
from groundviz.models.certify import certify
from groundviz.runtime import borrow
from groundviz.runtime.loan.device import on_device

REPEATS = 3


def capture(vlm: VLM) -> tuple[float, float, float]:
    """Median seconds of plain `generate` and of an answer with its rows, and the ratio of the medians."""
    source_image = images.load(np.random.default_rng(0).random((96, 96)).astype(np.float32))
    inputs = vlm.encode((source_image,), QUESTION).inputs
    placed = on_device(vlm.model, inputs)
    plain, kept = [], []
    for _ in range(REPEATS + 1):
        plain.append(seconds(lambda: vlm.model.generate(**placed)))
        with borrow(vlm) as live:
            prompt = live.encode(source_image, QUESTION)
            kept.append(seconds(lambda live=live, prompt=prompt: live.answer(prompt)))
    # The first of each warms up kernels and memory.
    without, with_rows = float(np.median(plain[1:])), float(np.median(kept[1:]))
    return without, with_rows, with_rows / without


def report(shape: Shape, device: str) -> str:
    """The two tables of one model."""
    vlm = build(shape, device=device, dtype=torch.bfloat16)
    weights = sum(p.numel() * p.element_size() for p in vlm.model.parameters()) / 2**30
    without, with_rows, ratio = capture(vlm)
    certificate = certify(vlm)
    rows = []
    for name in METHODS:
        if name not in FEW:
            run(vlm, name, {}, answer=ANSWER, question=QUESTION)
            found = run(vlm, name, {}, answer=ANSWER, question=QUESTION)
            peak = weights + found["peak"] / 2**10
            rows.append([f"`{name}`", f"{found['seconds']:.2f}", f"{found['plain']:.2f}", f"{peak:.1f}"])
    lines = [
        f"### {shape.name}, {shape.side**2} image tokens, 64 answer tokens, weights {weights:.1f} GB\n",
        f"`generate`: {without:.2f} s plain, {with_rows:.2f} s with every attention row kept: "
        f"{ratio:.3f} times.\n",
        f"`certify`: {certificate.verdict} in {certificate.seconds:.2f} s. {certificate.says[0]}\n",
        table(["method", "seconds", "one plain pass", "peak GB"], rows),
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Print both models' tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--toy", action="store_true", help="a tiny model on this machine, to try the code")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    chosen = parser.parse_args(argv)
    if not chosen.toy and not torch.cuda.is_available():
        parser.error("no GPU was found. Use --toy to try the code without one.")
    gc.freeze()  # As in benchmarks/methods.py.
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shapes = [smallest()] if chosen.toy else [LLAVA_RAD, SIGPHI_MED]
    text = "\n".join(report(shape, device) for shape in shapes)
    publish("full size", f"{machine(device)}\n\n{text}", write=chosen.write)


if __name__ == "__main__":
    main()
