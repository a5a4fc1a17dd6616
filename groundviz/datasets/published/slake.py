"""SLAKE: questions in English and Chinese on CT, MR and X-ray images, with boxes and masks."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from groundviz.datasets.card import DATASETS, Count
from groundviz.datasets.choices import Identities, require_choice, several
from groundviz.datasets.conversations import answer_type
from groundviz.datasets.image_files import ImageFolder
from groundviz.datasets.reading import found, json_of, needed, number, records, text_of
from groundviz.datasets.regions import classes_of
from groundviz.datasets.sample import Dataset, Region, Sample
from groundviz.errors import DataError

VERSION = "1.0"
SPLITS = ("train", "validate", "test")
LANGUAGES = ("en", "zh")
# Questions on these are about a place; others, such as those on modality, are not.
PLACED = ("Organ", "Position", "Size", "Abnormality", "Shape", "Color")
LINK_RULE = (
    "A question is linked to the regions whose name in detection.json or mask.txt stands in the question or "
    "its answer, as a word, in upper or lower case and not within a longer name, if its content_type is one "
    f"of {', '.join(PLACED)}."
)
_FIELDS = ("img_id", "img_name", "question", "answer", "q_lang", "answer_type", "content_type", "qid")
_KEPT = ("qid", "location", "modality", "base_type", "content_type", "answer_type")


@dataclass(frozen=True)
class SlakeImages(ImageFolder):
    """SLAKE's tree, and that of its mirror, which repeats the folder's name in each file."""

    def names(self, image: str) -> Iterator[str]:
        """The names that "xmlab1/source.jpg" may have."""
        folder, _, file = image.partition("/")
        stem, dot, ending = file.partition(".")
        renamed = f"{stem}_{folder}{dot}{ending}"
        for home in ("imgs/", ""):
            yield f"{home}{folder}/{file}"
            yield f"{home}{folder}/{renamed}"
        yield f"data/{renamed}"
        yield renamed


@dataclass(frozen=True)
class _Case:
    """An image's annotations, read once for all of its questions."""

    files: SlakeImages
    folder: str
    classes: Mapping[str, int]

    @cached_property
    def boxes(self) -> list[tuple[str, Region]]:
        """Each name and box of detection.json."""
        path = self.files.path(f"{self.folder}/detection.json")
        if path is None:
            return []
        entries = json_of(path)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError("A detection.json is no list of objects. Get it again.")
        boxes = []
        for entry in entries:
            for name, corners in entry.items():
                left, top, width, height = (number(value, "a box of detection.json") for value in corners)
                data = (left, top, left + width, top + height)
                boxes.append((name, Region(kind="box", data=data, label=name)))
        return boxes

    @cached_property
    def masks(self) -> list[tuple[str, Region]]:
        """Each name and mask of mask.png, whose first channel is the class."""
        path = self.files.path(f"{self.folder}/mask.png")
        if path is None or not self.classes:
            return []
        present = set(np.unique(classes_of(path)).tolist())
        where = path.relative_to(self.files.root).as_posix()
        return [
            (name, Region(kind="png", data=(where, value), label=name))
            for name, value in self.classes.items()
            if value in present
        ]


