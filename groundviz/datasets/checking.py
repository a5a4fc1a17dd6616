"""Compares a data set in a local folder with what its publisher states: counts, files and coordinates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np

from groundviz import images
from groundviz.cards import Table, card
from groundviz.datasets.card import DATASETS, Card, Count
from groundviz.datasets.image_files import ImageFolder
from groundviz.datasets.reading import inside, is_there
from groundviz.datasets.regions import box_of, region_mask
from groundviz.datasets.rle import size_of
from groundviz.datasets.sample import SHARES, Dataset, Region, Sample
from groundviz.errors import DataError, GroundvizError

# "note" is worth knowing and no fault; one line that is "wrong" fails the whole check.
State = Literal["ok", "note", "wrong"]
# Publishers round: a coordinate may lie so many pixels outside the image.
SLACK_PIXELS = 1.0
# Above this share of regions outside the image, columns are read in a wrong order.
MOST_OUTSIDE = 0.01
# How many images are opened unless told otherwise.
OPENED = 20

# How many samples are named where something is wrong.
MOST_PLACES = 3

Box = tuple[float, float, float, float]
Progress = Callable[[Iterable[Sample], str, int], Iterable[Sample]]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was checked.

    Attributes:
        what: Was compared.
        found: In the folder.
        expected: By the card or by reason; empty where nothing is.
        state: What to make of it.
        where: The first few samples that it is about, by their lines or identities, where they are few enough
            to be looked for.
    """

    what: str
    found: str
    expected: str
    state: State
    where: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What `check` found. Its text is a table, followed by what one must know of the data set.

    Attributes:
        name: Of the data set.
        version: Of its annotations.
        lines: All that was checked.
        card: What its registration states.

    >>> from groundviz.datasets import load
    >>> check(load("phantoms", limit=4), opened=0).rows()[1]
    ('note', 'samples', '4', '', '')
    """

    name: str
    version: str
    lines: tuple[Line, ...]
    card: Card

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return all(line.state != "wrong" for line in self.lines)

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """The table, its head first."""
        head = ("", "what", "found", "expected", "where")
        rows = ((line.state, line.what, line.found, line.expected, line.where) for line in self.lines)
        return [head, *rows]

    def notes(self) -> list[str]:
        """Contamination, licence, citation, and known quirks of the publisher's files."""
        card = self.card
        notes = [
            f"contamination: {card.contamination}",
            f"licence: {card.license}",
            f"cite: {card.citation}",
        ]
        if card.restricted:
            notes.append("Phrases, paths and pixels of this data set must not be published.")
        return notes + [f"known: {quirk}" for quirk in card.quirks]

    def _repr_html_(self) -> str | None:
        head, *rows = self.rows()
        return card(Table(title=f"{self.name} {self.version}", head=head, rows=tuple(rows)))

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{self.name} {self.version}"]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, *self.notes()])


def check(dataset: Dataset, *, opened: int = OPENED, progress: Progress | None = None) -> Report:
    """Compare a data set with its card, and its regions with its images.

    Counts are compared where all of it was loaded, or all of a split. All files are looked for; some images,
    evenly spread over the data set, are opened.

    Args:
        dataset: As `load` gives it.
        opened: How many images are opened at most; each takes as long as `groundviz.images.load`.
        progress: Wraps what is gone through, with its title and length, to show how far it is.

    Returns:
        A report without names, texts or paths.

    >>> from groundviz.datasets import load
    >>> check(load("phantoms", limit=4), opened=1).passed
    True
    """
    facts = DATASETS.facts(dataset.name)
    lines = [*_counts(dataset, facts), *_contents(dataset)]
    lines += [*_files(dataset), *_coordinates(dataset)]
    lines += _images(dataset, opened, progress or _silent)
    return Report(name=dataset.name, version=dataset.version, lines=tuple(lines), card=facts)


def _silent(samples: Iterable[Sample], title: str, count: int) -> Iterable[Sample]:
    return samples


