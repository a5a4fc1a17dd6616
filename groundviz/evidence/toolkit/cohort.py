"""Other images of the same kind, the answer read on each of them, and its maps there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from groundviz.errors import OptionError
from groundviz.evidence.toolkit.remeasuring import Reading, again, reading
from groundviz.record.types import Answer, Heatmap, SourceImage, Target
from groundviz.runtime import Live

LEAST = 3

Maps = list[list[Heatmap]]


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Other images, each in place of the one that was asked about; what is read on them is kept.

    Attributes:
        images: What the model is shown each time, as many images as there were.
    """

    images: tuple[tuple[SourceImage, ...], ...] = ()
    _readings: list[Reading] = field(default_factory=list)
    _maps: dict[str, Maps] = field(default_factory=dict)

    def readings(self, live: Live, answer: Answer) -> Sequence[Reading]:
        """The answer, teacher-forced on each of the others; one forward pass each, once.

        Raises:
            OptionError: There are too few others.
        """
        if len(self.images) < LEAST:
            raise OptionError(
                f"This check needs at least {LEAST} other images, and has {len(self.images)}: "
                "give them as others=[...], images or explanations of them."
            )
        for number in range(len(self._readings), len(self.images)):
            live.progress.at("reading the answer on other images", number, len(self.images))
            self._readings.append(reading(live.ask(images=self.images[number]), answer))
        return self._readings

    def maps(self, live: Live, answer: Answer, target: Target, like: Heatmap) -> Maps:
        """The map of the same words by the same method on each of the others; the method's cost each, once.

        Raises:
            OptionError: There are too few others.
        """
        if like.method not in self._maps:
            self._maps[like.method] = [again(one, target, like) for one in self.readings(live, answer)]
        return self._maps[like.method]
