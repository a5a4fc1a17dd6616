"""Is a map to be believed? What the checks of a record say of it, in words.

No score is made of several checks, and nothing here says whether an answer is right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from groundviz.cards import card
from groundviz.record import selection
from groundviz.record.types import Check, Record

Marked = Literal["shown", "not shown", "depends"]

# Letters of an answer that stand in a line beside what is known of it.
_LONGEST_ANSWER = 60
# Names of the checks whose outcome a verdict rests on.
NEEDS_IMAGE, MARKED_PLACE, OTHER_IMAGES = "needs_image", "marked_place", "other_images"
# What stands before the name of a place that somebody else marked, where a check names a method.
GIVEN = "given:"
YES, NO = "yes", "no"
CERTIFIED = "certified"
NOT_MEASURED = "not measured"

# Nats: an answer that gains more is twice as probable.
_HALF = math.log(2)

# A verdict that says no more than the line of facts does.
UNMEASURED = "Not measured: the marked place."
SAYS_NOTHING = "Evidence says nothing about whether the answer is right."
ABSENCE = (
    "Nor would an answer that something is absent, or one for which a blurred image is enough: only other "
    "images can tell."
)
_OF_MARKED: Mapping[str, str] = {
    "shown": (
        "Covering the marked place weakens {whose} more than covering the same shape elsewhere "
        "({beats}, with both fills)."
    ),
    "depends": "Depends on how the place is covered ({fills} of two).",
    "not shown": (
        "Not shown: covering it weakens {whose} no more than elsewhere. This does not say that the map "
        "is wrong; right maps also land here."
    ),
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Evidence:
    """What is known about whether the maps of one explanation are to be believed.

    `verdict()` is one sentence, `line()` the three facts that a reader needs first, `checks` the numbers.

    Attributes:
        record: What holds the maps and their checks.

    >>> import groundviz
    >>> from groundviz.demo.phantoms import phantom
    >>> image = phantom(3, findings=["nodule"]).pixels
    >>> evidence = groundviz.explain("demo", image, "Where is the nodule?").evidence
    >>> evidence.needs_image, min(evidence.drops.values()) > 2
    (True, True)
    >>> evidence.verdict()
    'Not measured: the marked place.'
    """

    record: Record

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every check with its value, reference, cost and source, in the order they were made."""
        return self.record.checks

    @property
    def needs_image(self) -> bool | None:
        """Whether the answer loses at least half of its probability without the image; None if not measured.

        It is False for an answer that ignores the image, and for one that something is absent.
        """
        return {YES: True, NO: False}.get(self._outcome(NEEDS_IMAGE))

    @property
    def drops(self) -> dict[str, float]:
        """By twin of the image, how many nats the answer's log-probability falls when the twin is shown."""
        check = self._check(NEEDS_IMAGE)
        return dict(check.numbers) if check else {}

    @property
    def marked_place(self) -> dict[str, Marked | None]:
        """By method, whether covering the place it marks weakens the answer; None if not measured."""
        return {method: self._marked(method) for method in selection.methods(self.record)}

    @property
    def untested(self) -> tuple[str, ...]:
        """Methods whose maps point somewhere, and were not put to the test as a whole."""
        checks = {method: self._check(MARKED_PLACE, method) for method in selection.methods(self.record)}
        return tuple(
            method
            for method, check in checks.items()
            if (check is None or check.partial) and self._points(method)
        )

    @property
    def places(self) -> dict[str, Marked | None]:
        """By name, whether covering a place that somebody else marked weakens the answer; see `challenge`."""
        named = [check.method for check in self.checks if check.name == MARKED_PLACE]
        return {name.removeprefix(GIVEN): self._marked(name) for name in named if name.startswith(GIVEN)}

    def verdict(self, method: str | None = None) -> str:
        """What is known of the map of one method, in one sentence; the first that applies.

        Args:
            method: One whose maps the record holds; None for the first.

        Raises:
            UnknownName: The record holds no maps of that method.
        """
        maps = selection.measured(self.record, method)
        certificate = self.record.provenance.certificate
        if certificate is not None and certificate != CERTIFIED:
            return f"Misplaced: do not read this map. The model's certificate: {certificate}."
        if not self._points(maps[0].method):
            return "No map: all cells alike."
        if self.needs_image is False:
            return f"This answer does not need this image ({self._kept()}). The map is no evidence for it."
        marked = self._marked(maps[0].method)
        if marked is None:
            return self._unmeasured(maps[0].method)
        return self._of_marked(marked, maps[0].method)

    def line(self, method: str | None = None) -> str:
        """The answer's probability, and whether it needs the image and the marked place, in one line.

        Of a long answer the beginning stands there.

        Args:
            method: As in `verdict`.
        """
        return " · ".join(f"{asked}: {found}" for asked, found in self.facts(method))

    def facts(self, method: str | None = None) -> tuple[tuple[str, str], ...]:
        """What `line` says, as pairs of what was asked and what was found.

        Args:
            method: As in `verdict`.
        """
        answer = self.record.answer
        needs = {True: YES, False: NO, None: NOT_MEASURED}[self.needs_image]
        marked: str = NOT_MEASURED
        if self.record.heatmaps:
            name = selection.measured(self.record, method)[0].method
            marked = self._marked(name) or NOT_MEASURED
        cut = ", cut off by its length" if answer.finished is False else ""
        probable = f"{_beginning(answer.text)} (p {probability(answer.confidence)}{cut})"
        return ("answer", probable), ("needs the image", needs), ("needs the marked place", marked)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What stands beside any verdict: places that were given, absence, what no check can say."""
        found = []
        if self.places:
            each = [f"{marked or NOT_MEASURED} ({name})" for name, marked in self.places.items()]
            found.append(f"Needs a place that was given: {', '.join(each)}.")
        if self.needs_image is False:
            found.append(self._on_others() or ABSENCE)
        return (*found, SAYS_NOTHING)

    def sentences(self) -> Iterator[str]:
        """Everything known in plain sentences: the verdict on each map, and what a verdict does not say."""
        found: dict[str, list[str]] = {}
        for method in selection.methods(self.record):
            found.setdefault(self.verdict(method), []).append(method.replace("_", " "))
        for verdict, methods in found.items():
            if len(found) == 1:
                yield verdict
            else:
                yield f"{', '.join(methods).capitalize()}: {verdict}"
        yield from self.caveats

    def __str__(self) -> str:
        return "\n".join([self.line(), *self.sentences()])

    def __repr__(self) -> str:
        return f"<Evidence: {self.line()}>"

    def _repr_html_(self) -> str | None:
        return card(self)

    def _check(self, name: str, method: str = "") -> Check | None:
        """The latest check of that name, of one method's map or of the answer."""
        found = [check for check in self.checks if (check.name, check.method) == (name, method)]
        return found[-1] if found else None

    def _outcome(self, name: str, method: str = "") -> str:
        """The verdict of a check that is whole; empty for one that was not made, or is partial."""
        check = self._check(name, method)
        if check is None or check.partial:
            return ""
        return check.verdict

    def _marked(self, method: str) -> Marked | None:
        outcome = self._outcome(MARKED_PLACE, method)
        return cast(Marked, outcome) if outcome in get_args(Marked) else None

    def _points(self, method: str) -> bool:
        """Whether a method's map of what was explained points anywhere; so does one that was not measured."""
        target = self.record.target
        maps = selection.measured(self.record, method)
        of_target = [one.at(target) for one in maps if one.has(target)]
        return not of_target or any(heatmap.has_evidence for heatmap in of_target)

    def _kept(self) -> str:
        """How probable the answer still is without the image, by the twin that weakens it least."""
        smallest = min(self.drops.values(), default=0.0)
        confidence = self.record.answer.confidence
        if smallest < -_HALF:
            return f"more probable without it: p {probability(min(confidence * math.exp(-smallest), 1.0))}"
        # Of a long answer even the best is improbable as a whole.
        if confidence < 0.05:
            return f"still {kept(smallest)} of its probability without it"
        return f"still p {probability(min(confidence * math.exp(-smallest), 1.0))} without it"

    def _on_others(self) -> str:
        """What came of showing other images; empty where it was not measured."""
        check = self._check(OTHER_IMAGES)
        return check.says if check and self._outcome(OTHER_IMAGES) in (YES, NO) else ""

    def _unmeasured(self, method: str) -> str:
        check = self._check(MARKED_PLACE, method)
        if check is not None and (check.partial or check.verdict == NOT_MEASURED):
            return f"Not measured: {check.says}"
        return UNMEASURED

    def _of_marked(self, marked: Marked, method: str) -> str:
        check = self._check(MARKED_PLACE, method)
        numbers: Mapping[str, float] = check.numbers if check else {}
        copies, beaten = numbers.get("copies", 0.0), numbers.get("beats", 0.0)
        return _OF_MARKED[marked].format(
            beats=f"beats {beaten:.0f} of {copies:.0f}", fills="one fill", whose=self._tested()
        )

    def _tested(self) -> str:
        """What a map was put to the test with: the answer, or the part of it that was explained first."""
        target, answer = self.record.target, self.record.answer
        if target.in_question or target.text.strip() == answer.text.strip():
            return "the answer"
        return f"“{_beginning(target.text)}”"


def _beginning(text: str) -> str:
    """A text in one line, cut short where it is long."""
    line = " ".join(text.split())
    if len(line) <= _LONGEST_ANSWER:
        return line
    return f"{line[: _LONGEST_ANSWER - 1].rstrip()}…"


def probability(share: float) -> str:
    """A probability as "= .93", "> .99" or "< .001".

    >>> probability(0.934), probability(0.9999), probability(0.0)
    ('= .93', '> .99', '< .001')
    """
    if share > 0.99:
        return "> .99"
    if share < 0.001:
        return "< .001"
    digits = 2 if share >= 0.01 else 3
    return f"= {share:.{digits}f}".replace("0.", ".", 1)


def kept(drop: float) -> str:
    """The share of a probability that is left when its logarithm falls by `drop` nats.

    >>> kept(0.1), kept(9.0), kept(-0.2)
    ('90%', 'less than 1%', 'all')
    """
    share = math.exp(-drop)
    if share >= 1:
        return "all"
    if share < 0.01:
        return "less than 1%"
    return f"{share:.0%}"