def counted(samples: Iterable[Sample], count: Count) -> int:
    """How many of something there are among samples.

    >>> counted((), Count(what="images", expected=3))
    0
    """
    there = [sample for sample in samples if count.split in ("", sample.split)]
    if count.what == "samples":
        return len(there)
    if count.what == "images":
        return len({sample.image for sample in there})
    if count.what == "patients":
        return len({sample.patient for sample in there} - {None})
    return sum(region.role == "primary" for sample in there for region in sample.regions)


def _counts(dataset: Dataset, card: Card) -> Iterator[Line]:
    if not dataset.samples:
        yield Line("samples", "0", "some", "wrong")
        return
    if card.version != dataset.version:
        yield Line("version", dataset.version, card.version, "note")
    stated: dict[tuple[str, str], Count] = {(count.split, count.what): count for count in card.counts}
    filters = set(dataset.options) - set(card.leave_none_out)
    comparable = card.version == dataset.version and filters <= {"split"}
    for split in ("", *sorted({sample.split for sample in dataset.samples} - {""})):
        for what in ("samples", "images", "patients", "regions"):
            count = stated.get((split, what), Count(what=what, expected=-1, split=split))
            number = counted(dataset.samples, count)
            name = what
            if split:
                name = f"{what} of {split}"
            # One of several splits is whole, where the data set is not.
            if count.expected < 0 or not comparable or (filters and not split):
                yield Line(name, str(number), "", "note")
            else:
                state: State = "ok" if number == count.expected else "wrong"
                yield Line(name, str(number), str(count.expected), state)


def _contents(dataset: Dataset) -> Iterator[Line]:
    """What samples are made of."""
    samples = dataset.samples
    asked = sum(bool(sample.question or sample.phrase) for sample in samples)
    if asked < len(samples):
        yield Line("samples with neither question nor phrase", str(len(samples) - asked), "", "note")
    unasked = [sample for sample in samples if sample.lacks_question]
    if unasked:
        yield _none_of("answers whose question is not there", len(unasked), _where(dataset, unasked))
    without = sum(sample.patient is None for sample in samples)
    if without:
        yield Line("samples without a patient (drawn by image)", str(without), "", "note")
    marked = sum(any(region.role == "primary" for region in sample.regions) for sample in samples)
    share = f"{marked} ({marked / max(1, len(samples)):.0%})"
    yield Line("samples with a region", share, "", "note")
    for answer_type in ("open", "closed", "report"):
        number = sum(sample.answer_type == answer_type for sample in samples)
        if number:
            yield Line(f"answers that are {answer_type}", str(number), "", "note")
    untyped = sum(sample.answer is not None and sample.answer_type is None for sample in samples)
    if untyped:
        yield Line("answers whose kind is not stated", str(untyped), "", "note")
    for reason, number in dataset.dropped.items():
        yield Line(f"rows left out: {reason}", str(number), "", "note")


def _files(dataset: Dataset) -> Iterator[Line]:
    opener = dataset.opened
    if isinstance(opener, ImageFolder):
        by_image = _grouped((sample.image, sample) for sample in dataset.samples)
        missing = [its for name, its in by_image.items() if not _there(partial(opener.path, name))]
        yield _none_of("images that are missing", len(missing), _where(dataset, chain(*missing)))
    root = dataset.root
    if root is None:
        return
    by_mask = _grouped(
        (region.data[0], sample) for sample, region in _regions(dataset.samples) if region.kind == "png"
    )
    if by_mask:
        missing = [its for name, its in by_mask.items() if not _there(partial(inside, root, name))]
        yield _none_of("mask files that are missing", len(missing), _where(dataset, chain(*missing)))


def _grouped(named: Iterable[tuple[str, Sample]]) -> dict[str, list[Sample]]:
    """The samples of each file."""
    found: dict[str, list[Sample]] = {}
    for name, sample in named:
        found.setdefault(name, []).append(sample)
    return found


def _there(path: Callable[[], Path | None]) -> bool:
    try:
        found = path()
    except DataError:
        return False
    return found is not None and is_there(found)


def _none_of(what: str, number: int, where: str) -> Line:
    return Line(what, str(number), "0", "wrong" if number else "ok", where)


