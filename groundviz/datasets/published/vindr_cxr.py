"""VinDr-CXR: boxes of 22 findings on chest X-rays, by three radiologists or by their consensus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

from groundviz.datasets.card import DATASETS
from groundviz.datasets.choices import Identities, several
from groundviz.datasets.image_files import ImageFolder
from groundviz.datasets.reading import found, needed, number, table
from groundviz.datasets.sample import Dataset, Region, Sample
from groundviz.errors import DataError, OptionError

VERSION = "1.0.0"
SPLITS = ("train", "test")
NO_FINDING = "No finding"
_CORNERS = ("x_min", "y_min", "x_max", "y_max")
_HOMES = ("annotations/", "")

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Images(ImageFolder):
    """The images, in the folder of their split or beside each other."""

    def names(self, image: str) -> Iterator[str]:
        folder, _, code = image.partition("/")
        for home in (f"{folder}/", ""):
            for ending in (".dicom", ".dcm"):
                yield f"{home}{code}{ending}"


@DATASETS.register(
    "vindr_cxr",
    shows="Boxes of 22 findings on chest X-rays, by three radiologists (train) or in consensus (test).",
    publisher="Vingroup Big Data Institute, on PhysioNet",
    version=VERSION,
    license="PhysioNet Credentialed Health Data License 1.5.0",
    access="PhysioNet, credentialed: training in human research, and a signed data use agreement",
    annotation="boxes x_min, y_min, x_max, y_max, in pixels of the DICOM image, with fractions",
    files="annotations/annotations_train.csv, annotations/annotations_test.csv, train/ and test/ with .dicom "
    "files",
    contamination="Its training split is in many chest X-ray models, and was a challenge on Kaggle.",
    citation='Nguyen et al., "VinDr-CXR: An open dataset of chest X-rays with radiologist\'s annotations", '
    "Scientific Data 2022",
    quirks=(
        "Each training image has three readers. The reference is what at least two of them marked, pixel by "
        "pixel; some published code averages the corners of boxes of different lesions.",
        "Rows of No finding have no coordinates.",
        "The table of the test split has no reader; Kaggle's table has a further column class_id.",
        "Images may store bright as low values (MONOCHROME1), which is undone when they are opened.",
        "Boxes are for the DICOM images: copies of another size, as on Kaggle, do not fit.",
        "No patients are told apart: samples are drawn by image.",
    ),
)
def vindr_cxr(root: Path, *, split: Any = None, readers: int = 2) -> Dataset:
    """Every image and finding that somebody marked.

    Role "primary" of a training image is what `readers` of the three marked at least, and of a test image the
    consensus. Role "extra" are the boxes of each reader, by `annotator`.

    Args:
        root: The folder of annotations/, train/ and test/.
        split: "train", "test", or both; the ones that are there unless named.
        readers: How many of the three must have marked a pixel, 1 to 3.

    Raises:
        DataError: A file is missing or damaged.
        OptionError: An option has none of its values.
    """
    if readers not in (1, 2, 3):
        raise OptionError(f"readers is {readers!r}: expected 1, 2 or 3, the readers of a training image.")
    wanted = several("split", split, SPLITS)
    tables = {one: _table(root, one) for one in wanted}
    if not any(tables.values()) or (split is not None and None in tables.values()):
        needed(root, *(f"{home}annotations_{one}.csv" for one in wanted for home in _HOMES))
    identities = Identities("vindr_cxr", VERSION)
    samples: list[Sample] = []
    dropped: dict[str, int] = {}
    for one, path in tables.items():
        if path is not None:
            samples += list(_of_table(path, one, readers, (identities, dropped)))
    return Dataset(
        name="vindr_cxr",
        version=VERSION,
        samples=tuple(samples),
        root=root,
        opened=_Images(root),
        dropped=dropped,
    )


def agreed(by_reader: Sequence[Sequence[Box]], readers: int) -> list[Box]:
    """Boxes whose union is what at least so many readers marked.

    What two readers agree on is where a box of one meets a box of the other; nothing is averaged.

    >>> agreed([[(0, 0, 4, 4)], [(2, 1, 6, 3)], []], 2)
    [(2, 1, 4, 3)]
    """
    met = set()
    for group in combinations(by_reader, readers):
        for boxes in product(*group):
            left, top, right, bottom = zip(*boxes, strict=True)
            box = max(left), max(top), min(right), min(bottom)
            if box[0] < box[2] and box[1] < box[3]:
                met.add(box)
    return sorted(met)


def _table(root: Path, split: str) -> Path | None:
    names = [f"{home}annotations_{split}.csv" for home in _HOMES]
    if split == "train":
        # As on Kaggle.
        names.append("train.csv")
    return found(root, *names, required=False)


def _of_table(
    path: Path, split: str, readers: int, kept: tuple[Identities, dict[str, int]]
) -> Iterator[Sample]:
    identities, dropped = kept
    grouped: dict[tuple[str, str], dict[str, list[Box]]] = {}
    for count, row in enumerate(table(path, ["image_id", "class_name", *_CORNERS]), start=2):
        if row["class_name"] == NO_FINDING:
            dropped[NO_FINDING] = dropped.get(NO_FINDING, 0) + 1
            continue
        by_reader = grouped.setdefault((row["image_id"], row["class_name"]), {})
        by_reader.setdefault(row.get("rad_id", ""), []).append(_box(row, count))
    for (code, finding), by_reader in grouped.items():
        regions = _regions(by_reader, finding, readers)
        if not any(region.role == "primary" for region in regions):
            reason = f"no pixel marked by {readers} readers"
            dropped[reason] = dropped.get(reason, 0) + 1
            continue
        image = f"{split}/{code}"
        yield Sample(
            sample_id=identities(image, finding=finding),
            dataset="vindr_cxr",
            version=VERSION,
            split=split,
            image=image,
            finding=finding,
            regions=regions,
            facts={"readers": len(by_reader)} if "" not in by_reader else {},
        )


def _box(row: Mapping[str, str], count: int) -> Box:
    left, top, right, bottom = (number(row[name], f"{name} in row {count}") for name in _CORNERS)
    if right < left or bottom < top:
        raise DataError(f"The box of row {count} ends before it begins. Are the columns in another order?")
    return left, top, right, bottom


def _regions(by_reader: Mapping[str, list[Box]], finding: str, readers: int) -> tuple[Region, ...]:
    if "" in by_reader:
        # The consensus, which has no reader.
        return tuple(Region(kind="box", data=box, label=finding) for box in by_reader[""])
    primary = [Region(kind="box", data=box, label=finding) for box in agreed([*by_reader.values()], readers)]
    extra = [
        Region(kind="box", data=box, label=finding, annotator=reader, role="extra")
        for reader, boxes in by_reader.items()
        for box in boxes
    ]
    return (*primary, *extra)
