"""The boxes of NIH ChestX-ray8: 984 of them, for eight findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from groundviz.datasets.card import DATASETS, Count
from groundviz.datasets.choices import of_findings
from groundviz.datasets.image_files import ImageFolder
from groundviz.datasets.reading import needed, number, table
from groundviz.datasets.sample import Dataset, Region

VERSION = "2017"
SIZE = (1024, 1024)
# The table's spelling, and the word of the labels and of everybody else.
SPELLINGS = {"Infiltrate": "Infiltration"}
# The header is "Image Index,Finding Label,Bbox [x,y,w,h],,,": a comma of the brackets parts columns, too.
_CORNERS = ("Bbox [x", "y", "w", "h]")


@dataclass(frozen=True)
class _Images(ImageFolder):
    """The images, unpacked into one folder or into the publisher's twelve."""

    def names(self, image: str) -> Iterator[str]:
        yield f"images/{image}"
        for part in range(1, 13):
            yield f"images_{part:03}/images/{image}"
            yield f"images_{part:03}/{image}"
        yield image


@DATASETS.register(
    "nih_boxes",
    shows="Boxes of eight findings on chest X-rays, drawn by one radiologist.",
    publisher="NIH Clinical Center",
    version=VERSION,
    license="open, with attribution to the NIH Clinical Center",
    access="open: NIHCC on Box",
    annotation="boxes x, y, w, h, in pixels of the PNG of 1024 by 1024, with fractions",
    files="BBox_List_2017.csv, and the PNG files in images/ or images_001/images/ ...",
    contamination="Its images are in the training data of most chest X-ray models, those with boxes "
    "included: they belong to its own test list, which few respected.",
    citation='Wang et al., "ChestX-ray8: Hospital-Scale Chest X-Ray Database and Benchmarks", CVPR 2017',
    quirks=(
        "The table writes Infiltrate, the labels Infiltration: here it is Infiltration.",
        "The header has the four numbers of a box in one name, Bbox [x,y,w,h], and three empty columns "
        "behind.",
        "A map of where boxes of a finding usually are, which never sees the image, points right in .41 of "
        "them.",
    ),
    counts=(
        Count(what="images", expected=880),
        Count(what="patients", expected=726),
        Count(what="regions", expected=984),
    ),
    restricted=False,
)
def nih_boxes(root: Path) -> Dataset:
    """Every image and finding, with its boxes.

    Args:
        root: The folder of BBox_List_2017.csv and of the images.

    Raises:
        DataError: A file is missing or damaged.
    """
    path = needed(root, "BBox_List_2017.csv")
    grouped: dict[tuple[str, str], list[Region]] = {}
    for count, row in enumerate(table(path, ["Image Index", "Finding Label", *_CORNERS]), start=2):
        finding = SPELLINGS.get(row["Finding Label"], row["Finding Label"])
        left, top, width, height = (number(row[name], f"a box in row {count}") for name in _CORNERS)
        data = (left, top, left + width, top + height)
        region = Region(kind="box", data=data, size=SIZE, label=row["Finding Label"])
        grouped.setdefault((row["Image Index"], finding), []).append(region)
    samples = of_findings("nih_boxes", VERSION, grouped, patient=lambda image: image.partition("_")[0])
    return Dataset(name="nih_boxes", version=VERSION, samples=samples, root=root, opened=_Images(root))
