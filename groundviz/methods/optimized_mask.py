"""Optimised masks: the places that suffice for the answer, and those it cannot do without."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from groundviz.methods.toolkit.baselines import baseline, blurred
from groundviz.methods.toolkit.masks import DOUBT, loss_of, masks_at
from groundviz.methods.toolkit.method import METHODS, positive
from groundviz.methods.toolkit.regions import mixed
from groundviz.methods.toolkit.sampling import samples_of, stated
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live
from groundviz.runtime.inputs.sites import Site

# Sigmas as shares of the shorter side. A mask must do for each of them, so that it cannot live on
# what one width of blur happens to look like.
BLURS = (0.05, 0.1, 0.2)
START, PACE, MOMENTUM = 2.0, 0.7, 0.5


@METHODS.register(
    "optimized_mask",
    shows="The smallest smooth places that suffice for the answer and that it cannot do without.",
    unit="share of the search",
    cost="2 * `steps` forwards and backwards for each target, 40 at the defaults; twice that for a contrast",
    source=(
        'Fong & Vedaldi, ICCV 2017; Fong, Patrick & Vedaldi, "Extremal Perturbations", ICCV 2019; Khorram, '
        'Lawson & Li, "iGOS++", CHIL 2021. They mask pixels'
    ),
    known_failure=(
        "Half-blurred places can look like findings: on the demo model's nodules 17 of 20 masks are highest "
        "in the nodule, and 26 of 28 at the pixels, by a search of 30 steps. "
        "What the tower has spread to other cells is taken for theirs."
    ),
    gradients=True,
    pass_per_target=True,
)
def optimized_mask(
    live: Live,
    prompt: Prompt,
    answer: Answer,
    targets: tuple[Target, ...],
    *,
    at: str = "projector",
    steps: int = 20,
    area: float = 1.0,
    smooth: float = 1.5,
    fill: str = "blur",
) -> list[Heatmaps]:
    """Search for two masks by gradient steps, and average them over the search.

    Formula: one mask begins with the whole image and keeps what suffices: -log p(answer | kept) + area *
    mean(mask) + smooth * mean squared step between cells. The other begins with nothing and takes away what
    is needed: -log(1 - p(answer | rest)) and the same prices. p is the probability per token, or for a
    contrast that of the target against its foil; at `at`, image cells give way to those of a blurred image.
    Each step moves cells, blocks of 2 by 2 and of 4 by 4, scaled to its largest entry. A cell's value is the
    mean of both masks over all steps: what is taken early and given up late is near one.
    Targets: those asked for, and contrasts; not token by token.

    Options: `fill` is "blur" (three widths in turn), "mean" (local) or "black".
    """
    positive("optimized_mask", {"steps": steps})
    site = live.site(at)
    cells = masks_at(live, site)
    shown, fills = live.read(site), _fills(live, site, fill)
    begin = torch.tensor([START, -START], device=shown.device)[:, None].expand(2, cells.count)
    logits = torch.stack([begin] * len(targets))
    pace = torch.zeros_like(logits)

    def step(part: slice) -> Tensor:
        """One step of every mask: (1, target, kept and taken, cell)."""
        other = fills[part.start % len(fills)]
        for number, target in enumerate(targets):
            for which in (0, 1):
                leaf = torch.zeros(cells.count, device=shown.device, requires_grad=True)
                mask = (leaf + logits[number, which]).sigmoid()
                # The first mask says what is kept of the image, the second what is taken from it.
                ends = [(other, shown), (shown, other)][which]
                given = mixed(*ends, cells.spread(mask))
                score = live.scores([target], site, given)[0, 0]
                prices = area * mask.mean() + smooth * cells.roughness(mask)
                loss = loss_of(score, target, kept=which == 0) + prices
                gradient = cells.at_every_scale(torch.autograd.grad(loss, leaf)[0])
                scaled = gradient / gradient.abs().max().clamp(min=DOUBT)
                pace[number, which] = MOMENTUM * pace[number, which] + scaled
                logits[number, which] -= PACE * pace[number, which]
        return logits.sigmoid()[None]

    with torch.enable_grad():
        found = live.in_batches(steps, step, label="optimized_mask", most=1)
    return stated(
        found.mean(dim=(0, 2)).cpu().numpy()[:, cells.held],
        cells.grids,
        targets,
        samples=samples_of(live, len(found), steps),
        reduce=("mean", "mean", "mean"),
        params={"steps_done": len(found)},
    )


def _fills(live: Live, site: Site, kind: str) -> list[Tensor]:
    """What stands at a site when there is nothing to be seen, once or at several widths of blur."""
    if kind == "blur":
        images = [live.repainted(partial(blurred, share=share)) for share in BLURS]
    else:
        images = [baseline(live, kind)]
    return [live.read_each(site, pixels=image)[0] for image in images]
