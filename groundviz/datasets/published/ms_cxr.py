"""MS-CXR: phrases of reports and the boxes that show them, on images of MIMIC-CXR."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundviz.datasets import mimic
from groundviz.datasets.card import DATASETS, Count
from groundviz.datasets.choices import Identities, require_choice, several
from groundviz.datasets.reading import json_of, newest, number, require_columns, table, whole
from groundviz.datasets.sample import Dataset, Region, Sample
from groundviz.errors import DataError

SPLITS = ("train", "val", "test")
CATEGORIES = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Lung Opacity",
    "Pleural Effusion",
    "Pneumonia",
    "Pneumothorax",
)
_COLUMNS = (
    "dicom_id",
    "category_name",
    "label_text",
    "path",
    "x",
    "y",
    "w",
    "h",
    "image_width",
    "image_height",
)


@dataclass(frozen=True, slots=True)
class _Box:
    """One row: a phrase and one of the boxes that show it."""

    place: mimic.Place
    category: str
    phrase: str
    split: str
    region: Region


@DATASETS.register(
    "ms_cxr",
    shows="Phrases of chest X-ray reports, and boxes that radiologists drew for them.",
    publisher="Microsoft Research, on PhysioNet",
    version="1.1.0",
    license=mimic.LICENSE,
    access=mimic.ACCESS,
    annotation="boxes, left, top, width, height, in pixels of the original image",
    files=f"MS_CXR_Local_Alignment_v1.1.0.csv (or .json); {mimic.IMAGES}",
    contamination=f"{mimic.CONTAMINATION} The split of MS-CXR is another one than MIMIC-CXR's.",
    citation='Boecking et al., "Making the Most of Text Semantics to Improve Biomedical Vision-Language '
    'Processing", ECCV 2022',
    quirks=(
        "A row is a box. What is evaluated is an image and a phrase, with all boxes of the phrase together.",
        "The JSON file has 1,120 records of 1,047 images: records of one path are one image here.",
        "Phrases that differ in upper and lower case alone are one phrase.",
        "Version 1.0.0 has no split.",
        "A published evaluation marks mask[y:h, x:w] for a box; a box ends at y + h and x + w.",
    ),
    counts=(
        Count(what="samples", expected=1162),
        Count(what="images", expected=1047),
        Count(what="patients", expected=851),
        Count(what="regions", expected=1448),
        Count(what="regions", expected=1020, split="train"),
        Count(what="regions", expected=212, split="val"),
        Count(what="regions", expected=216, split="test"),
    ),
    leave_none_out=("images", "annotations"),
)
def ms_cxr(
    root: Path,
    *,
    images: str | None = None,
    split: Any = None,
    mimic_split: str | None = None,
    annotations: str = "csv",
) -> Dataset:
    """Every image and phrase, with the boxes of the phrase.

    Args:
        root: The folder of the annotations.
        images: The folder of MIMIC-CXR-JPG or MIMIC-CXR, if it is another one.
        split: MS-CXR's own: "train", "val", "test", or several of them.
        mimic_split: Keep the images of this split of MIMIC-CXR: "train", "validate" or "test". It needs
            mimic-cxr-2.0.0-split.csv.gz; where that is, each sample's facts state its `mimic_split`.
        annotations: "csv" or "json": the publisher's two files say the same.

    Raises:
        DataError: A file is missing or damaged.
        OptionError: An option has none of its values.
    """
    require_choice("annotations", annotations, ("csv", "json"))
    require_choice("mimic_split", mimic_split, (None, *mimic.SPLITS))
    kept = several("split", split, SPLITS) if split is not None else None
    path = newest(root, f"MS_CXR_Local_Alignment_v*.{annotations}")
    version = _version(path)
    boxes = list(_of_table(path) if annotations == "csv" else _of_json(path))
    folder = mimic.images_in(root, images)
    splits = mimic.splits_of({box.place.dicom for box in boxes}, folder.root, root)
    if mimic_split is not None:
        mimic.require_splits(splits)
    grouped: dict[tuple[str, str], list[_Box]] = {}
    for box in boxes:
        grouped.setdefault((box.place.image, box.phrase.lower()), []).append(box)
    identities = Identities("ms_cxr", version)
    samples = []
    for same in grouped.values():
        sample = _sample(same, version, splits, identities)
        wanted = mimic_split is None or sample.facts.get("mimic_split") == mimic_split
        if wanted and (kept is None or sample.split in kept):
            samples.append(sample)
    return Dataset(name="ms_cxr", version=version, samples=tuple(samples), root=root, opened=folder)


def _version(path: Path) -> str:
    match = re.search(r"_v(\d[\d.]*\d)\.", path.name)
    return match[1] if match else "unknown"


def _of_table(path: Path) -> Iterator[_Box]:
    for count, row in enumerate(table(path, _COLUMNS), start=2):
        corners = [row[name] for name in "xywh"]
        size = row["image_height"], row["image_width"]
        yield _box(
            row["path"], row["category_name"], row["label_text"], row.get("split", ""), (corners, size, count)
        )


def _of_json(path: Path) -> Iterator[_Box]:
    """The COCO file: records of one image may be several, so what counts is their path."""
    content = json_of(path)
    if not isinstance(content, dict):
        raise DataError("The JSON file is no COCO file: expected an object with images and annotations.")
    require_columns(content, ("categories", "images", "annotations"))
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    records = {entry["id"]: entry for entry in content["images"]}
    for count, entry in enumerate(content["annotations"], start=1):
        require_columns(entry, ("image_id", "category_id", "bbox", "label_text"))
        record = records.get(entry["image_id"])
        if record is None or entry["category_id"] not in names or len(entry["bbox"]) != 4:
            raise DataError(f"Annotation {count} names no image or category of the file, or has no box.")
        size = record["height"], record["width"]
        category = names[entry["category_id"]]
        numbers = (entry["bbox"], size, count)
        yield _box(record["path"], category, entry["label_text"], entry.get("split", ""), numbers)


def _box(path: str, category: str, phrase: str, split: str, numbers: tuple[Any, Any, int]) -> _Box:
    corners, size, count = numbers
    left, top, width, height = (number(value, f"a box in entry {count}") for value in corners)
    rows, cols = (whole(value, f"the image's size in entry {count}") for value in size)
    region = Region(
        kind="box", data=(left, top, left + width, top + height), size=(rows, cols), label=category
    )
    return _Box(mimic.place_of(path), category, phrase.strip(), split, region)


def _sample(boxes: list[_Box], version: str, splits: Mapping[str, str], identities: Identities) -> Sample:
    first = boxes[0]
    facts: dict[str, Any] = {"dicom_id": first.place.dicom}
    categories = sorted({box.category for box in boxes})
    if len(categories) > 1:
        facts["findings"] = categories
    if first.place.dicom in splits:
        facts["mimic_split"] = splits[first.place.dicom]
    return Sample(
        sample_id=identities(first.place.image, phrase=first.phrase, finding=first.category),
        dataset="ms_cxr",
        version=version,
        split=first.split,
        image=first.place.image,
        patient=first.place.patient,
        study=first.place.study,
        phrase=first.phrase,
        finding=first.category,
        regions=tuple(box.region for box in boxes),
        facts=facts,
    )
