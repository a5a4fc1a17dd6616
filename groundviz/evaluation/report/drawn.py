"""The charts of a report, and the cases that it shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundviz import images
from groundviz.datasets import regions
from groundviz.errors import GroundvizError
from groundviz.evaluation.report import faithfulness
from groundviz.evaluation.report.inference import spread
from groundviz.evaluation.report.results import Results, chance_is_share, higher_is_better, name_of, title_of
from groundviz.evaluation.report.sections import finding_groups, within
from groundviz.record.types import Bools, Heatmap, SourceImage
from groundviz.render.figures.file import PaperFigure
from groundviz.render.report import cases, charts
from groundviz.render.report.cases import Row
from groundviz.render.report.charts import Cloud, Series
from groundviz.render.report.page import Chart

# Cases of each method: the lowest, the highest, and so many between them.
_CASES = 6


def drawn(results: Results) -> list[Chart]:
    """The charts that there are numbers for."""
    made: list[Chart] = []
    if results.localised:
        made.append(Chart(name="forest", figure=_forest(results)))
    if np.isfinite(results.areas).any():
        made.append(Chart(name="sizes", figure=_sizes(results)))
    made += faithfulness.drawn(results)
    return made


def _forest(results: Results) -> PaperFigure:
    groups = finding_groups(results)
    whole = np.ones(len(results.rows), dtype=bool)
    shown: dict[str, Bools] = {"all": whole, **groups} if len(groups) > 1 else groups or {"all": whole}
    names = [
        f"{name} (n = {int((inside & np.isfinite(results.areas)).sum())})" for name, inside in shown.items()
    ]
    series: list[Series] = []
    for name in [*results.methods, *results.priors]:
        values = results.values(name, results.primary)
        numbers = tuple(within(results, values, inside) for inside in shown.values())
        series.append(Series(name=name_of(name), numbers=numbers, blind=name in results.priors))
    caption = (
        f"{title_of(results.primary).capitalize()} by finding, means over samples. "
        f"{spread(results, [one.numbers for one in series])} Hollow grey marks never saw the image."
    )
    return charts.forest(names, series, metric=title_of(results.primary), caption=caption)


def _sizes(results: Results) -> PaperFigure:
    clouds = [
        Cloud(name=name_of(name), x=results.areas, y=results.values(name, results.primary))
        for name in results.methods
    ]
    chance = chance_is_share(results.primary)
    caption = f"{title_of(results.primary).capitalize()} of each sample against the size of its reference"
    if any(one.has_line for one in clouds):
        caption += "; lines: means of neighbours in size"
    caption += "; dotted: what chance gives." if chance else "."
    return charts.sizes(clouds, metric=title_of(results.primary), caption=caption, chance=chance)


def rule(results: Results) -> str:
    """How cases are chosen, in a sentence."""
    if not results.localised:
        return "No case is shown: cases are chosen by the score of their maps, and no map was scored."
    return (
        f"Chosen by rule, not by eye: for each method the cases at {_CASES} even quantiles of the "
        f"{title_of(results.primary)} among all samples with a reference, the worst among them; ties are "
        f"drawn with "
        f"seed {results.seed}. All maps of a row have one scale and are not smoothed; the line is the "
        f"reference."
    )


def rows(results: Results) -> list[Row]:
    """Cases of each method, from the worst to the best."""
    keys = results.explain_keys
    found: list[Row] = []
    if not results.localised:
        return found
    for method in results.methods:
        values = results.values(method, results.primary)
        better = values if higher_is_better(results.primary) else -values
        shown: list[cases.Case] = []
        for at in cases.chosen(better, _CASES, seed=results.seed):
            case = _case(results, at, keys.get((at, method)), values[at])
            if case is not None:
                shown.append(case)
        if shown:
            found.append(Row(name=name_of(method), cases=tuple(shown)))
    return found


def _case(results: Results, at: int, key: str | None, value: float) -> cases.Case | None:
    opened = image_and_reference(results, at)
    if opened is None:
        return None
    image, reference = opened
    lines = [results.findings[at], f"{title_of(results.primary)} {value:.2f}", answer_of(results, at)]
    return cases.Case(
        image=image,
        reference=reference,
        heatmap=heatmap_of(results, key),
        caption="\n".join(filter(None, lines)),
    )


def answer_of(results: Results, at: int) -> str:
    """The answer of a sample, a wrong one with that word before it."""
    text = results.answers["text"][at] or ""
    return f"wrong: {text or 'no words'}" if results.judged[at] == "wrong" else text


def heatmap_of(results: Results, key: str | None) -> Heatmap | None:
    """A map of the run, the first grid of it; None where there is none."""
    if key is None:
        return None
    try:
        found: Sequence[Heatmap] = results.run.maps(key)
    except GroundvizError:
        return None
    return found[0]


def image_and_reference(results: Results, at: int) -> tuple[SourceImage, Bools] | None:
    """The image of a sample and its reference; None where the image is no longer there."""
    order = results.answers["order"][at]
    dataset = results.run.dataset
    sample = dataset.samples[order]
    try:
        image = images.load(dataset.image(sample))
        return image, regions.reference(sample.regions, image.shape, root=dataset.root)
    except GroundvizError:
        return None
