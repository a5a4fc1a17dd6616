"""The charts of a report, and the cases that it shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundviz.datasets import regions
from groundviz.errors import GroundvizError
from groundviz.evaluation.cases.reopened import image_of
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
        f"drawn with seed {results.seed}. All maps of a row have one scale and are not smoothed; the line "
        "is the reference."
    )


def rows(results: Results) -> tuple[list[Row], str]:
    """Cases of each method, from the worst to the best; and what is left out, see `left_out`.

    Raises:
        StoreError: The data set is not what the run was made on, or was given as an object.
    """
    keys = results.explain_keys
    found: list[Row] = []
    lost: dict[int, GroundvizError] = {}
    if not results.localised:
        return found, ""
    # Without the data set there is no case at all.
    _ = results.run.dataset
    for method in results.methods:
        values = results.values(method, results.primary)
        better = values if higher_is_better(results.primary) else -values
        shown: list[cases.Case] = []
        for at in cases.chosen(better, _CASES, seed=results.seed):
            try:
                shown.append(_case(results, at, keys.get((at, method)), values[at]))
            except GroundvizError as error:
                lost[at] = error
        if shown:
            found.append(Row(name=name_of(method), cases=tuple(shown)))
    return found, left_out(list(lost.values()))


def left_out(errors: Sequence[GroundvizError]) -> str:
    """That cases cannot be shown, and why the first of them cannot; empty where all can."""
    if not errors:
        return ""
    count = "1 case is" if len(errors) == 1 else f"{len(errors)} cases are"
    return f"{count} left out. {errors[0]}"


def _case(results: Results, at: int, key: str | None, value: float) -> cases.Case:
    image, reference = image_and_reference(results, at)
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


def image_and_reference(results: Results, at: int) -> tuple[SourceImage, Bools]:
    """The image of a sample and its reference.

    Raises:
        ImageError: Its image is not the one that was explained.
        GroundvizError: Image or reference are missing or damaged.
    """
    dataset = results.run.dataset
    answer = {name: results.answers[name][at] for name in ("order", "sample_id", "image_sha256")}
    image = image_of(dataset, answer)
    regions_of = dataset.samples[answer["order"]].regions
    return image, regions.reference(regions_of, image.shape, root=dataset.root)
