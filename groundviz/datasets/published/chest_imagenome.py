"""Chest ImaGenome's gold boxes: 26 places of the anatomy on chest X-rays of MIMIC-CXR."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from groundviz.datasets import mimic
from groundviz.datasets.card import DATASETS, Count
from groundviz.datasets.choices import Identities, require_choice
from groundviz.datasets.reading import needed, number, table
from groundviz.datasets.sample import Dataset, Region, Sample
from groundviz.errors import DataError

VERSION = "1.0.0"
# By name: the file has them in the order x1, x2, y1, y2.
_CORNERS = ("original_x1", "original_y1", "original_x2", "original_y2")
_NAME = "gold_bbox_coordinate_annotations_1000images.csv"


@DATASETS.register(
    "chest_imagenome",
    shows="Boxes of 26 places of the anatomy on 1,000 chest X-rays, corrected by hand.",
    publisher="IBM Research and MIT, on PhysioNet",
    version=VERSION,
    license=mimic.LICENSE,
    access=mimic.ACCESS,
    annotation="boxes original_x1, original_x2, original_y1, original_y2, in pixels of the original image",
    files=f"gold_dataset/{_NAME}, utils/cxr-record-list_view.csv; {mimic.IMAGES}",
    contamination=f"{mimic.CONTAMINATION} Nearly all of its patients are in the training split.",
    citation='Wu et al., "Chest ImaGenome Dataset for Clinical Reasoning", NeurIPS Datasets and Benchmarks '
    "2021",
    quirks=(
        "The columns of the original corners stand in the order x1, x2, y1, y2.",
        "x1, y1, x2 and y2 are those of a copy of 224 by 224 with black borders: not the original's.",
        "width and height, also the original's, are the box's, not the image's.",
        "image_id ends in .dcm; which patient it is stands in another table.",
        "Regions are anatomy, not findings: a map of a disease need not lie in one.",
    ),
    counts=(
        Count(what="images", expected=1000),
        Count(what="patients", expected=500),
        Count(what="regions", expected=25989),
    ),
)
def chest_imagenome(root: Path, *, images: str | None = None, mimic_split: str | None = None) -> Dataset:
    """Every image and place of the anatomy, with its box.

    Args:
        root: The folder of Chest ImaGenome.
        images: The folder of MIMIC-CXR-JPG or MIMIC-CXR, if it is another one.
        mimic_split: Keep the images of this split of MIMIC-CXR: "train", "validate" or "test".

    Raises:
        DataError: A file is missing or damaged, or MIMIC's table of images is in neither folder.
        OptionError: There is no such split.
    """
    require_choice("mimic_split", mimic_split, (None, *mimic.SPLITS))
    path = needed(root, f"gold_dataset/{_NAME}", _NAME)
    rows = table(path, ["image_id", "bbox_name", *_CORNERS])
    folder = mimic.images_in(root, images)
    dicoms = {row["image_id"].removesuffix(".dcm") for row in rows}
    places = mimic.places_of(dicoms, root, folder.root)
    splits = mimic.splits_of(dicoms, folder.root, root)
    if mimic_split is not None:
        mimic.require_splits(splits)
    grouped: dict[tuple[str, str], list[Region]] = {}
    for count, row in enumerate(rows, start=2):
        key = row["image_id"].removesuffix(".dcm"), row["bbox_name"]
        grouped.setdefault(key, []).append(_region(row, count))
    identities = Identities("chest_imagenome", VERSION)
    samples = []
    for (dicom, name), regions in grouped.items():
        if dicom not in places:
            raise DataError("An annotated image is not in MIMIC-CXR's table of images. Is it an excerpt?")
        if mimic_split is None or splits.get(dicom) == mimic_split:
            samples.append(_sample(places[dicom], name, regions, (splits, identities)))
    return Dataset(name="chest_imagenome", version=VERSION, samples=tuple(samples), root=root, opened=folder)


def _region(row: Mapping[str, str], count: int) -> Region:
    left, top, right, bottom = (number(row[name], f"{name} in row {count}") for name in _CORNERS)
    if right < left or bottom < top:
        raise DataError(f"The box of row {count} ends before it begins. Are the columns in another order?")
    annotator = row.get("annotator") or None
    return Region(kind="box", data=(left, top, right, bottom), label=row["bbox_name"], annotator=annotator)


def _sample(
    place: mimic.Place, name: str, regions: list[Region], known: tuple[Mapping[str, str], Identities]
) -> Sample:
    splits, identities = known
    facts = {"dicom_id": place.dicom}
    if place.dicom in splits:
        facts["mimic_split"] = splits[place.dicom]
    return Sample(
        sample_id=identities(place.image, phrase=name, finding=name),
        dataset="chest_imagenome",
        version=VERSION,
        split="",
        image=place.image,
        patient=place.patient,
        study=place.study,
        phrase=name,
        finding=name,
        regions=tuple(regions),
        facts=facts,
    )
