"""Stage audit: what the answer depends on, layer after layer, to see where the location is lost."""

from __future__ import annotations

from itertools import groupby

import torch
from torch import Tensor

from groundviz.methods.toolkit.method import METHODS, laid_out
from groundviz.record.geometry import held_cells
from groundviz.record.types import Answer, Grid, Heatmaps, Prompt, Target
from groundviz.runtime import Live


@METHODS.register(
    "stage_audit",
    shows="Where the answer's evidence lies at each layer from the vision tower to the language model.",
    unit="share of the layer's attribution",
    cost="one forward pass, and one backward pass per target",
    source='input times gradient (Shrikumar et al., "Not Just a Black Box", 2016) at every layer',
    known_failure=(
        "Attention moves information from cell to cell. Deep in the model a cell may tell of another place "
        "than its own, so a curve that falls may mean that the location was passed on, not that it was "
        "lost."
    ),
    gradients=True,
    shares=True,
    either_way=True,
)
def stage_audit(live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...]) -> list[Heatmaps]:
    """Take values times gradients at every layer, each layer's as shares of its sum.

    Formula: at each layer, a_j / sum over cells of a, with a_j = sum over channels of |x * dy/dx| at cell j,
    y the target's scalar and x the layer's output. Channels are made absolute before they are added: what a
    layer says is the small difference of large terms, and their sum is mostly noise. Each layer's map adds
    up to 1, so that layers compare; aggregated as the mean over layers. Layer k of the map is the k-th of
    `sites` in `params`; where the next layers have other cells, as behind pooling, they are maps of their
    own. `groundviz.record.localization.localization_curve` tells how much of each layer's map lies inside a
    mask. The last language layer is left out: nothing reads its image cells, so its gradient there is zero
    by construction.
    Targets: any, and contrasts, for it or against it.
    """
    # Nothing reads the image behind the last language layer.
    read = [site for site in live.sites[1:] if site.stage != "language" or site != live.sites[-1]]
    if not read:
        # There is none, and that raises the reason.
        live.site("projector")
    shares = [_shares(values, gradients) for values, gradients in live.gradients(targets, *read)]
    layers = zip(read, shares, strict=True)
    maps: list[Heatmaps] = []
    for _, alike in groupby(layers, key=lambda layer: _cells(live.grids(layer[0]))):
        sites, found = zip(*alike, strict=True)
        maps += laid_out(
            torch.stack(found, dim=1)[:, :, None].cpu(),
            live.grids(sites[-1]),
            targets,
            reduce=("mean", "mean", "mean"),
            layers=range(len(sites)),
            params={"sites": tuple(str(site) for site in sites)},
        )
    return maps


def _cells(grids: tuple[Grid, ...]) -> list[tuple[bytes, bytes]]:
    """What grids of the same cells have in common."""
    return [(grid.to_source.tobytes(), held_cells(grid).tobytes()) for grid in grids]


def _shares(values: Tensor, gradients: Tensor) -> Tensor:
    """Each cell's share of its layer's attribution, (target, cell); zero where there is none at all."""
    parts = (values.float() * gradients).abs().sum(dim=-1)
    return parts / parts.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
