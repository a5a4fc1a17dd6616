"""Shapley values: each place's fair share of what the picture adds to the answer."""

from __future__ import annotations

import torch
from skimage.segmentation import slic
from torch import Tensor

from groundviz.methods.method import METHODS, each_token_and, laid_out, positive
from groundviz.runtime import Live
from groundviz.runtime.baselines import baseline
from groundviz.runtime.regions import Canvas, Regions, canvases, mixed, named, segments, shown, windows
from groundviz.types import Answer, Heatmaps, Prompt, Target


@METHODS.register("shapley")
def shapley(
    live: Live,
    prompt: Prompt,
    answer: Answer,
    targets: tuple[Target, ...],
    *,
    regions: str = "grid",
    cells: int = 49,
    samples: int = 10,
    fill: str = "blur",
) -> list[Heatmaps]:
    """Each place's share of what the picture adds to the answer's log-probability, fairly divided.

    Formula: the mean, over random orders of all places, of what y gains when the place is shown
    after those before it; y the log-probability of a token or a contrast. The places of a map add
    up to y(x) - y(filled picture), whatever the number of samples. Every second order is the
    reverse of the one before it, which cancels much of the noise.
    Unit: nats. Cost: cells * samples + 1 forwards, 491 at the defaults, in batches; as many again for
    each distinct rival. No backward.
    Targets: every token, and contrasts, in the same passes.
    Source: Strumbelj & Kononenko, JMLR 2010; reversed orders: Mitchell et al., JMLR 2022.
    Known failure: no map is sharper than its cells, ten orders leave noise, and half-filled pictures are
    like nothing the model has seen. On the demo model's nodules the highest cell is on the nodule in
    .74 of 23 fresh phantoms.

    Options: `regions` is "grid" or "superpixels" (SLIC zero); `cells` is about how many of them;
    `samples` is the number of orders; `fill` is "blur", "mean" (local) or "black".
    """
    positive("shapley", {"cells": cells, "samples": samples})
    wanted = each_token_and(answer, targets)
    maps: list[Heatmaps] = []
    for canvas in canvases(live):
        pieces = _pieces(live, canvas, cells, regions)
        shares, orders = _shares(live, canvas, pieces, wanted, samples, baseline(live, fill))
        grid, values = pieces.drawn(shares)
        params = {"orders_done": orders}
        maps += laid_out(values, [grid], wanted, unit="nats", signed=True, params=params)
    return maps


def _shares(
    live: Live, canvas: Canvas, pieces: Regions, wanted: tuple[Target, ...], samples: int, other: Tensor
) -> tuple[Tensor, int]:
    """What each piece gains on average, (piece, target), and over how many orders."""
    site = live.site("pixels")
    pixels = live.read(site)
    ranks = _ranks(live.stream(), samples, pieces.count).to(pixels.device)

    def scores(part: slice) -> Tensor:
        """Item i shows the first places of one order, one more for each item."""
        items = torch.arange(part.start, part.stop, device=pixels.device)
        missing = ranks[items // pieces.count] > (items % pieces.count)[:, None]
        hidden = canvas.onto(pieces.spread(missing.float()))
        return live.scores(wanted, site, mixed(pixels, other, hidden))

    with torch.no_grad():
        everything = torch.ones(1, *canvas.size, device=pixels.device)
        nothing = live.scores(wanted, site, mixed(pixels, other, canvas.onto(everything)))
        found = live.in_batches(samples * pieces.count, scores, label="shapley")
    orders = len(found) // pieces.count
    if not orders:
        raise KeyboardInterrupt
    steps = found[: orders * pieces.count].reshape(orders, pieces.count, -1)
    gains = torch.cat([nothing.expand(orders, 1, -1), steps], dim=1).diff(dim=1)
    return gains.gather(1, ranks[:orders, :, None].expand_as(gains)).mean(dim=0), orders


def _pieces(live: Live, canvas: Canvas, cells: int, regions: str) -> Regions:
    rows, cols = canvas.size
    return named(
        regions,
        {
            "grid": lambda: windows(live, canvas, stride=(rows * cols / cells) ** 0.5),
            "superpixels": lambda: segments(
                canvas, slic(shown(live, canvas), n_segments=cells, slic_zero=True, start_label=0)
            ),
        },
    )


def _ranks(stream: torch.Generator, samples: int, count: int) -> Tensor:
    """The place that each piece takes in each order, int (sample, piece)."""
    drawn = [torch.randperm(count, generator=stream) for _ in range((samples + 1) // 2)]
    return torch.stack([ranks for one in drawn for ranks in (one, count - 1 - one)][:samples])
