"""`groundviz explain`: one question about one image, or about each of several in turn."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import groundviz
from groundviz.cli import naming, printing, sources, values
from groundviz.cli.printing import complain, counted, importing, say, working
from groundviz.errors import (
    ImageError,
    MissingExtra,
    NumericalError,
    OutOfMemory,
    StoreError,
    TargetError,
    UnknownName,
)
from groundviz.record import files

if TYPE_CHECKING:
    from groundviz.explanation import Explanation
    from groundviz.methods.running.choose import Recipes
    from groundviz.record.types import SourceImage

SOME_FAILED, ALL_FAILED, INTERRUPTED = 1, 2, 130
# Errors of one image that the next image may not have.
ITS_OWN = (ImageError, TargetError, NumericalError, OutOfMemory, MissingExtra)


@dataclass(frozen=True, slots=True)
class Case:
    """One question about one image, or about several together.

    Attributes:
        places: Where its images lie.
        stem: What its files are called.
        title: What it is called on the screen.
    """

    places: tuple[str, ...]
    stem: str
    title: str


def explain(chosen: argparse.Namespace) -> int:
    """Ask, explain, write the record, draw, and print; returns the exit code."""
    _refuse_mistakes(chosen)
    sources.require_places(1 + len(chosen.others), chosen)
    several = len(chosen.images) > 1 or (sources.is_folder(chosen.images[0]) and chosen.slices is None)
    if several:
        places, source_images = sources.expanded(chosen.images), None
    else:
        places = [chosen.images[0]]
        # Read now, so that a bad file is reported before a large model is loaded.
        source_images = sources.loaded([*places, *chosen.others], chosen)
    folder = files.folder_for_writing(chosen.out)
    with importing("Loading the libraries"):
        # A public name is imported, with all it needs, when it is first used.
        load, _ = groundviz.load, groundviz.explain
        if chosen.copies is not None:
            from groundviz.evidence.running.challenge import check_copies

            check_copies(chosen.copies)
        recipes = _recipes(chosen)
        cases = list(_cases(chosen, places, recipes, several=several))
    cases = _not_taken(chosen, cases, folder, several=several)
    if not cases:
        return 0
    with working("Loading the model"):
        vlm = load(chosen.model)
    asked = _Asked(vlm, chosen, recipes, folder)
    if source_images is not None:
        code = asked.one(cases[0], source_images)
    else:
        code = asked.each(cases)
    if _ships(chosen.model):
        say("", printing.PHANTOMS_ONLY, printing.NOT_A_DEVICE)
    return code


def _ships(model: str) -> bool:
    # Not at the top: it needs torch.
    from groundviz.models.loading.shipped import SHIPPED

    return model in SHIPPED


@dataclass(frozen=True, slots=True)
class _Asked:
    """What all cases share: the model, what was typed, the methods, and where to write."""

    vlm: Any
    chosen: argparse.Namespace
    recipes: Recipes
    folder: Path

    def one(self, case: Case, source_images: Sequence[SourceImage]) -> int:
        """Explain one case and print all of it."""
        explained = self._explained(source_images)
        written = [self._kept(explained, case)]
        try:
            explained = self._challenged(explained, written[0])
            with working("Drawing figure and page"):
                self._draw(explained, written)
        finally:
            say(*printing.explanation(explained), "", "Written:", *printing.indented(written))
        return _told_if_incomplete(explained)

    def each(self, cases: Sequence[Case]) -> int:
        """Explain case after case, and print a few lines of each; one that fails does not stop the others."""
        done = failed = code = 0
        try:
            for case in counted(cases, "Explaining", len(cases), unit="image"):
                try:
                    explained = self._explained(sources.loaded([*case.places], self.chosen))
                except ITS_OWN as error:
                    failed += 1
                    complain(f"groundviz: error: {case.title}: {error}")
                    continue
                written = [self._kept(explained, case)]
                done += 1
                explained = self._challenged(explained, written[0])
                self._draw(explained, written)
                say(f"{case.title}: {printing.answered(explained)}", *printing.evidence(explained))
                say(*printing.maps(explained))
                code = _told_if_incomplete(explained)
                if code:
                    break
        finally:
            # Also after an error: what was written so far is of use.
            left = len(cases) - done - failed
            summary = f"{done} of {len(cases)} explained"
            if failed:
                summary += f", {failed} failed"
            if left:
                summary += f", {left} not asked about"
            say("", f"{summary}. Records, figures and pages are in:", f"  {self.folder}")
        if code or not failed:
            return code
        if done:
            return SOME_FAILED
        return ALL_FAILED

    def _explained(self, source_images: Sequence[SourceImage]) -> Explanation:
        with working(f"Answering, and mapping with {', '.join(self.recipes)}"):
            return groundviz.explain(
                self.vlm,
                list(source_images),
                self.chosen.question,
                methods=self.recipes,
                **_settings(self.chosen),
            )

    def _kept(self, explained: Explanation, case: Case) -> Path:
        """Save the record, before anything is drawn: an error in drawing must not lose what was computed."""
        record = self.folder / f"{case.stem}.gvz"
        for number in count(2):
            try:
                return explained.save(record, overwrite=self.chosen.overwrite)
            except StoreError:
                # The name was free at the start. If another process took it since, another name is used.
                if self.chosen.overwrite or not record.exists():
                    raise
                record = self.folder / f"{case.stem}-{number}.gvz"
        raise AssertionError("There is always another number.")

    def _challenged(self, explained: Explanation, record: Path) -> Explanation:
        """Put the maps to the test where that was asked for, and save what was found in the record's file.

        An interruption that comes too early for anything leaves the record as it is.
        """
        if not self.chosen.challenge:
            return explained
        options = {}
        if self.chosen.copies is not None:
            options["copies"] = self.chosen.copies
        with working("Challenging the maps"):
            found = groundviz.challenge(explained, self.vlm, **options)
        found.save(record, overwrite=True)
        return found

    def _draw(self, explained: Explanation, written: list[Path]) -> None:
        """Write figures and page beside the record, and add each to what is written."""
        record, overwrite = written[0], self.chosen.overwrite
        figure = explained.figure()
        for suffix in ("pdf", "png"):
            place = record.with_suffix(f".{suffix}")
            written.append(files.write(place, figure.to_bytes(suffix), overwrite=overwrite))
        page = explained.to_html().encode()
        written.append(files.write(record.with_suffix(".html"), page, overwrite=overwrite))


def _told_if_incomplete(explained: Explanation) -> int:
    from groundviz.render.base import captions

    partial = any(check.partial for check in explained.record.checks)
    if not partial and not captions.incomplete(explained.record):
        return 0
    complain("groundviz: interrupted: what was measured until then is written, and is incomplete")
    return INTERRUPTED


def _refuse_mistakes(chosen: argparse.Namespace) -> None:
    """Refuse arguments that are surely a mistake, which would be noticed late or never."""
    if len(chosen.images) > 1 and chosen.others:
        raise ImageError(
            f"--image adds to the one image that a question is about, and there are {len(chosen.images)}. "
            "Give one IMAGE, or leave --image out to ask about each in turn."
        )
    if chosen.slices is not None and (len(chosen.images) > 1 or chosen.others or chosen.frame):
        raise ImageError(
            "--slices asks one question about one stack: give one IMAGE, a folder with a DICOM series or a "
            "file with several frames, and leave out --image and --frame."
        )
    # Not at the top: it needs numpy.
    from groundviz.images.base.intake import refuse_as_question

    refuse_as_question(chosen.question)


def _recipes(chosen: argparse.Namespace) -> Recipes:
    """The methods with all their options: those that were given, and the defaults of the others.

    Raises:
        UnknownName: There is no such method, it is not asked for, or it has no such option.
    """
    from groundviz.methods import DEFAULT, DEFAULT_CONTRAST
    from groundviz.methods.running.choose import choose

    if chosen.methods:
        usual = choose(chosen.methods)
    elif chosen.against:
        usual = choose(DEFAULT_CONTRAST)
    else:
        usual = choose(DEFAULT)
    given = values.by_method(usual, chosen.option)
    recipes = choose(given)
    for name, options in given.items():
        for option, value in options.items():
            _refuse_kind(name, option, value, usual[name][option])
    return recipes


def _refuse_kind(name: str, option: str, value: object, usual: object) -> None:
    """Refuse a word where a method's option is a number, or a number where it is a word."""
    # In Python a bool is an int, too.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        bool: isinstance(value, bool),
        int: number and not isinstance(value, float),
        float: number,
        str: isinstance(value, str),
    }
    if not fits.get(type(usual), True):
        raise UnknownName(
            f"{name} cannot take {option}={value!r}: it is {usual!r} unless given. Give a value of that kind."
        )


