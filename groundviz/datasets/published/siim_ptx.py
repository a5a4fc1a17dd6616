"""SIIM-ACR pneumothorax: masks on chest X-rays, as run-length codes of a challenge on Kaggle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from groundviz.datasets import rle
from groundviz.datasets.card import DATASETS
from groundviz.datasets.choices import of_findings
from groundviz.datasets.image_files import ImageFolder
from groundviz.datasets.reading import found, needed, table
from groundviz.datasets.sample import Dataset, Region

VERSION = "2019"
SIZE = (1024, 1024)
FINDING = "Pneumothorax"
_EMPTY = "-1"


@dataclass(frozen=True)
class _Images(ImageFolder):
    """The images: in folders of study and series, as on Kaggle, or beside each other."""

    def names(self, image: str) -> Iterator[str]:
        for home in ("dicom-images-train/", "train/", ""):
            yield f"{home}{image}.dcm"

    def path(self, image: str) -> Path | None:
        """Where an image is; the folders that Kaggle puts around it have codes of their own."""
        direct = super().path(image)
        if direct is not None or not image.replace(".", "").isalnum():
            return direct
        return found(self.root, f"dicom-images-train/*/*/{image}.dcm", required=False)


@DATASETS.register(
    "siim_ptx",
    shows="Masks of pneumothoraces on chest X-rays.",
    publisher="SIIM, ACR and STR, on Kaggle",
    version=VERSION,
    license="the rules of the challenge on Kaggle",
    access="Kaggle, by accepting the rules of the challenge",
    annotation="run-length codes, relative, column by column, of 1024 by 1024 pixels",
    files="train-rle.csv, dicom-images-train/",
    contamination="Its images are of NIH ChestX-ray14, which is in the training data of most chest X-ray "
    "models.",
    citation="SIIM-ACR Pneumothorax Segmentation Challenge, Kaggle 2019",
    quirks=(
        "The name of the second column begins with a blank, and so do some of its cells.",
        "Starts of runs count from the end of the last run, not from the image's corner.",
        "An image has a row for each pneumothorax: all are its mask. Some published code keeps the last row "
        "alone.",
        "Rows of -1 have no pneumothorax.",
        "No patients are told apart: samples are drawn by image.",
    ),
)
def siim_ptx(root: Path) -> Dataset:
    """Every image with a pneumothorax, and its mask.

    Args:
        root: The folder of train-rle.csv and of the images.

    Raises:
        DataError: A file is missing or damaged.
    """
    codes: dict[str, list[str]] = {}
    empty = 0
    for row in table(needed(root, "train-rle.csv", "stage_2_train.csv"), ["ImageId", "EncodedPixels"]):
        code = row["EncodedPixels"].strip()
        if code == _EMPTY:
            empty += 1
        else:
            codes.setdefault(row["ImageId"].strip(), []).append(code)
    marked = {}
    for image, of_image in codes.items():
        data = rle.from_relative(of_image, SIZE)
        marked[image, FINDING] = [Region(kind="rle", data=data, size=SIZE, label=FINDING)]
    return Dataset(
        name="siim_ptx",
        version=VERSION,
        samples=of_findings("siim_ptx", VERSION, marked),
        root=root,
        opened=_Images(root),
        dropped={"no pneumothorax": empty} if empty else {},
    )