@DATASETS.register(
    "slake",
    shows="Questions in English and Chinese on CT, MR and X-ray images, with boxes and masks of organs and "
    "lesions.",
    publisher="Liu et al., The Hong Kong Polytechnic University",
    version=VERSION,
    license="CC BY 4.0",
    access="open: med-vqa.com/slake, or BoKelvin/SLAKE and Voxel51/SLAKE on the hub",
    annotation="boxes, left, top, width, height, in pixels; and mask.png, whose first channel is the class",
    files="train.json, validate.json (or validation.json), test.json, mask.txt, imgs/xmlabN/",
    contamination="It is open and small: fine-tuned models have seen its training split, and many were "
    "chosen by its test split.",
    citation='Liu et al., "SLAKE: A Semantically-Labeled Knowledge-Enhanced Dataset for Medical Visual '
    'Question Answering", ISBI 2021',
    quirks=(
        "No question is linked to a region by its publisher. " + LINK_RULE,
        "Names of regions are English, so that few Chinese questions are linked.",
        "mask.txt ends without a line break.",
        "detection.json may be empty.",
        "Left and right are the patient's, as on a radiograph: images must not be flipped.",
        "No patients are told apart: samples are drawn by image.",
    ),
    counts=(
        Count(what="samples", expected=4919, split="train"),
        Count(what="samples", expected=1053, split="validate"),
        Count(what="samples", expected=1061, split="test"),
        Count(what="images", expected=96, split="test"),
    ),
    restricted=False,
    leave_none_out=("regions",),
)
def slake(root: Path, *, split: Any = None, language: Any = "en", regions: str = "mask") -> Dataset:
    """The questions of some splits and languages; `LINK_RULE` says which have regions.

    Args:
        root: The folder of the JSON files and of imgs/.
        split: "train", "validate", "test", or several of them.
        language: "en", "zh", or both.
        regions: "mask" for the mask of a name that has one, else its box; "box" for boxes alone.

    Raises:
        DataError: A file is missing or damaged.
        OptionError: An option has none of its values.
    """
    require_choice("regions", regions, ("mask", "box"))
    languages = several("language", language, LANGUAGES)
    files = SlakeImages(root)
    classes = _classes(root)
    cases: dict[str, _Case] = {}
    identities = Identities("slake", VERSION)
    samples = []
    for one in several("split", split, SPLITS):
        path = needed(
            root, *(("validate.json", "validation.json") if one == "validate" else (f"{one}.json",))
        )
        for row in records(path, _FIELDS):
            if row["q_lang"] not in languages:
                continue
            folder = str(row["img_name"]).split("/")[0]
            if folder not in cases:
                cases[folder] = _Case(files, folder, classes)
            linked = _linked(row, cases[folder], masks=regions == "mask")
            samples.append(_sample(row, one, linked, identities))
    return Dataset(name="slake", version=VERSION, samples=tuple(samples), root=root, opened=files)


def _classes(root: Path) -> dict[str, int]:
    """The values of mask.png, by name: lines "7:Liver", the last one without its end."""
    path = found(root, "mask.txt", "imgs/mask.txt", required=False)
    classes: dict[str, int] = {}
    if path is None:
        return classes
    for line in text_of(path).splitlines():
        value, colon, name = line.partition(":")
        if colon and value.strip().isdecimal():
            classes[name.strip()] = int(value)
    if not classes:
        raise DataError("mask.txt holds no lines such as 7:Liver. Get it again.")
    return classes


def _linked(
    row: Mapping[str, Any], case: _Case, *, masks: bool
) -> tuple[tuple[str, ...], tuple[Region, ...]]:
    """The names that a question asks for, see `LINK_RULE`, and their regions."""
    if row["content_type"] not in PLACED:
        return (), ()
    drawn, boxed = _by_name(case.masks), _by_name(case.boxes)
    names = _named(f"{row['question']} {row['answer']}", {*drawn, *boxed})
    regions: list[Region] = []
    for name in names:
        if masks and name in drawn:
            regions += drawn[name]
        else:
            regions += boxed.get(name, [])
    return names, tuple(regions)


def _by_name(named: list[tuple[str, Region]]) -> dict[str, list[Region]]:
    regions: dict[str, list[Region]] = {}
    for name, region in named:
        if name.strip():
            regions.setdefault(name.strip().lower(), []).append(region)
    return regions


def _named(text: str, names: Collection[str]) -> tuple[str, ...]:
    """Which names stand in a text as words, sorted; a name within a longer one there does not count.

    >>> _named("Is the lung cancer in the liver?", {"lung", "lung cancer", "liver", "spleen"})
    ('liver', 'lung cancer')
    """
    left, found_there = text.lower(), []
    for name in sorted(names, key=len, reverse=True):
        left, times = re.subn(rf"(?<!\w){re.escape(name)}(?!\w)", "|", left)
        if times:
            found_there.append(name)
    return tuple(sorted(found_there))


def _sample(
    row: Mapping[str, Any],
    split: str,
    linked: tuple[tuple[str, ...], tuple[Region, ...]],
    identities: Identities,
) -> Sample:
    names, regions = linked
    # A question on several names belongs to none of them.
    finding = names[0] if len(names) == 1 else None
    question = str(row["question"]).strip()
    about = {"question": question, "finding": finding, "language": row["q_lang"]}
    return Sample(
        sample_id=identities(row["img_name"], **about),
        dataset="slake",
        version=VERSION,
        split=split,
        image=row["img_name"],
        answer=str(row["answer"]),
        answer_type=answer_type(row["answer_type"]),
        regions=regions,
        facts={name: row[name] for name in _KEPT if name in row},
        **about,
    )