def _settings(chosen: argparse.Namespace) -> Mapping[str, Any]:
    """The arguments of `explain` that were given; it has defaults for the others."""
    certify = None
    if chosen.no_certify:
        certify = False
    wanted = {
        "answer": chosen.answer,
        "target": chosen.target,
        "against": chosen.against,
        "generation": chosen.generation or None,
        "system": chosen.system,
        "seed": chosen.seed,
        "label": chosen.label,
        "certify": certify,
    }
    settings = {name: value for name, value in wanted.items() if value is not None}
    extent = chosen.evidence
    # A challenge makes the same checks, with as many copies as were asked for.
    if extent == "full" and chosen.challenge:
        extent = "quick"
    if extent != "quick":
        settings["evidence"] = None if extent == "none" else extent
    return settings


def _cases(
    chosen: argparse.Namespace, places: Sequence[str], recipes: Recipes, *, several: bool
) -> Iterator[Case]:
    for number, place in enumerate(places, start=1):
        title = f"image {number} of {len(places)}"
        # With --name the names of the images are not printed either: the output may become a log.
        if chosen.name is None:
            title += f" ({Path(place).name})"
        together = (place, *chosen.others)
        stem = naming.stem(chosen, together, recipes, number if several else None)
        yield Case(together, stem, title)


def _not_taken(
    chosen: argparse.Namespace, cases: Sequence[Case], folder: Path, *, several: bool
) -> list[Case]:
    """The cases that have no results yet; existing results of the others stay as they are.

    Raises:
        StoreError: There is a single case, and files of its name exist.
    """
    free = [case for case in cases if chosen.overwrite or not naming.taken(folder, case.stem)]
    there = len(cases) - len(free)
    if there and not several:
        raise StoreError(
            "Files of that name are there already: the same was asked before, or the same --name given. "
            "Pass --overwrite to replace them, or give another --name or --out."
        )
    if there:
        complain(
            f"groundviz: note: the results of {there} of {len(cases)} are there already and are left as they "
            "are; --overwrite asks again"
        )
    return free
