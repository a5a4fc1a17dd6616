"""Does the map depend on what the model has learnt? Its layers are re-initialised, in a copy of the model."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import torch
from torch import nn

from groundviz.errors import UnsupportedMethod
from groundviz.evidence.toolkit.check import CHECKS, MEASURED, Case, outcome
from groundviz.evidence.toolkit.remeasuring import again, mean, reading
from groundviz.evidence.toolkit.similarity import rank_correlation
from groundviz.models.adapter.vlm import VLM
from groundviz.record.conversation import asked_again
from groundviz.record.evidence import NOT_MEASURED
from groundviz.record.types import Check, Heatmap
from groundviz.runtime import borrow

# Shares of the decoder's layers, the last ones first.
DEPTHS = (0.25, 0.5, 1.0)


@CHECKS.register(
    "weights",
    asks="Is the map another one when the decoder's layers are re-initialised, the last ones first?",
    unit="rank correlation",
    cost="a copy of the model in memory; one forward, and the method's own cost, for each of 3 depths",
    source="model parameter randomisation, arXiv 1810.03292, and its limits, arXiv 2211.12486",
    known_failure=(
        "A map without structure changes most and scores best, so never rank methods by it. It is of a model "
        "and a method rather than of an image."
    ),
    when="cohort",
)
def weights(case: Case) -> Iterator[Check]:
    """Rank correlation with the map of a model whose weights were shuffled, layer by layer, from the top.

    The value is that with all decoder layers shuffled; the reference is how alike the maps of different
    images are.
    """
    if case.replica is None:
        raise UnsupportedMethod("The model could not be copied, and is not changed itself.")
    found: dict[str, dict[str, float]] = {}
    shuffled = 0
    layers = case.replica.parts().decoder_layers
    for depth in DEPTHS:
        count = max(1, round(depth * len(layers)))
        _shuffle(layers[len(layers) - count : len(layers) - shuffled], seed=shuffled)
        shuffled = count
        case.live.progress.at("measuring on re-initialised layers", shuffled, len(layers))
        for method, alike in _alike(case, case.replica):
            found.setdefault(method, {})[f"last {count} of {len(layers)} layers"] = alike
    for method, heatmaps in case.maps():
        yield _outcome(case, method, heatmaps, found.get(method, {}))


def replica_of(vlm: VLM) -> VLM | None:
    """The model with a copy of its weights, which may be written to; None where it cannot be copied."""
    try:
        return replace(vlm, model=copy.deepcopy(vlm.model))
    except (RuntimeError, TypeError, MemoryError, NotImplementedError):
        return None


def randomised(vlm: VLM, *, seed: int = 0) -> VLM | None:
    """A copy of the model that has learnt nothing: all its decoder layers re-initialised.

    Cost: the model's weights once more in memory. None where it cannot be copied.
    """
    replica = replica_of(vlm)
    if replica is not None:
        _shuffle(replica.parts().decoder_layers, seed=seed)
    return replica


def _shuffle(layers: Sequence[nn.Module], *, seed: int) -> None:
    """Put the numbers of each weight of a copied model in another order: same spread, nothing learnt."""
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in layers:
            for weight in layer.parameters():
                order = torch.randperm(weight.numel(), generator=stream).to(weight.device)
                weight.copy_(weight.reshape(-1)[order].reshape(weight.shape))


def _alike(case: Case, replica: VLM) -> Iterator[tuple[str, float]]:
    """By method, how alike the map and that of the replica are."""
    with borrow(replica) as live:
        live.encode(case.live.source_images, asked_again(case.prompt))
        read = reading(live, case.answer)
        for method, heatmaps in case.maps():
            alike = rank_correlation(heatmaps, again(read, case.target, heatmaps[0]))
            if alike is not None:
                yield method, alike


def _outcome(case: Case, method: str, heatmaps: Sequence[Heatmap], numbers: dict[str, float]) -> Check:
    if not numbers:
        return outcome("weights", NOT_MEASURED, "The maps have no ranks to compare.", method=method)
    value = list(numbers.values())[-1]
    others = case.cohort.maps(case.live, case.answer, case.target, heatmaps[0])
    usual = mean(rank_correlation(one, other) for one, other in combinations([list(heatmaps), *others], 2))
    says = (
        f"With all decoder layers re-initialised the cells' ranks correlate by {value:.2f} with the map's; "
        "the reference is the correlation between maps of different images."
    )
    return outcome("weights", MEASURED, says, value=value, reference=usual, numbers=numbers, method=method)
