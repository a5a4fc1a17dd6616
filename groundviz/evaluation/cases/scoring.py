"""From stored maps and answers to numbers; no model is needed, so a new metric never runs one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from groundviz.datasets.sample import Dataset, Sample
from groundviz.errors import GroundvizError, OptionError
from groundviz.evaluation.cases import commits
from groundviz.evaluation.cases.explained import Explained, explained
from groundviz.evaluation.cases.outcome import Row, control_of, has_reference
from groundviz.evaluation.cases.references import References
from groundviz.evaluation.storage import specs, tables
from groundviz.evaluation.storage.keys import key_of
from groundviz.evaluation.storage.layout import Layout
from groundviz.evaluation.storage.schemas import ANSWER_SCORES, ANSWERS, SCORES
from groundviz.metrics import priors
from groundviz.metrics.answers import SCORERS, score_answers
from groundviz.metrics.scoring import DEFAULT, Measured, measure, parsed
from groundviz.metrics.space import SPACES
from groundviz.record import files
from groundviz.record.types import Bools, Heatmap

# Whatever is scored is scored by this; a change of it is another evaluation.
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How maps and answers are scored.

    Attributes:
        space: "grid" or "image", see `groundviz.metrics`.
        metrics: Names of metrics of maps.
        scorers: Names of scorers of answers.
    """

    space: str = "grid"
    metrics: tuple[str, ...] = DEFAULT
    scorers: tuple[str, ...] = tuple(SCORERS)

    def facts(self) -> dict[str, Any]:
        """For the manifest and for the key."""
        return {
            "version": VERSION,
            "space": self.space,
            "metrics": list(self.metrics),
            "scorers": list(self.scorers),
        }

    @property
    def hash(self) -> str:
        """The name of the folder of these scores."""
        return specs.name_of(self.facts())

    @classmethod
    def of(cls, space: str = "grid", metrics: Iterable[str] | None = None) -> Evaluation:
        """With names checked.

        Raises:
            OptionError: There is no such space, or a metric cannot be cut by such a rule.
            UnknownName: There is no such metric.
        """
        if space not in SPACES:
            raise OptionError(f"There is no evaluation space {space!r:.40}. Known: {', '.join(SPACES)}.")
        chosen = tuple(DEFAULT if metrics is None else metrics)
        for name in chosen:
            parsed(name)
        return cls(space=space, metrics=chosen)


