"""What each method costs beside one forward pass: `python benchmarks/methods.py [--sizes 500] [--write]`.

Every method runs in a loan of its own, on an answer of 64 tokens, on a small LLaVA of S prompt
tokens with random weights; between two methods one plain forward pass is timed, and ratios are to
the median of the two beside it. Passes are counted in tokens that went through the decoder, so
that a pass over the answer alone counts as the part of a pass that it is. Sampling methods run a
few steps here, and "at defaults" says how many they take.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.memory import peak_bytes
from benchmarks.report import machine, publish, table
from benchmarks.shapes import ANSWER, QUESTION, Shape, build, smallest
from groundviz import images
from groundviz.methods import METHODS
from groundviz.methods.running.choose import choose
from groundviz.methods.running.measure import measure
from groundviz.models import VLM
from groundviz.runtime import borrow
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

SIDES = {500: 20, 1500: 37, 3000: 54}
# As few steps as still show what one of them costs.
FEW: Mapping[str, Mapping[str, Any]] = {
    "integrated_gradients": {"steps": 4},
    "smooth_grad": {"samples": 4},
    "occlusion": {"window": 0.5, "stride": 0.5},
    "shapley": {"cells": 4, "samples": 2},
    "rise": {"masks": 8},
    "token_ablation": {"block": 16},
    "optimized_mask": {"steps": 4},
}


class Passes:
    """Counts the tokens that go through the first decoder layer, forth and back."""

    def __init__(self, vlm: VLM) -> None:
        self.forward = self.backward = 0
        self._layer = vlm.parts().decoder_layers[0]

    @contextmanager
    def counted(self) -> Iterator[Passes]:
        """Count what passes inside the block."""
        handle = self._layer.register_forward_hook(self._see)
        try:
            yield self
        finally:
            handle.remove()

    def _see(self, module: object, args: object, output: Any) -> None:
        states = output[0] if isinstance(output, tuple) else output
        tokens = states.shape[0] * states.shape[1]
        self.forward += tokens
        if states.requires_grad:
            states.register_hook(lambda grad: self._back(tokens))

    def _back(self, tokens: int) -> None:
        self.backward += tokens


def run(vlm: VLM, name: str, options: Mapping[str, Any], *, answer: str, question: str) -> dict[str, float]:
    """Seconds, passes and peak memory of one method, and the seconds of a plain forward beside it."""
    source_image = images.load(np.random.default_rng(0).random((96, 96)).astype(np.float32))
    passes = Passes(vlm)
    with borrow(vlm) as live:
        prompt = live.encode(source_image, question)
        answered = live.answer(prompt, given=answer)
        targets = live.targets(answered, None, None)
        length = len(prompt.token_ids) + len(answered.token_ids)
        plain = [seconds(lambda: live.scores(targets))]
        with passes.counted(), peak_bytes(vlm.model.device.type) as peak:
            spent = seconds(lambda: measure(choose({name: options}), live, prompt, answered, targets))
        plain.append(seconds(lambda: live.scores(targets)))
    forward, backward = passes.forward / length, passes.backward / length
    return {"seconds": spent, "plain": float(np.median(plain)), "forward": forward, "backward": backward,
            "peak": peak.megabytes}  # fmt: skip


def seconds(work: Callable[[], object]) -> float:
    """How long a piece of work takes, without gradients of its own, to the end on a GPU too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    with torch.no_grad():
        work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def at_defaults(name: str, **options: Any) -> tuple[float, float]:
    """Forward and backward passes of a method, with its own options but those named, on a tiny model."""
    from groundviz.models import resolve

    model = tiny_llava(image_size=112, patch_size=14)
    vlm = resolve(model, tiny_llava_processor(model))
    found = run(vlm, name, options, answer="left lung nodule", question="Where is the nodule?")
    return found["forward"], found["backward"]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table, one row per method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", choices=sorted(SIDES), default=sorted(SIDES))
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--toy", action="store_true", help="as little as runs every line, to try the code")
    chosen = parser.parse_args(argv)
    sizes = ["toy"] if chosen.toy else chosen.sizes
    # Thousands of modules and classes, which every `gc.collect` would go through.
    gc.freeze()
    head = ["method", "forward + backward passes at defaults"]
    rows = {}
    for name in chosen.methods:
        few = FEW.get(name, {}) if chosen.toy else {}
        rows[name] = [f"`{name}`", "{:.3g} + {:.3g}".format(*at_defaults(name, **few))]
    for size in sizes:
        head += [f"S = {size}: time per pass", "peak MB"]
        vlm = build(smallest() if chosen.toy else Shape(name=str(size), side=SIDES[size]))
        for name in chosen.methods:
            found = run(vlm, name, FEW.get(name, {}), answer=ANSWER, question=QUESTION)
            passes = max(found["forward"], 1e-9)
            whole = name in FEW
            ratio = found["seconds"] / found["plain"] / (passes if whole else 1.0)
            rows[name] += [f"{ratio:.2f} x" + (" each" if whole else ""), f"{found['peak']:.0f}"]
            sys.stderr.write(f"S={size} {name}: {found}\n")
    publish("methods", f"{machine()}\n\n{table(head, rows.values())}", write=chosen.write)


if __name__ == "__main__":
    main()