def _where(dataset: Dataset, samples: Iterable[Sample]) -> str:
    """The first of some samples and how many more there are, without saying whose they are."""
    places = list(dict.fromkeys(map(dataset.place_of, samples)))
    more = f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
    return f"{'; '.join(places[:MOST_PLACES])}{more}"


def _regions(samples: Iterable[Sample]) -> Iterator[tuple[Sample, Region]]:
    for sample in samples:
        for region in sample.regions:
            yield sample, region


def _coordinates(dataset: Dataset) -> Iterator[Line]:
    """Regions that cannot be read, and those outside the image that they were drawn on."""
    bad: list[Sample] = []
    boxed: list[tuple[Sample, Region, Box]] = []
    for sample, region in _regions(dataset.samples):
        try:
            if region.kind == "rle":
                size_of(region.data)
            box = box_of(region)
        except DataError:
            bad.append(sample)
            continue
        if box is not None:
            boxed.append((sample, region, box))
    seen = sum(len(sample.regions) for sample in dataset.samples)
    if seen:
        yield _none_of("regions that cannot be read", len(bad), _where(dataset, bad))
    yield from _boxes(dataset, boxed, seen)


def _boxes(dataset: Dataset, boxed: Sequence[tuple[Sample, Region, Box]], seen: int) -> Iterator[Line]:
    """Where the boxes around regions lie, of so many regions."""
    outside = [sample for sample, region, box in boxed if _is_outside(box, region.size)]
    unsized = sum(region.size is None for _, region, _ in boxed)
    state: State = "ok"
    if outside:
        state = "wrong" if len(outside) > MOST_OUTSIDE * seen else "note"
    if outside or unsized < len(boxed):
        what = "regions outside the image size that is stated"
        yield Line(what, str(len(outside)), "0", state, _where(dataset, outside))
    if unsized:
        # Whether these lie in their images shows where images are opened.
        yield Line("regions whose image size is not stated", str(unsized), "", "note")
    empty = [
        sample
        for sample, region, (left, top, right, bottom) in boxed
        if region.kind in ("box", "ellipse") and (left == right or top == bottom)
    ]
    if empty:
        yield Line("boxes without width or height", str(len(empty)), "", "note", _where(dataset, empty))


def _is_outside(box: Box, size: tuple[int, int] | None) -> bool:
    slack = SLACK_PIXELS
    if size == SHARES:
        slack = 0.01
    left, top, right, bottom = box
    if left < -slack or top < -slack:
        return True
    return size is not None and (right > size[1] + slack or bottom > size[0] + slack)


def _images(dataset: Dataset, most: int, progress: Progress) -> Iterator[Line]:
    """Open some images, and lay their regions on them."""
    by_image = _grouped((sample.image, sample) for sample in dataset.samples)
    if most < 1 or not by_image:
        return
    at = np.unique(np.linspace(0, len(by_image) - 1, min(most, len(by_image))).round().astype(int))
    unread: list[Sample] = []
    unfit: list[Sample] = []
    firsts = [samples[0] for samples in by_image.values()]
    chosen = [firsts[index] for index in at]
    for sample in progress(chosen, "Opening images", len(chosen)):
        try:
            shape = images.load(dataset.image(sample)).shape
        except GroundvizError:
            unread.append(sample)
            continue
        unfit += [one for one in by_image[sample.image] if not _fits(one, shape, dataset)]
    yield Line("images that were opened", str(len(chosen)), "", "note")
    yield _none_of("of these, unreadable", len(unread), _where(dataset, unread))
    yield _none_of("samples of these, whose regions do not fit", len(unfit), _where(dataset, unfit))


def _fits(sample: Sample, shape: tuple[int, int], dataset: Dataset) -> bool:
    """Whether every region of an image can be drawn on it and marks something that lies inside."""
    for region in sample.regions:
        try:
            box = box_of(region)
            region_mask(region, shape, root=dataset.root)
        except DataError:
            return False
        if box is not None and region.size is None and _is_outside(box, shape):
            return False
    return True
