"""Integrated gradients: what each cell adds to the answer on the way from a blurred image to this one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from groundviz.methods.toolkit.baselines import baseline as image_without
from groundviz.methods.toolkit.gradients import cell_gradients, gradients_of, usual_site
from groundviz.methods.toolkit.method import METHODS, positive
from groundviz.methods.toolkit.quadrature import scattered
from groundviz.methods.toolkit.sampling import samples_of, stated
from groundviz.record.types import Answer, Heatmaps, Prompt, Samples, Target
from groundviz.runtime import Live
from groundviz.runtime.inputs.sites import Site

CLOSE_ENOUGH = 0.05
MOST_STEPS = 128
# Nats: what float32 sums of log-probabilities cannot tell from none.
NO_CHANGE = 1e-6


@METHODS.register(
    "integrated_gradients",
    shows="What each cell adds to the answer's log-probability, compared with an image without details.",
    unit="nats",
    cost="`steps` forwards and, per target, backwards for each doubling; three forwards, one backward more",
    source='Sundararajan et al., "Axiomatic Attribution for Deep Networks", ICML 2017',
    known_failure=(
        'Maps depend on the baseline: what x and b share gets nothing. At "pixels" they are grainy and the '
        "gap is slow to close: on the demo model's nodules the highest pixel lies in the nodule 4 times in "
        "10, the highest cell of the projector every time."
    ),
    gradients=True,
)
def integrated_gradients(
    live: Live,
    prompt: Prompt,
    answer: Answer,
    targets: tuple[Target, ...],
    *,
    at: str | None = None,
    baseline: str = "blur",
    steps: int = 16,
) -> list[Heatmaps]:
    """Add up gradients on the way from a baseline image to this one.

    Formula: sum over channels of (x - b) * integral from 0 to 1 of dy/dx at b + a (x - b) da, with y the
    target's scalar, x the image at the site `at` and b the `baseline` image there; by Gauss-Legendre
    quadrature with `steps` nodes. The site is the projector, or the pixels where it has no cells;
    the baseline is "blur", "mean" (of a wide neighbourhood) or "black". The cells add up to
    y(x) - y(b). In `params` are, for each target, this `change`, the `gap` by which they miss it and the
    `relative_gap`. A target's steps are doubled, up to 128, until it is below 5 %: to `steps_needed`.
    Targets: any, and contrasts.
    """
    positive("integrated_gradients", {"steps": steps})
    site = live.site(at or usual_site(live))
    cell_gradients(live, targets, site)
    ends = torch.cat([*live.read_each(site, pixels=image_without(live, baseline)), live.read(site)]).detach()
    with torch.no_grad():
        before, after = live.scores(targets, site, ends)
    change = after - before
    parts, needed, samples = _converged(live, targets, site, ends, change, steps)
    gap = parts.sum(dim=-1) - change
    measured = {"change": change, "gap": gap, "relative_gap": _relative(gap, change)}
    params: dict[str, Any] = {name: tuple(values.tolist()) for name, values in measured.items()}
    params |= {"at": str(site), "steps_needed": needed}
    return stated(parts.cpu(), live.grids(site), targets, samples=samples, signed=True, params=params)


def _converged(
    live: Live, targets: Sequence[Target], site: Site, ends: Tensor, change: Tensor, steps: int
) -> tuple[Tensor, tuple[int, ...], Samples]:
    """What each cell adds, float32 (target, cell), the steps that each target took, and those in all."""
    found, done = _integral(live, targets, site, ends, steps)
    samples = samples_of(live, done, steps)
    needed = [done] * len(targets)
    while steps * 2 <= MOST_STEPS and not live.interrupted:
        far = _relative(found.sum(dim=-1) - change, change) >= CLOSE_ENOUGH
        if not far.any():
            break
        steps *= 2
        which = far.nonzero()[:, 0].tolist()
        try:
            finer, done = _integral(live, [targets[index] for index in which], site, ends, steps)
        except KeyboardInterrupt:
            live.interrupted = True
        if live.interrupted:
            # The whole coarser integral beats a part of the finer one.
            return found, tuple(needed), samples_of(live, steps // 2, steps)
        found[which], samples = finer, samples_of(live, done, steps)
        needed = [steps if index in which else before for index, before in enumerate(needed)]
    return found, tuple(needed), samples


def _relative(gap: Tensor, change: Tensor) -> Tensor:
    return gap.abs() / change.abs().clamp(min=NO_CHANGE)


def _integral(
    live: Live, targets: Sequence[Target], site: Site, ends: Tensor, steps: int
) -> tuple[Tensor, int]:
    """What each cell adds on the way from one end to the other, float32 (target, cell), by how many nodes."""
    start, way = ends[:1].float(), (ends[1:] - ends[:1]).float()
    nodes, weights = scattered(steps)

    def run(part: slice) -> Tensor:
        along = nodes[part].view(-1, *[1] * (way.dim() - 1)).to(way)
        gradients = gradients_of(live, targets, site, (start + along * way).to(ends))
        return (gradients * way[:, None]).sum(dim=-1)

    found = live.in_batches(steps, run, label="integrated_gradients")
    done = weights[: len(found)].to(found)
    return torch.einsum("s,stc->tc", done / done.sum(), found), len(found)
