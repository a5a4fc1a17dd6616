"""Token ablation: what the answer loses when image tokens are withdrawn behind the projector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from groundviz.errors import UnknownName
from groundviz.methods.toolkit.method import METHODS, each_token_and, positive
from groundviz.methods.toolkit.sampling import rounding, samples_of, stated
from groundviz.record.geometry import held_cells
from groundviz.record.types import Answer, Grid, Heatmaps, Ints, Prompt, Target
from groundviz.runtime import Live


@METHODS.register(
    "token_ablation",
    shows="What the answer loses when a block of image tokens says nothing of its own.",
    unit="nats",
    cost=(
        "one forward of the language model per block and one more: 50 for 14 by 14 tokens at the defaults, "
        "in batches; as many again for each distinct foil. No backward"
    ),
    source="Zeiler & Fergus, ECCV 2014, carried over from pixels to the tokens of the image",
    known_failure=(
        "The tower has already told a token's neighbours what it saw, so that a lesion outlives the loss of "
        "its block. On the demo model's nodules the highest block is on the nodule in .58 of 20 fresh "
        "phantoms. Losses are small, and in a model in 16 bits may drown in its rounding, though scores are "
        "computed in 32: `rounding` in `params` says how far they move, in nats, when only the last digit "
        "of the tokens does."
    ),
)
def token_ablation(
    live: Live,
    prompt: Prompt,
    answer: Answer,
    targets: tuple[Target, ...],
    *,
    block: int = 2,
    fill: str = "mean",
) -> list[Heatmaps]:
    """Replace one block of image tokens after the other, and score the answer each time.

    Formula: y(tokens) - y(tokens with the block's replaced by the mean image token), y the log-probability
    of a token or a contrast; each cell holds the drop of its block.
    Targets: every token, and contrasts, in the same passes.

    Options: `block` is the side of a block in tokens; `fill` is "mean" or "zero".
    """
    positive("token_ablation", {"block": block})
    site, wanted = live.site("projector"), each_token_and(answer, targets)
    tokens = live.read(site)
    blank = _blank(tokens, fill)
    blocks = _blocks(live.grids(site), block)
    count, at = int(blocks.max()) + 1, torch.from_numpy(blocks).to(tokens.device)

    def scores(part: slice) -> Tensor:
        gone = at == torch.arange(part.start, part.stop, device=at.device)[:, None]
        return live.scores(wanted, site, torch.where(gone[..., None], blank, tokens))

    with torch.no_grad():
        whole = live.scores(wanted)
        found = live.in_batches(count, scores, label="token ablation")
    drops = np.full((count, len(wanted)), np.nan, dtype=np.float32)
    drops[: len(found)] = (whole - found).cpu().numpy()
    grids = _known(live.grids(site), blocks < len(found))
    params = {"blocks_done": len(found), **rounding(live, targets, site)}
    samples = samples_of(live, len(found), count)
    return stated(drops[blocks].T, grids, wanted, samples=samples, signed=True, params=params)


def _blank(tokens: Tensor, fill: str) -> Tensor:
    """What a token that says nothing looks like, (1, 1, channel)."""
    if fill not in ("mean", "zero"):
        raise UnknownName(f"There is no fill called {fill!r}: there are mean, zero. Name one of these.")
    mean = tokens.mean(dim=1, keepdim=True)
    return mean if fill == "mean" else torch.zeros_like(mean)


def _blocks(grids: Sequence[Grid], side: int) -> Ints:
    """The number of the block that each image token belongs to, in the order of the grids."""
    found: list[Ints] = []
    for grid in grids:
        row, col = np.divmod(np.flatnonzero(held_cells(grid)), grid.cols)
        own = row // side * grid.cols + col // side
        start = found[-1].max() + 1 if found else 0
        found.append(start + np.unique(own, return_inverse=True)[1])
    return np.concatenate(found).astype(np.int64)


def _known(grids: Sequence[Grid], done: np.ndarray) -> list[Grid]:
    """The grids with the tokens that were not reached before an interruption out of view."""
    found, start = [], 0
    for grid in grids:
        held = held_cells(grid)
        valid = np.zeros(held.size, dtype=bool)
        valid[held] = done[start : start + held.sum()]
        found.append(replace(grid, valid=grid.valid & valid.reshape(grid.valid.shape)))
        start += held.sum()
    return found
