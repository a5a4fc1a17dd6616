"""Does the answer need the place that a map marks? It is covered, and so is the same shape elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from groundviz.evidence.toolkit import covering
from groundviz.evidence.toolkit.check import CHECKS, Case, finite, of_each_map, outcome, scored
from groundviz.evidence.toolkit.permutation import LEVEL, is_rare, p_value, partial
from groundviz.methods.toolkit.baselines import baseline
from groundviz.methods.toolkit.regions import mixed
from groundviz.record.evidence import GIVEN, MARKED_PLACE
from groundviz.record.types import Check, Doubles, Heatmap, Samples

FILLS = ("blur", "mean", "flat")
# Nats: an answer that keeps nine tenths of its probability is not weakened.
NEGLIGIBLE = 0.1
_VERDICTS = ("not shown", "depends", "shown")


@CHECKS.register(
    MARKED_PLACE,
    asks="Does covering the place that the map marks weaken the answer more than covering others?",
    unit="p",
    cost="3 (copies + 1) forwards for each of two fills and each method: 120 at 19 copies, in batches",
    source="deletion, arXiv 1806.07421, against the map itself moved elsewhere: a permutation test",
    known_failure=(
        "Fails to show right maps, too: where the answer survives on the rest of the finding or on other "
        "signs, and where the map is wide. Covered pixels are nothing that the model has seen before. It "
        "says nothing about single words where several were tested."
    ),
    when="request",
)
def marked_place(case: Case) -> Iterator[Check]:
    """The mean drop over three areas of the map's own size, against those of moved copies of it.

    Formula: p = (1 + copies with at least the drop) / (copies + 1) for each of two fills, neither the
    method's own; shown where both are at most .05, and the drop is not negligible.
    """
    return of_each_map(case, MARKED_PLACE, _of_map, given=True)


def _of_map(case: Case, method: str, heatmaps: Sequence[Heatmap]) -> Check:
    parts = case.lattices(method, heatmaps)
    sizes = covering.marked(parts)
    places = covering.copies_of(parts, sizes, case.copies, case.random())
    params = heatmaps[0].params
    fills = [fill for fill in FILLS if fill not in (params.get("fill"), params.get("baseline"))][:2]
    drops = _drops(case, method, parts, places, fills)
    # Copies that were covered with both fills in all sizes before an interruption; the first is no copy.
    done = drops.shape[0] - 1
    samples = Samples(done=done, asked=case.copies)
    numbers = _numbers(drops, fills)
    numbers["share of the image"] = float(np.mean([_share(places) for places in sizes]))
    p = max(numbers[f"p, {fill}"] for fill in fills)
    verdict = _VERDICTS[sum(_is_shown(numbers, fill) for fill in fills)]
    says = _says(case, numbers, fills, samples)
    return outcome(
        MARKED_PLACE, verdict, says, value=p, reference=LEVEL, numbers=numbers, method=method, samples=samples
    )


def _drops(
    case: Case,
    method: str,
    parts: Sequence[covering.Lattice],
    places: Sequence[covering.Places],
    fills: Sequence[str],
) -> Doubles:
    """Mean drop over the sizes of each place, (place, fill); only places that were covered in every way."""
    live, target = case.live, scored(case)
    pixels = live.site("pixels")
    image = live.read(pixels)
    filled = torch.cat([baseline(live, fill) for fill in fills])
    covered = covering.coverer(parts, places)
    sizes, ways = len(covering.SHARES), len(fills)

    # Place by place, each size with both fills, so that an interruption leaves whole copies.
    def run(part: slice) -> Tensor:
        items = np.arange(part.start, part.stop)
        share = covered(slice(items[0] // ways, items[-1] // ways + 1))
        share = share[torch.from_numpy(items // ways - items[0] // ways).to(share.device)]
        other = filled[torch.from_numpy(items % ways).to(filled.device)]
        return live.scores([target], pixels, mixed(image, other, share))

    with torch.no_grad():
        whole = finite(live.scores([target]))
        label = f"covering what {method.removeprefix(GIVEN).replace('_', ' ')} marks"
        found = live.in_batches(len(places) * ways, run, label=label)
    drops = whole - finite(found)
    each = sizes * ways
    complete = len(drops) // each
    if complete < 1:
        raise KeyboardInterrupt
    return np.asarray(drops[: complete * each].reshape(complete, sizes, ways).mean(axis=1))


def _numbers(drops: Doubles, fills: Sequence[str]) -> dict[str, float]:
    """What is known of each fill, by name, and how many copies the place beats with all fills."""
    numbers: dict[str, float] = {}
    copies = len(drops) - 1
    beats = []
    for fill, (own, *others) in zip(fills, drops.T, strict=True):
        numbers[f"drop, {fill}"] = float(own)
        numbers[f"p, {fill}"] = p_value(own, np.array(others))
        beats.append(float(np.sum(np.array(others) < own)))
    return {**numbers, "copies": float(copies), "beats": min(beats)}


def _is_shown(numbers: Mapping[str, float], fill: str) -> bool:
    return is_rare(numbers[f"p, {fill}"]) and numbers[f"drop, {fill}"] > NEGLIGIBLE


def _share(places: covering.Places) -> float:
    flat = np.concatenate([place.reshape(-1) for place in places])
    return float(flat.mean())


def _says(case: Case, numbers: Mapping[str, float], fills: Sequence[str], samples: Samples) -> str:
    # A zero has no sign.
    drops = {fill: round(numbers[f"drop, {fill}"], 2) + 0.0 for fill in fills}
    does, sizes = "lowers", [f"{drop:.2f} ({fill})" for fill, drop in drops.items()]
    if min(drops.values()) < 0:
        does, sizes = "changes", [f"{0.0 - drop:+.2f} ({fill})" for fill, drop in drops.items()]
    target, of = scored(case), ""
    if target.text.strip() != case.answer.text.strip():
        of = f" of “{target.text.strip()}”"
    says = (
        f"Covering it {does} the log-probability{of} by {' and '.join(sizes)} nats; with both fills it falls "
        f"further than with {numbers['beats']:.0f} of {numbers['copies']:.0f} moved copies."
    )
    return says + partial(samples)
