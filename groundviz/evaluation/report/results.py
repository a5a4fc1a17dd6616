"""The numbers of a run, sample by sample, as a report needs them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from groundviz.datasets import DATASETS
from groundviz.errors import OptionError, StoreError
from groundviz.evaluation import families
from groundviz.evaluation.cases.outcome import RANDOM_WEIGHTS, SHUFFLED
from groundviz.evaluation.families import Comparison
from groundviz.evaluation.run import Run
from groundviz.evaluation.storage.tables import Columns
from groundviz.metrics import METRICS, priors
from groundviz.metrics.statistics import Interval, cluster_bootstrap
from groundviz.record import arguments
from groundviz.record.types import Doubles
from groundviz.render.base.captions import method_name
from groundviz.render.report.tables import Number

PRIOR = "prior:"
CONTROLS = (f"{SHUFFLED}:", f"{RANDOM_WEIGHTS}:")
NAMES = {
    priors.RANDOM: "random order",
    priors.CENTRE: "centre prior",
    priors.CLASS_MEAN: "class-mean prior",
}
# What the main table shows of what there is.
HEADLINE = ("pointing", "energy", "ap", "ap_adjusted", "cnr", "iou@mass:0.5")
TITLES = {
    "pointing": "pointing game",
    "hit_pixel": "hit by pixel",
    "hit_cell": "hit by cell",
    "energy": "energy",
    "ap": "AP",
    "ap_adjusted": "AP above chance",
    "auroc": "AUROC",
    "cnr": "signed CNR",
    "cnr_abs": "absolute CNR",
    "rank_accuracy": "rank accuracy",
    "iou": "IoU",
    "miou": "mean IoU",
    "dice": "Dice",
    "iou_ceiling": "ceiling of the IoU",
    "reference_outside": "reference outside the view",
}
# A sample is grounded where this is at least half: the strongest cell, or half of those that tie, is inside.
GROUNDED = ("hit_pixel", "pointing", "hit_cell")
SCORERS = ("strict", "sigphi", "llava_med")


@dataclass(eq=False)
class Results:
    """What a run measured.

    Attributes:
        run: The run.
        repeats: Draws of each bootstrap.
        seed: Of everything random.
        primary: The metric that charts, findings and tests are about; the usual one when empty. It stays
            empty where no sample has a reference region.
    """

    run: Run
    repeats: int = 2000
    seed: int = 0
    primary: str = ""

    def __post_init__(self) -> None:
        arguments.check_count("repeats", self.repeats)
        arguments.check_seed(self.seed)
        if not self.rows:
            raise StoreError(
                "Nothing was scored in this run: it has not come so far. `groundviz status RUN` tells."
            )
        if not self.primary:
            self.primary = families.primary_of(self.metrics)
        elif self.primary not in self.metrics:
            found = ", ".join(self.metrics) or "none, for no sample has a reference region"
            raise OptionError(
                f"The primary metric {self.primary!r} was not scored: found {found}. Name one of these."
            )

    @property
    def localised(self) -> bool:
        """Whether any map was scored against a reference region; some data sets have none."""
        return bool(self.primary)

    @cached_property
    def answers(self) -> Columns:
        """The table of answers."""
        return self.run.answers()

    @cached_property
    def rows(self) -> dict[str, int]:
        """Where each sample stands, by its identity."""
        return {sample_id: at for at, sample_id in enumerate(self.answers["sample_id"])}

    @cached_property
    def clusters(self) -> list[str]:
        """The patient of each sample, else its image, as a hash."""
        return list(self.answers["cluster_id"])

    @cached_property
    def findings(self) -> list[str]:
        """The finding of each sample."""
        return [one or families.NOT_NAMED for one in self.answers["finding"]]

    @cached_property
    def needs_image(self) -> list[str]:
        """Whether the answer of each sample needs the image: "yes", "no" or "not measured"."""
        return [one or "not measured" for one in self.answers["needs_image"]]

    @cached_property
    def maps(self) -> Columns:
        """The table of maps."""
        return self.run.maps_table()

    @cached_property
    def scores(self) -> Columns:
        """The table of scores of maps."""
        return self.run.scores()

    @cached_property
    def _table(self) -> dict[tuple[str, str], tuple[Doubles, Doubles]]:
        """Values and chance, (sample,) each, by method and metric."""
        found: dict[tuple[str, str], tuple[Doubles, Doubles]] = {}
        columns = (self.scores[name] for name in ("sample_id", "method", "metric", "value", "chance"))
        for sample_id, method, metric, value, chance in zip(*columns, strict=True):
            if not metric or sample_id not in self.rows:
                continue
            empty = (np.full(len(self.rows), np.nan), np.full(len(self.rows), np.nan))
            values, chances = found.setdefault((method, metric), empty)
            at = self.rows[sample_id]
            values[at] = np.nan if value is None else value
            chances[at] = np.nan if chance is None else chance
        return found

    @cached_property
    def scored(self) -> tuple[str, ...]:
        """Everything that has scores: methods, their controls, priors."""
        return tuple(dict.fromkeys(method for method, _ in self._table))

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The methods, without controls and priors."""
        if not self.localised:
            return tuple(self.run.manifest["methods"])
        return tuple(one for one in self.scored if not one.startswith((PRIOR, *CONTROLS)))

    @cached_property
    def priors(self) -> tuple[str, ...]:
        """What never saw the image."""
        return tuple(one for one in self.scored if one.startswith(PRIOR))

    def controls(self, method: str) -> tuple[str, ...]:
        """The controls of a method that were measured."""
        return tuple(f"{kind}{method}" for kind in CONTROLS if f"{kind}{method}" in self.scored)

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of maps."""
        return tuple(dict.fromkeys(metric for _, metric in self._table))

    @property
    def headline(self) -> tuple[str, ...]:
        """The metrics of the main table."""
        if not self.localised:
            return ()
        chosen = [one for one in HEADLINE if one in self.metrics]
        return tuple(dict.fromkeys([self.primary, *chosen]))

    def values(self, method: str, metric: str) -> Doubles:
        """(sample,) of a method; NaN where there is none."""
        found = self._table.get((method, metric))
        return np.full(len(self.rows), np.nan) if found is None else found[0]

    @cached_property
    def areas(self) -> Doubles:
        """(sample,) the share of the view that the reference covers, NaN without one."""
        # By chance the average precision is that share, and a little more.
        for metric in (*filter(chance_is_share, self.metrics), "ap"):
            for method in self.methods:
                if (method, metric) in self._table:
                    return self._table[method, metric][1]
        return np.full(len(self.rows), np.nan)

    def interval(self, values: Doubles) -> Interval:
        """The mean of values, (sample,), with its interval by cluster."""
        return cluster_bootstrap(values, self.clusters, repeats=self.repeats, seed=self.seed)

    def number(self, values: Doubles, *, percent: bool = False) -> Number | None:
        """The same for a table; None where there is no value at all."""
        if not np.isfinite(values).any():
            return None
        return number(self.interval(values), percent=percent)

    @cached_property
    def strongest_prior(self) -> str | None:
        """The prior with the best mean of the primary metric; None where priors have none."""
        means = {
            one: float(np.nanmean(self.values(one, self.primary))) for one in self._with_values(self.priors)
        }
        if not means:
            return None
        best = max if higher_is_better(self.primary) else min
        return best(means, key=means.__getitem__)

    def _with_values(self, names: Sequence[str]) -> list[str]:
        return [one for one in names if np.isfinite(self.values(one, self.primary)).any()]

    def gain(self, method: str, other: str, metric: str = "") -> Doubles:
        """(sample,) by how much a method is better than another one."""
        metric = metric or self.primary
        difference = self.values(method, metric) - self.values(other, metric)
        return difference if higher_is_better(metric) else -difference

    def family(self, name: str) -> list[Comparison]:
        """The comparisons that are corrected together: those that were declared, else those there are."""
        if self.declared(name):
            stated = self.run.manifest["comparisons"]["families"][name]
            return [tuple(one) for one in stated]
        controls = [control for method in self.methods for control in self.controls(method)]
        return families.families(
            self.methods,
            controls,
            findings=sorted({self.findings[at] for at in np.flatnonzero(np.isfinite(self.areas))}),
            covers=self.covers,
            blind=self.priors,
        )[name]

    def declared(self, name: str) -> bool:
        """Whether a family was declared when the run was planned, and for this primary metric."""
        stated = self.run.manifest.get("comparisons")
        if not stated:
            return False
        family = stated["families"].get(name)
        if name == families.CURVES:
            # Covers may be added later.
            return bool(family) and {cover for _, _, cover, _ in family} == set(self.covers)
        return bool(family) and stated["primary"] == self.primary

    def told_of(self, name: str) -> str:
        """Whether a family was declared, in a sentence."""
        if self.declared(name):
            return "These comparisons were declared in the manifest before anything was scored."
        return "These comparisons were not declared when the run was planned: their p-values are exploratory."

    @cached_property
    def curves(self) -> Mapping[tuple[str, str, str], Doubles]:
        """Deletion and insertion by method, cover and kind: (sample, draw, step) in nats, NaN without one.

        There is one draw, but for random orders.
        """
        table = self.run.curves()
        columns = (table[name] for name in ("method", "cover", "kind", "sample_id", "draw", "values"))
        found: dict[tuple[str, str, str], dict[tuple[int, int], list[float]]] = {}
        for method, cover, kind, sample_id, draw, values in zip(*columns, strict=True):
            if values and sample_id in self.rows:
                found.setdefault((method, cover, kind), {})[self.rows[sample_id], draw or 0] = values
        arrays: dict[tuple[str, str, str], Doubles] = {}
        for key, curves in found.items():
            draws = 1 + max(draw for _, draw in curves)
            arrays[key] = np.full((len(self.rows), draws, len(next(iter(curves.values())))), np.nan)
            for place, values in curves.items():
                arrays[key][place] = values
        return arrays

    @cached_property
    def covers(self) -> tuple[str, ...]:
        """What images were covered with for curves."""
        return tuple(dict.fromkeys(cover for _, cover, _ in self.curves))

    @cached_property
    def scorer(self) -> str | None:
        """The scorer of answers that the report uses, where answers were scored."""
        for name in SCORERS:
            column = self.answers.get(f"score_{name}")
            if column is not None and any(one is not None for one in column):
                return name
        return None

    def correct(self, scorer: str | None = None) -> Doubles:
        """(sample,) how right the answer is, 0 to 1; NaN where the scorer drops it or there is none."""
        column = self.answers.get(f"score_{scorer or self.scorer}")
        if column is None:
            return np.full(len(self.rows), np.nan)
        return as_numbers(column)

    @cached_property
    def judged(self) -> list[str]:
        """The answer of each sample: "correct", "wrong" or "not scored"."""
        right = self.correct()
        words = np.where(right >= 0.5, "correct", np.where(right < 0.5, "wrong", "not scored"))
        return [str(one) for one in words]

    @cached_property
    def grounding_metric(self) -> str | None:
        """The metric that tells whether a map is grounded."""
        return next((one for one in GROUNDED if one in self.metrics), None)

    def grounded(self, method: str) -> Doubles:
        """(sample,) 1 where the strongest cell lies in the reference, 0 where not, NaN without one."""
        if self.grounding_metric is None:
            return np.full(len(self.rows), np.nan)
        values = self.values(method, self.grounding_metric)
        return np.where(np.isfinite(values), (values >= 0.5).astype(np.float64), np.nan)

    @cached_property
    def statuses(self) -> Counter[str]:
        """How many samples ended in which way."""
        return Counter(self.answers["status"])

    @cached_property
    def degenerate(self) -> dict[str, tuple[int, int]]:
        """By method how many maps have cells all alike, and how many maps there are."""
        table = self.maps
        counts: dict[str, tuple[int, int]] = {}
        for method, status, constant in zip(table["method"], table["status"], table["constant"], strict=True):
            if status == "ok":
                few, all_of = counts.get(method, (0, 0))
                counts[method] = (few + bool(constant), all_of + 1)
        return counts

    @cached_property
    def explain_keys(self) -> dict[tuple[int, str], str]:
        """The key of each map, by its sample's place and its method."""
        table = self.maps
        found: dict[tuple[int, str], str] = {}
        for sample_id, method, key in zip(
            table["sample_id"], table["method"], table["explain_key"], strict=True
        ):
            if sample_id in self.rows:
                found[self.rows[sample_id], method] = key
        return found

    @property
    def with_reference(self) -> int:
        """How many samples have a reference region that the model saw at least in part."""
        return int(np.isfinite(self.areas).sum())

    @property
    def card(self) -> Any:
        """What the data set states of itself; None for one that is not registered."""
        return DATASETS.facts(self.data) if self.data in DATASETS else None

    @property
    def data(self) -> str:
        """The name of the data set."""
        return str(self.run.manifest["dataset"]["name"])


