"""The pneumonia challenge of the RSNA: boxes of lung opacities on chest X-rays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from groundviz.datasets.card import DATASETS
from groundviz.datasets.choices import of_findings
from groundviz.datasets.image_files import ImageFolder
from groundviz.datasets.reading import needed, number, table
from groundviz.datasets.sample import Dataset, Region

VERSION = "stage 2"
SIZE = (1024, 1024)
FINDING = "Lung Opacity"
_CORNERS = ("x", "y", "width", "height")


@dataclass(frozen=True)
class _Images(ImageFolder):
    """The images, in the challenge's folder or beside the table."""

    def names(self, image: str) -> Iterator[str]:
        yield f"stage_2_train_images/{image}.dcm"
        yield f"{image}.dcm"


@DATASETS.register(
    "rsna_pneumonia",
    shows="Boxes of lung opacities that may be pneumonia, on chest X-rays.",
    publisher="RSNA and STR, on Kaggle",
    version=VERSION,
    license="the rules of the challenge on Kaggle",
    access="Kaggle, by accepting the rules of the challenge",
    annotation="boxes x, y, width, height, in pixels of the DICOM image of 1024 by 1024",
    files="stage_2_train_labels.csv, stage_2_train_images/",
    contamination="Its images are of NIH ChestX-ray14, which is in the training data of most chest X-ray "
    "models.",
    citation='Shih et al., "Augmenting the National Institutes of Health Chest Radiograph Dataset with '
    'Expert Annotations of Possible Pneumonia", Radiology: Artificial Intelligence 2019',
    quirks=(
        "A row is a box: an image has several.",
        "Rows whose Target is 0 have no box.",
        "patientId is a code of the image. No patients are told apart: samples are drawn by image.",
    ),
)
def rsna_pneumonia(root: Path) -> Dataset:
    """Every image with an opacity, and its boxes.

    Args:
        root: The folder of stage_2_train_labels.csv and of the images.

    Raises:
        DataError: A file is missing or damaged.
    """
    boxes: dict[str, list[Region]] = {}
    without = 0
    rows = table(needed(root, "stage_2_train_labels.csv"), ["patientId", *_CORNERS, "Target"])
    for count, row in enumerate(rows, start=2):
        if row["Target"].strip() == "0":
            without += 1
            continue
        left, top, width, height = (number(row[name], f"{name} in row {count}") for name in _CORNERS)
        data = (left, top, left + width, top + height)
        boxes.setdefault(row["patientId"], []).append(Region(kind="box", data=data, size=SIZE, label=FINDING))
    marked = {(image, FINDING): regions for image, regions in boxes.items()}
    return Dataset(
        name="rsna_pneumonia",
        version=VERSION,
        samples=of_findings("rsna_pneumonia", VERSION, marked),
        root=root,
        opened=_Images(root),
        dropped={"no opacity": without} if without else {},
    )
