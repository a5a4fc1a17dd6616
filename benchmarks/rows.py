"""How far rows of attention are from the eager kernel's own: `python benchmarks/rows.py [--write]`.

Every attention module of every tiny architecture, in float32 and in bfloat16. The eager kernel and
ours are given the same queries and keys (those of the model's own pass), so that what differs is
the arithmetic of the rows alone. In bfloat16 eager rounds its scores; ours are float32, and exact
for the queries and keys that the model computed, as the comparison with float64 shows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.report import machine, publish, table
from groundviz.runtime.attention.rows import Attention
from groundviz.runtime.attention.tap import AttentionCall, tapped
from tests.support.architectures import ARCHITECTURES, build

TOY = ("llava_llama", "mllama")


def differences(name: str, part: str, dtype: torch.dtype) -> dict[str, float]:
    """Largest differences of shares in one part of a model, over layers, heads, rows and columns."""
    architecture = build(name)
    model = architecture.model.to(dtype)
    worst = {"rows to eager": 0.0, "rows to float64": 0.0, "eager to float64": 0.0}

    def compare(call: AttentionCall) -> tuple[Any, Any]:
        weights, rows, exact = eager_weights(call, dtype), call.rows(slice(None)), in_float64(call)
        found = (rows - weights, rows - exact, weights - exact)
        for label, difference in zip(worst, found, strict=True):
            worst[label] = max(worst[label], difference.abs().max().item())
        return call.run()

    numbers, _ = architecture.numbered(part)
    inputs = {
        key: value.to(dtype) if value.is_floating_point() else value
        for key, value in architecture.inputs.items()
    }
    with torch.no_grad(), tapped(numbers, compare):
        model(**inputs, use_cache=False)
    return worst


def eager_weights(call: AttentionCall, dtype: torch.dtype) -> torch.Tensor:
    """What the eager kernel of the module's own file makes of a call."""
    run: Any = call.run
    module = run.args[0]
    eager = sys.modules[type(module).__module__].eager_attention_forward
    mask = call.visible(slice(None))
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)
    apart = ("attention_mask", "position_bias")
    options = {key: value for key, value in run.keywords.items() if key not in apart}
    weights: torch.Tensor = eager(module, call.query, call.key, call.value, mask, **options)[1]
    return weights.float()


def in_float64(attention: Attention) -> torch.Tensor:
    """The same attention by the textbook, in float64."""
    groups = attention.query.shape[1] // attention.key.shape[1]
    key = attention.key.double().repeat_interleave(groups, 1)
    raw = attention.query.double() @ key.transpose(2, 3) * attention.scaling
    mask = attention.visible(slice(None))
    if mask is not None:
        raw = raw.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else raw + mask
    return raw.softmax(-1)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table; with --write put it into the docs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--toy", action="store_true", help="as little as runs every line, to try the code")
    options = parser.parse_args(argv)
    rows = []
    for name in TOY if options.toy else ARCHITECTURES:
        for part in build(name).attention:
            full, half = (differences(name, part, dtype) for dtype in (torch.float32, torch.bfloat16))
            cells = (full["rows to eager"], *half.values())
            rows.append([name, part, *[f"{cell:.1e}" for cell in cells]])
    head = [
        "model",
        "attention",
        "float32: rows to eager",
        "bfloat16: rows to eager",
        "rows to float64",
        "eager to float64",
    ]
    text = f"Largest difference of any share of attention. {machine()}\n\n{table(head, rows)}"
    publish("rows", text, write=options.write)


if __name__ == "__main__":
    main()
