"""A model and a data set at hand, and what is computed with them, shard by shard."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from groundviz import images
from groundviz.datasets.sample import Dataset, Sample
from groundviz.errors import UnsupportedModel
from groundviz.evaluation.cases import case
from groundviz.evaluation.cases.asked import Asked
from groundviz.evaluation.cases.case import Given
from groundviz.evaluation.cases.outcome import RANDOM_WEIGHTS, SHUFFLED, Outcome, Row, has_reference
from groundviz.evaluation.cases.reopened import require_unchanged
from groundviz.evidence.weights import randomised
from groundviz.images.base.display import fingerprint
from groundviz.models import VLM
from groundviz.record.types import SourceImage
from groundviz.runtime.identity.weight_hash import weights_fingerprint

# Called after each sample, with its status.
Tell = Callable[[str], object]


@dataclass(slots=True)
class Session:
    """What one worker holds while it works on a run.

    Attributes:
        vlm: The model.
        dataset: The samples.
        asked: What they are asked.
        plan: Rows of the plan, by their order.
        weights: The fingerprint that the model's weights must have.
    """

    vlm: VLM
    dataset: Dataset
    asked: Asked
    plan: Sequence[Row]
    weights: str
    _replica: VLM | None = None
    _copied: bool = False

    def shard(self, number: int, tell: Tell, kept: Mapping[str, Outcome] | None = None) -> list[Outcome]:
        """All samples of a shard, one after the other; those that are `kept`, by their ids, are as they were.

        Raises:
            UnsupportedModel: The weights are not those that the run began with.
            ImageError: The image of one that is kept is another one now.
            KeyboardInterrupt: Ctrl-C; nothing of the shard is returned.
        """
        found = []
        for row in self.plan:
            if row["shard"] == number:
                outcome = (kept or {}).get(row["sample_id"])
                if outcome is None:
                    outcome = self._outcome(row["order"])
                    # One that failed early names no weights, and may have failed because they are others.
                    self.require_weights(outcome.weights or weights_fingerprint(self.vlm.model))
                else:
                    require_unchanged(self.dataset, outcome.answer)
                found.append(outcome)
                tell(outcome.answer["status"])
        return found

    def require_weights(self, used: str) -> None:
        """Refuse what was measured with other weights than the run's, by their fingerprint.

        Raises:
            UnsupportedModel: It was.
        """
        if used != self.weights:
            raise UnsupportedModel(
                "The model's weights have changed since the run began, so its results would be of two "
                "models. Give the weights that it began with, or start another run."
            )

    def _outcome(self, order: int) -> Outcome:
        sample = self.dataset.samples[order]
        given = Given(sample=sample, cluster_id=self.plan[order]["cluster_id"], order=order, images=())
        try:
            shown = self.image(sample)
        except (Exception, MemoryError) as error:
            return case.failed(self.vlm, self.asked, given, error)
        given = replace(given, images=(shown,))
        if SHUFFLED in self.asked.controls:
            given = self._with_other(given)
        return case.explained(self.vlm, self._random(sample), self.asked, given)

    def image(self, sample: Sample) -> SourceImage:
        """The image of a sample, as the model is shown it.

        Raises:
            GroundvizError: It is missing, damaged or too large.
        """
        return images.load(self.dataset.image(sample))

    def _with_other(self, given: Given) -> Given:
        """With another patient's image, of this one's size."""
        other = partner(self.plan, given.order, self.asked.seed)
        if other is None:
            return replace(given, other_reason="All samples are of one patient.")
        try:
            shown = self.image(self.dataset.samples[other])
        except (Exception, MemoryError) as error:
            status, reason = case.failure(error)
            reason = f"The other patient's image could not be read: {reason}"
            return replace(given, other_status=status, other_reason=reason)
        return replace(given, other=(stretched(shown, given.images[0]),))

    def _random(self, sample: Sample) -> VLM | None:
        """The model without what it has learnt, copied once, when it is first needed."""
        if RANDOM_WEIGHTS not in self.asked.controls or not has_reference(sample):
            return None
        if not self._copied:
            self._replica, self._copied = randomised(self.vlm, seed=self.asked.seed), True
        return self._replica


def partner(plan: Sequence[Row], order: int, seed: int) -> int | None:
    """The sample whose image stands in for another patient's; None where there is no other patient.

    It depends on the plan and the seed alone, so every worker draws the same.
    """
    own = plan[order]["cluster_id"]
    drawn = np.random.default_rng([seed, order]).integers(len(plan), size=64)
    # Where nearly all samples are of one patient the others are gone through.
    for other in (*drawn.tolist(), *range(len(plan))):
        if plan[other]["cluster_id"] != own:
            return int(other)
    return None


def stretched(other: SourceImage, like: SourceImage) -> SourceImage:
    """An image in another's size, so that a model sees both in the same cells."""
    if other.shape == like.shape and other.pixels.ndim == like.pixels.ndim:
        return other
    rows, cols = like.shape
    channels = other.pixels[..., None] if other.pixels.ndim == 2 else other.pixels
    resized = []
    for at in range(channels.shape[-1]):
        channel = Image.fromarray(np.ascontiguousarray(channels[..., at]))
        resized.append(np.asarray(channel.resize((cols, rows), Image.Resampling.BILINEAR)))
    pixels = np.clip(np.stack(resized, axis=-1), 0.0, 1.0).astype(np.float32)
    if other.pixels.ndim == 2:
        pixels = pixels[..., 0]
    return replace(other, pixels=pixels, sha256=fingerprint(pixels))


def accelerators() -> int:
    """How many accelerators this process sees; at least 1."""
    return max(1, torch.cuda.device_count())


def thread_count() -> int:
    """How many threads torch computes with."""
    return torch.get_num_threads()


class Threads:
    """A block that computes with as many threads as the run began with; it may be entered again.

    With another number of threads the last digits of sums differ.
    """

    def __init__(self, count: int | None) -> None:
        self._count = count
        self._before = torch.get_num_threads()

    def __enter__(self) -> None:
        self._before = torch.get_num_threads()
        if self._count is not None and self._count != self._before:
            torch.set_num_threads(self._count)

    def __exit__(self, *_: object) -> None:
        if torch.get_num_threads() != self._before:
            torch.set_num_threads(self._before)
