"""Cases of a run for a reader study, chosen by rule, with maps of its methods and of an image-blind prior."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from groundviz.errors import GroundvizError, OptionError
from groundviz.evaluation.cases.references import References
from groundviz.evaluation.cases.scoring import class_means, class_of, shapes_of
from groundviz.evaluation.report.drawn import heatmap_of, image_and_reference, left_out
from groundviz.evaluation.report.results import CONTROLS, Results
from groundviz.evaluation.run import Run
from groundviz.metrics import priors
from groundviz.metrics.statistics import terciles
from groundviz.record import arguments
from groundviz.record.types import Heatmap
from groundviz.study.folder import Case

_MADE = (priors.CENTRE, priors.CLASS_MEAN)


def cases_of(
    run: str | os.PathLike[str] | Run, *, arms: Sequence[str] = (), limit: int = 60, seed: int = 0
) -> Iterator[Case]:
    """Cases of a run, drawn evenly from findings, sizes of the region, and right and wrong answers.

    Cases without a reference are a stratum of their own, so that negatives are among them. The choice
    depends on the run and the seed alone, and is fixed before anybody sees a case. A case whose image is
    missing, or no longer the one that was explained, is left out, and a warning in the end says so.

    Args:
        run: The run, or its folder.
        arms: Names of its methods, of their controls, "prior:centre" or "prior:class_mean"; all methods and
            the class-mean prior when empty.
        limit: How many cases.
        seed: Of the choice.

    Raises:
        OptionError: An arm is not in the run, or a number is out of range.
        StoreError: There is no run, it was not scored, or its data set lies elsewhere.
    """
    arguments.check_count("limit", limit)
    run = run if isinstance(run, Run) else Run(Path(run))
    results = Results(run, repeats=1, seed=seed)
    named = tuple(arms) or (*results.methods, priors.CLASS_MEAN)
    known = {*results.methods, *_MADE, *(one for one in results.scored if one.startswith(CONTROLS))}
    if unknown := sorted(set(named) - known):
        raise OptionError(f"These arms are not in the run: {unknown}. Name some of {sorted(known)}.")
    means = _class_means(results) if priors.CLASS_MEAN in named else None
    # Without the data set there is no case at all.
    _ = run.dataset
    found = 0
    lost: list[GroundvizError] = []
    for at in chosen(results, seed=seed):
        if found == limit:
            break
        try:
            case = _case(results, at, named, means)
        except GroundvizError as error:
            lost.append(error)
            continue
        if case is not None:
            found += 1
            yield case
    if lost:
        warnings.warn(left_out(lost), RuntimeWarning, stacklevel=2)


def chosen(results: Results, *, seed: int = 0) -> list[int]:
    """All samples that are done, those of each stratum in turn, in a random order within it."""
    rng = np.random.default_rng(seed)
    right, thirds = results.correct(), terciles(results.areas)
    strata: dict[tuple[str, str, str], list[int]] = {}
    for at in rng.permutation(len(results.rows)).tolist():
        if results.answers["status"][at] == "ok":
            judged = "not scored" if np.isnan(right[at]) else str(right[at] >= 0.5)
            strata.setdefault((results.findings[at], thirds[at] or "", judged), []).append(at)
    order: list[int] = []
    # Findings take turns, however many strata each has.
    ranked = {key: sum(other[0] == key[0] and other < key for other in strata) for key in strata}
    queues = [strata[key] for key in sorted(strata, key=lambda key: (ranked[key], key))]
    while any(queues):
        for queue in queues:
            if queue:
                order.append(queue.pop(0))
    return order


def _case(results: Results, at: int, arms: Sequence[str], means: priors.ClassMean | None) -> Case | None:
    """A case with every arm; None where one of its maps is not there."""
    first = next((one for name in results.methods if (one := _stored(results, at, name))), None)
    if first is None:
        return None
    image, _ = image_and_reference(results, at)
    maps: dict[str, Heatmap] = {}
    for arm in arms:
        heatmap: Heatmap | None
        if arm == priors.CENTRE:
            heatmap = priors.centre(first, image.shape)
        elif arm == priors.CLASS_MEAN and means is not None:
            sample = results.run.dataset.samples[results.answers["order"][at]]
            without = results.clusters[at]
            heatmap = means.map(class_of(sample), without=without, on=first, shape=image.shape)
        else:
            heatmap = _stored(results, at, arm)
        if heatmap is None:
            return None
        maps[arm] = heatmap
    answers = results.answers
    return Case(
        sample_id=answers["sample_id"][at],
        image=image,
        maps=maps,
        finding=answers["finding"][at] or "",
        question=answers["question"][at] or "",
        answer=answers["text"][at] or "",
    )


def _stored(results: Results, at: int, method: str) -> Heatmap | None:
    return heatmap_of(results, results.explain_keys.get((at, method)))


def _class_means(results: Results) -> priors.ClassMean:
    """The mean reference of each finding, over all samples of the run."""
    answers = results.answers
    rows = [
        {"order": order, "cluster_id": cluster}
        for order, cluster in zip(answers["order"], results.clusters, strict=True)
    ]
    return class_means(References(results.run.dataset), rows, shapes_of(answers))