@dataclass(slots=True)
class Scoring:
    """What the scores of a run are made from.

    Attributes:
        layout: The run.
        dataset: Its samples and their regions.
        plan: Rows of the plan, by their order.
        evaluation: How is scored.
    """

    layout: Layout
    dataset: Dataset
    plan: Sequence[Row]
    evaluation: Evaluation
    _prior: priors.ClassMean | None = None
    _state: str = ""
    _samples: dict[str, Sample] = field(default_factory=dict)
    _references: References = field(init=False)

    @classmethod
    def begun(cls, layout: Layout, dataset: Dataset, plan: Sequence[Row], evaluation: Evaluation) -> Scoring:
        """The scoring of a run; how it is done stands in a file first.

        Raises:
            StoreError: The disk refused.
        """
        specs.keep(layout.scoring(evaluation.hash), evaluation.facts())
        return cls(layout, dataset, plan, evaluation)

    def __post_init__(self) -> None:
        self._samples = {row["sample_id"]: self.dataset.samples[row["order"]] for row in self.plan}
        self._references = References(self.dataset)

    @property
    def state(self) -> str:
        """A hash of all that has been explained: the priors of each shard are of the others, too."""
        if not self._state:
            self._state = commits.state_of(self.layout, {row["shard"] for row in self.plan})
        return self._state

    def is_whole(self, shard: int) -> bool:
        """Whether the numbers of a shard are there, whole, and of what has been explained."""
        name = self.evaluation.hash
        places = self.layout.answer_scores(name, shard), self.layout.scores(name, shard)
        return all(commits.is_of(place, self.state) for place in places)

    def commit(self, shard: int) -> None:
        """Score a shard and write its numbers.

        Raises:
            StoreError: Its maps or answers are damaged, or the disk refused.
        """
        place = self.layout.scores(self.evaluation.hash, shard)
        answered, _ = tables.read(self.layout.answers(shard))
        found = list(self._of_maps(shard, answered))
        answers = list(self._of_answers(answered))
        answers_place = self.layout.answer_scores(self.evaluation.hash, shard)
        files.folder_for_writing(answers_place.parent)
        # The scores of the maps come last: a shard without them is not scored.
        made_of = commits.made_of(self.state)
        tables.write(answers_place, answers, ANSWER_SCORES, made_of)
        tables.write(place, found, SCORES, made_of)

    def _of_answers(self, answered: Sequence[Row]) -> Iterator[Row]:
        """A row for each answer and scorer; the score is None, with a reason, where the scorer drops it."""
        for row in answered:
            sample = self._samples[row["sample_id"]]
            if sample.answer is None:
                continue
            asked = {
                "id": sample.sample_id,
                "prediction": row["text"],
                "reference": sample.answer,
                # As the publisher writes it: some scorers read it to the letter.
                "answer_type": sample.facts.get("answer_type", sample.answer_type),
            }
            for scorer in self.evaluation.scorers:
                scored = score_answers([asked], scorer)
                yield {
                    "answer_key": row["answer_key"],
                    "sample_id": sample.sample_id,
                    "cluster_id": row["cluster_id"],
                    "finding": sample.finding,
                    "answer_type": asked["answer_type"],
                    "scorer": scorer,
                    "value": scored.answers[0].score if scored.answers else None,
                    "flag": next(iter(scored.dropped), ""),
                }

    def _of_maps(self, shard: int, answered: Sequence[Row]) -> Iterator[Row]:
        by_answer = {row["sample_id"]: row for row in answered}

        def has_region(row: Row) -> bool:
            return has_reference(self._samples[row["sample_id"]])

        for sample_id, found in explained(self.layout, shard, has_region).items():
            yield from self._of_sample(self._samples[sample_id], by_answer[sample_id], found)

    def _of_sample(self, sample: Sample, answer: Row, found: Mapping[str, Explained]) -> Iterator[Row]:
        shape = (answer["image_rows"], answer["image_cols"])
        known: Row = {
            "sample_id": sample.sample_id,
            "cluster_id": answer["cluster_id"],
            "finding": sample.finding,
            "explain_key": "",
        }
        try:
            mask = self._references.of(sample, shape)
        except GroundvizError as error:
            yield {**known, "method": "", "metric": "", "variant": self.evaluation.space, "flag": str(error)}
            return
        known["gt_id"] = key_of([mask, list(shape)])
        chance: tuple[Measured, ...] = ()
        for method, made in found.items():
            scored = self._measured(made.heatmaps, mask)
            if not chance and not control_of(method):
                chance = scored
            for one in scored:
                yield {**known, "method": method, **self._row(one, made.heatmaps), "explain_key": made.key}
        first = next(iter(found.values())).heatmaps
        yield from self._of_priors(sample, first, chance, mask, known)

    def _of_priors(
        self,
        sample: Sample,
        heatmaps: Sequence[Heatmap],
        chance: Sequence[Measured],
        mask: Bools,
        known: Row,
    ) -> Iterator[Row]:
        """What maps that never saw the image score, on the cells of the first method."""
        shape = (mask.shape[0], mask.shape[1])
        centre = [priors.centre(one, shape) for one in heatmaps]
        class_mean = [
            self._class_mean().map(class_of(sample), without=known["cluster_id"], on=one, shape=shape)
            for one in heatmaps
        ]
        # What the first method's own values would have, dealt to the cells at random.
        for one in chance:
            yield {**known, "method": priors.RANDOM, **self._row(one, heatmaps), "value": one.chance}
        for name, maps_of in ((priors.CENTRE, centre), (priors.CLASS_MEAN, class_mean)):
            for one in self._measured(maps_of, mask):
                yield {**known, "method": name, **self._row(one, maps_of)}

    def _class_mean(self) -> priors.ClassMean:
        """The mean reference of each class, of all samples of the run, summed up once in their order."""
        if self._prior is None:
            self._prior = class_means(self._references, self.plan, self._shapes())
        return self._prior

    def _shapes(self) -> dict[str, tuple[int, int]]:
        """Rows and columns of the image of each sample, where it could be read."""
        places = [self.layout.answers(shard) for shard in sorted(self.layout.explained())]
        return shapes_of(tables.columns(places, ANSWERS))

    def _measured(self, heatmaps: Sequence[Heatmap], mask: Bools) -> tuple[Measured, ...]:
        given = heatmaps[0] if len(heatmaps) == 1 else heatmaps
        return measure(
            given, mask, shape=mask.shape, space=self._space(heatmaps), metrics=self.evaluation.metrics
        )

    def _space(self, heatmaps: Sequence[Heatmap]) -> Any:
        # Tiles and overview share no grid: they meet in the image.
        return self.evaluation.space if len(heatmaps) == 1 else "image"

    def _row(self, one: Measured, heatmaps: Sequence[Heatmap]) -> Row:
        return {
            "metric": one.name,
            "variant": self._space(heatmaps),
            "value": one.value,
            "chance": one.chance,
            "flag": one.flag,
        }


def class_means(
    references: References, plan: Iterable[Row], shapes: Mapping[str, tuple[int, int]]
) -> priors.ClassMean:
    """The mean reference of each class over the samples of a run.

    Args:
        references: Those of the data set.
        plan: Rows with the order and the cluster of each.
        shapes: Rows and columns of each sample's image, by its identity; samples without are left out.
    """
    means = priors.ClassMean()
    for row in plan:
        sample = references.dataset.samples[row["order"]]
        shape = shapes.get(sample.sample_id)
        if shape is None or not has_reference(sample):
            continue
        # One that does not fit its image is told of where it is scored.
        with suppress(GroundvizError):
            means.add(class_of(sample), row["cluster_id"], references.of(sample, shape))
    return means


def shapes_of(answers: Mapping[str, list[Any]]) -> dict[str, tuple[int, int]]:
    """Rows and columns of the image of each sample, by its identity, where it could be read."""
    sizes = zip(answers["image_rows"], answers["image_cols"], strict=True)
    named = zip(answers["sample_id"], sizes, strict=True)
    return {sample_id: size for sample_id, size in named if size[0] is not None}


def class_of(sample: Sample) -> str:
    """The class whose mean reference a map of the sample is compared with."""
    return sample.finding or ""
