"""How precise sampled methods are on the demo model: `python benchmarks/precision.py [--write]`.

Each method explains the same answers under several seeds. "Seeds agree" is the mean correlation of their
maps; "stated" the largest standard error of a cell as a share of the map's range, as the maps say it;
"found" the deviation between seeds over the stated error, root mean square: 1 where the statement is right.
The row "random orders" is what `shapley` did before: the same number of passes, spent on orders and their
reverses. Its error is that of its pairs of orders.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

import groundviz
from benchmarks.report import machine, publish, table
from groundviz import images
from groundviz.demo.phantoms import phantom
from groundviz.methods.toolkit.baselines import baseline
from groundviz.methods.toolkit.regions import canvases, mixed, windows
from groundviz.models import VLM
from groundviz.runtime import borrow

QUESTION = "Where is the nodule?"
NEVER = 1e-9
ORDERS = "shapley, random orders"
# What is compared: the defaults, and as many passes as were made before errors were stated.
ROWS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "rise, 480 masks": ("rise", {"masks": 480, "tolerance": NEVER}),
    "rise": ("rise", {}),
    "shapley, 10 passes to a place": ("shapley", {"samples": 10, "tolerance": NEVER}),
    "shapley": ("shapley", {}),
    "smooth_grad": ("smooth_grad", {}),
}

Map = tuple[np.ndarray, np.ndarray, int]


def explained(vlm: VLM, pixels: Any, row: str, seed: int) -> Map:
    """Values, standard errors and passes of one map of the whole answer."""
    method, options = ROWS[row]
    told = groundviz.explain(
        vlm, pixels, QUESTION, methods={method: options}, seed=seed, certify=False
    ).heatmap()
    error = np.zeros_like(told.values) if told.standard_error is None else told.standard_error
    return told.values, error, told.samples.done if told.samples else 0


def by_orders(vlm: VLM, pixels: Any, seed: int, *, cells: int = 49, orders: int = 10) -> Map:
    """Shapley values as the mean gain over random orders and their reverses, as they were before."""
    with borrow(vlm, seed=seed) as live, torch.no_grad():
        answer = live.answer(live.encode(images.load(pixels), QUESTION))
        targets = live.targets(answer, None, None)
        (canvas,), site, other = canvases(live), live.site("pixels"), baseline(live, "blur")
        image = live.read(site)
        rows, cols = canvas.size
        pieces = windows(live, canvas, stride=(rows * cols / cells) ** 0.5)
        count, stream = pieces.count, live.stream()
        drawn = [torch.randperm(count, generator=stream) for _ in range(orders // 2)]
        ranks = torch.stack([one for ranks in drawn for one in (ranks, count - 1 - ranks)])

        def scores(part: slice) -> torch.Tensor:
            items = torch.arange(part.start, part.stop)
            missing = ranks[items // count] > (items % count)[:, None]
            hidden = canvas.onto(pieces.spread(missing.float()))
            return live.scores(targets, site, mixed(image, other, hidden))

        nothing = live.scores(targets, site, other)
        steps = live.in_batches(orders * count, scores, label="orders").reshape(orders, count, -1)
        gains = torch.cat([nothing.expand(orders, 1, -1), steps], dim=1).diff(dim=1)
        gains = gains.gather(1, ranks[:, :, None].expand_as(gains))[..., 0]
        pairs = (gains[0::2] + gains[1::2]) / 2
        error = pairs.std(dim=0) / len(pairs) ** 0.5
    return pairs.mean(dim=0).numpy(), error.numpy(), orders * count + 1


def summary(maps: Sequence[Sequence[Map]]) -> list[str]:
    """One row of the table: of some images, the maps of several seeds each."""
    agree, stated, found = [], [], []
    for seeds in maps:
        values = np.stack([one[0].ravel() for one in seeds])
        errors = np.stack([one[1].ravel() for one in seeds])
        known = np.isfinite(values).all(axis=0)
        values, errors = values[:, known], errors[:, known]
        agree.append(np.corrcoef(values)[np.triu_indices(len(seeds), 1)].mean())
        stated.append((errors.max(axis=1) / np.ptp(values, axis=1)).mean())
        found.append(np.sqrt(values.var(axis=0, ddof=1).mean() / (errors**2).mean()))
    passes = np.mean([one[2] for seeds in maps for one in seeds])
    return [f"{np.mean(agree):.2f}", f"{np.mean(stated):.3f}", f"{np.mean(found):.2f}", f"{passes:.0f}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, one row per method and number of passes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phantoms", type=int, nargs="+", default=[3, 11])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, ORDERS], default=[*ROWS, ORDERS])
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--toy", action="store_true", help="as little as there can be, to try the code")
    chosen = parser.parse_args(arguments)
    if chosen.toy:
        chosen.phantoms, chosen.seeds, chosen.rows = [3], 2, ["smooth_grad"]
    vlm, rows = groundviz.load("demo"), []
    phantoms = [phantom(one, findings=["nodule"]).pixels for one in chosen.phantoms]
    for row in chosen.rows:
        made = by_orders if row == ORDERS else lambda *given, row=row: explained(*given[:2], row, given[2])
        maps = [[made(vlm, image, seed) for seed in range(chosen.seeds)] for image in phantoms]
        rows.append([row, *summary(maps)])
        sys.stderr.write(f"{rows[-1]}\n")
    head = ["method", "seeds agree", "stated error, of the range", "found / stated", "passes"]
    publish("precision", f"{machine()}\n\n{table(head, rows)}", write=chosen.write)


if __name__ == "__main__":
    main()