def title_of(metric: str) -> str:
    """What to call a metric where it is read."""
    name, _, rule = metric.partition("@")
    title = TITLES.get(name, name.replace("_", " "))
    return f"{title} at {rule}" if rule else title


def name_of(method: str) -> str:
    """What to call a method, a control or a prior."""
    for kind, words in zip(CONTROLS, ("of a shuffled image", "with random weights"), strict=True):
        if method.startswith(kind):
            return f"{method_name(method.removeprefix(kind))} {words}"
    return NAMES.get(method) or method_name(method)


def higher_is_better(metric: str) -> bool:
    """Whether more of it is better."""
    name = metric.partition("@")[0]
    return bool(METRICS.facts(name).higher_is_better) if name in METRICS else True


def chance_is_share(metric: str) -> bool:
    """Whether chance gives it the share of the view that the reference covers."""
    name = metric.partition("@")[0]
    return bool(METRICS.facts(name).chance_is_share) if name in METRICS else False


def number(interval: Interval, *, percent: bool = False) -> Number:
    """An interval as a table shows it."""
    low = None if math.isnan(interval.low) else interval.low
    high = None if math.isnan(interval.high) else interval.high
    return Number(interval.mean, low, high, percent=percent)


def as_numbers(column: Sequence[float | None]) -> Doubles:
    """A column of a table with NaN for what is missing."""
    return np.array([np.nan if one is None else one for one in column], dtype=np.float64)
