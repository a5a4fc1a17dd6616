"""Does the answer need the image? Its probability when twins of the image say nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from groundviz.evidence.toolkit.check import CHECKS, Case, finite, outcome
from groundviz.methods.toolkit.baselines import baseline
from groundviz.record.evidence import NEEDS_IMAGE, NO, YES, kept
from groundviz.record.types import Check, Samples, SourceImage
from groundviz.runtime import Live
from groundviz.runtime.inputs.sites import Change, Site

# Of the images that say nothing, how each is called in `baselines`.
TWINS: Mapping[str, str] = {"blurred": "blur", "local mean": "mean"}
POOLED = "mean-pooled image tokens"
# Nats: an answer that loses less keeps more than half of its probability.
HALF = math.log(2)


@CHECKS.register(
    NEEDS_IMAGE,
    asks="Does the answer lose its probability when the image says nothing?",
    unit="nats",
    cost="3 forwards in one batch",
    source=(
        "image reliance, arXiv 2606.17710 and 2603.03437; that half of the probability must be lost (ln 2) "
        "is a convention"
    ),
    known_failure=(
        "An answer that something is absent survives, for a blank image shows nothing either; so does one "
        "about what a blurred image still shows, such as its kind or its colour. How much is lost depends on "
        "the twin, hence the smallest loss counts. A long answer loses more than a short one, for its "
        "tokens' losses add up."
    ),
    when="always",
)
def needs_image(case: Case) -> list[Check]:
    """f(image) - f(twin) for three twins, f the log-probability of the whole answer; the smallest counts."""
    (answer,) = case.live.targets(case.answer, None, None)
    whole = float(case.answer.logprobs[list(answer.tokens)].sum(dtype="float64"))
    scores = _scores(case.live, answer)
    drops = {twin: whole - score for twin, score in scores.items()}
    twin = min(drops, key=lambda name: drops[name])
    needs = drops[twin] >= HALF
    says = (
        f"Without the image ({twin}) the answer keeps {kept(drops[twin])} of its probability; "
        f"it needs the image where it keeps at most half with each of {len(drops)} twins."
    )
    if all(_is_blank(image) for image in case.live.source_images):
        says = f"The image is of one colour and shows nothing, as its twins do. {says}"
    verdict = YES if needs else NO
    samples = Samples(done=len(drops), asked=len(_twins(case.live)))
    return [
        outcome(NEEDS_IMAGE, verdict, says, value=drops[twin], reference=HALF, numbers=drops, samples=samples)
    ]


def _is_blank(image: SourceImage) -> bool:
    return not np.ptp(image.pixels, axis=(0, 1)).any()


def _twins(live: Live) -> tuple[str, ...]:
    """Names of the twins that the model allows."""
    return (*TWINS, POOLED) if _pooling_sites(live) else tuple(TWINS)


def _scores(live: Live, answer: object) -> dict[str, float]:
    """The answer's log-probability by twin, from one batch, smaller ones where memory runs out.

    There are fewer after an interruption between such.
    """
    pixels = live.site("pixels")
    rows = [baseline(live, kind) for kind in TWINS.values()]
    names, sites = _twins(live), _pooling_sites(live)
    if sites:
        rows.append(live.read(pixels))
    values = torch.cat(rows)
    pooled = torch.tensor([name == POOLED for name in names], device=values.device)

    def run(part: slice) -> Tensor:
        behind = dict.fromkeys(sites, _pooling(pooled[part]))
        return live.scores([answer], pixels, values[part], behind=behind)  # type: ignore[list-item]

    with torch.no_grad():
        found = live.in_batches(len(names), run, label="the image's twins")
    return {name: float(score) for name, score in zip(names, finite(found), strict=False)}


def _pooling(pooled: Tensor) -> Change:
    """Replace every cell of the chosen rows of a batch by the mean of the row's cells."""

    def change(cells: Tensor) -> Tensor:
        mean = cells.float().mean(dim=1, keepdim=True).to(cells.dtype)
        return torch.where(pooled[:, None, None].to(cells.device), mean, cells)

    return change


def _pooling_sites(live: Live) -> list[Site]:
    """Where cells have to be pooled so that nothing of the image's layout gets past; none if unknown."""
    gates = live.vlm.parts().gates
    sites = [site for site in live.sites if site.stage in gates]
    if {site.stage for site in sites} != set(gates):
        return []
    return sites
