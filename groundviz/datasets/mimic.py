"""What the data sets on images of MIMIC-CXR share: its tree of files, its patients and its split."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from groundviz.datasets.image_files import ImageFolder
from groundviz.datasets.reading import each_row, found
from groundviz.errors import DataError

SPLITS = ("train", "validate", "test")
ACCESS = "PhysioNet, credentialed: training in human research, and a signed data use agreement"
LICENSE = "PhysioNet Credentialed Health Data License 1.5.0"
CONTAMINATION = (
    "Its images are MIMIC-CXR's. LLaVA-Rad, MAIRA-2, MedGemma and many others were trained on MIMIC-CXR's "
    "training split: report its test split beside all."
)
IMAGES = "the images of MIMIC-CXR-JPG (or MIMIC-CXR) under files/, or in the folder that images= names"
# PhysioNet's split and record lists, packed or not.
_SPLIT = ("mimic-cxr-2.*-split.csv.gz", "mimic-cxr-2.*-split.csv")
_RECORDS = (
    "mimic-cxr-2.*-metadata.csv.gz",
    "mimic-cxr-2.*-metadata.csv",
    "utils/cxr-record-list_view.csv",
    "cxr-record-list.csv.gz",
    "cxr-record-list.csv",
)
_PATH = re.compile(r"(p\d\d)/p(\d+)/s(\d+)/([^/]+?)(?:\.[A-Za-z]+)?$")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image stands in MIMIC-CXR's tree.

    Attributes:
        image: Its name, as in `Sample.image`: "files/p10/p10000032/s50414267/....jpg".
        patient: MIMIC's subject.
        study: MIMIC's study.
        dicom: MIMIC's code of the image.
    """

    image: str
    patient: str
    study: str
    dicom: str


def place_of(path: str) -> Place:
    """The patient and study in the path of an image, whatever stands before it.

    Raises:
        DataError: It is no path of MIMIC-CXR.

    >>> place_of("mimic/p10/p10000032/s50414267/02aa804e.jpg").image
    'files/p10/p10000032/s50414267/02aa804e.jpg'
    """
    match = _PATH.search(path.replace("\\", "/"))
    if match is None:
        raise DataError(
            "A path of an image is not of MIMIC-CXR: expected p10/p(patient)/s(study)/(image).jpg at its end."
        )
    group, patient, study, dicom = match.groups()
    return Place(f"files/{group}/p{patient}/s{study}/{dicom}.jpg", patient, study, dicom)


@dataclass(frozen=True)
class MimicImages(ImageFolder):
    """MIMIC-CXR's images, as JPG or as DICOM, with or without the folder "files"."""

    def names(self, image: str) -> Iterator[str]:
        """The names an image may have."""
        bare = image.removeprefix("files/").removesuffix(".jpg")
        for folder in ("files/", ""):
            for ending in (".jpg", ".dcm", ".png"):
                yield f"{folder}{bare}{ending}"


def images_in(root: Path, images: str | None) -> MimicImages:
    """The images, in the folder of the annotations or in one of their own.

    Raises:
        DataError: The folder does not exist.
    """
    if images is None:
        return MimicImages(root if root.is_dir() else root.parent)
    folder = Path(images).expanduser()
    if not folder.is_dir():
        raise DataError("The folder that images= names does not exist. Name the one that holds files/.")
    return MimicImages(folder)


def splits_of(dicoms: Collection[str], *roots: Path) -> Mapping[str, str]:
    """MIMIC-CXR's own split of some images, by their codes; empty where its table is in no folder."""
    for root in roots:
        path = found(root, *_SPLIT, required=False)
        if path is not None:
            rows = each_row(path, ["dicom_id", "split"])
            return {row["dicom_id"]: row["split"] for row in rows if row["dicom_id"] in dicoms}
    return {}


def places_of(dicoms: Collection[str], *roots: Path) -> Mapping[str, Place]:
    """The places of some images in MIMIC-CXR's tree, by their codes.

    Raises:
        DataError: No folder has MIMIC's table of images.
    """
    for root in roots:
        path = found(root, *_RECORDS, required=False)
        if path is not None:
            rows = each_row(path, ["subject_id", "study_id", "dicom_id"])
            return {row["dicom_id"]: _placed(row) for row in rows if row["dicom_id"] in dicoms}
    raise DataError(
        "The annotations name images by their codes alone, and no folder has MIMIC-CXR's table of images. "
        f"Expected one of: {', '.join(_RECORDS)}."
    )


def _placed(row: Mapping[str, str]) -> Place:
    patient, study = row["subject_id"], row["study_id"]
    return place_of(f"p{patient[:2]}/p{patient}/s{study}/{row['dicom_id']}.jpg")


def require_splits(splits: Mapping[str, str]) -> None:
    """Stop who asks for MIMIC's split where its table is missing.

    Raises:
        DataError: It is.
    """
    if not splits:
        raise DataError(
            "mimic_split needs MIMIC-CXR-JPG's table of splits, mimic-cxr-2.0.0-split.csv.gz. Put it beside "
            "the images."
        )
