"""What is known of a data set, as data: stated once, where its loader is registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from groundviz.datasets.sample import Dataset
from groundviz.registry import Registry, no_function_of

NOT_STATED = "not stated"
# What `Count` counts: distinct images, distinct patients, samples, and regions of the primary role.
Counted = Literal["samples", "images", "patients", "regions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many of something the publisher states, or others counted.

    Attributes:
        what: What is counted.
        expected: How many there are.
        split: In which split; all of it where empty.
    """

    what: Counted
    expected: int
    split: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a data set's registration states. Tables, `check` and the documentation read it here.

    Attributes:
        shows: What it holds, in a sentence.
        publisher: Who publishes it.
        version: The version of the annotations that the loader was written for.
        license: The licence, in a line.
        access: How one comes by it.
        annotation: How its regions are given, in the publisher's files.
        files: What the folder must hold.
        contamination: Which models may have been trained on it; must stand beside every number.
        citation: What to cite.
        quirks: What one must know of the publisher's files: each in a sentence.
        counts: How many there are of what.
        restricted: Whether its phrases, paths and pixels must not be published.
        folder: Whether it lies in a folder; False for what a program draws.
        leave_none_out: Its options with which the counts still hold; also with `split`, for each split.

    >>> DATASETS.facts("vqa_rad").counts[1]
    Count(what='samples', expected=451, split='test')
    """

    shows: str = NOT_STATED
    publisher: str = NOT_STATED
    version: str = NOT_STATED
    license: str = NOT_STATED
    access: str = NOT_STATED
    annotation: str = NOT_STATED
    files: str = NOT_STATED
    contamination: str = NOT_STATED
    citation: str = NOT_STATED
    quirks: tuple[str, ...] = ()
    counts: tuple[Count, ...] = ()
    restricted: bool = True
    folder: bool = True
    leave_none_out: tuple[str, ...] = ("images",)


# (root, **options) -> Dataset; options are keyword-only and have defaults. `root` is the folder, or the
# file, that the reader names; a data set without a folder is given None.
Loader = Callable[..., Dataset]

DATASETS: Registry[Loader] = Registry("data set", "groundviz.datasets", no_function_of("root"), facts=Card)
