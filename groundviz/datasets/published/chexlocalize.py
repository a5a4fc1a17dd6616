"""CheXlocalize: radiologists' segmentations of ten findings on CheXpert's validation and test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundviz.datasets import rle
from groundviz.datasets.card import DATASETS, Count
from groundviz.datasets.choices import Identities, several
from groundviz.datasets.image_files import ImageFolder
from groundviz.datasets.reading import found, json_of, needed, number, whole
from groundviz.datasets.sample import Dataset, Region, Sample
from groundviz.errors import DataError
from groundviz.record.types import Bools

VERSION = "1.0"
SPLITS = ("val", "test")
TASKS = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Lesion",
    "Airspace Opacity",
    "Edema",
    "Consolidation",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Support Devices",
)
# What CheXpert's own tables call a task.
CHEXPERT_NAMES = {"Airspace Opacity": "Lung Opacity"}
_HOMES = ("CheXlocalize/", "")

Entries = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class _Images(ImageFolder):
    """CheXpert's images, beside the annotations or above them, under either name of the split's folder."""

    def names(self, image: str) -> Iterator[str]:
        bare = image.removeprefix("CheXpert/")
        for home in ("CheXpert/", "", "CheXpert-v1.0/"):
            yield f"{home}{bare}"
            if bare.startswith("val/"):
                yield f"{home}valid/{bare.removeprefix('val/')}"


@DATASETS.register(
    "chexlocalize",
    shows="Radiologists' outlines of ten findings on chest X-rays, and how well other radiologists do.",
    publisher="Stanford AIMI",
    version=VERSION,
    license="Stanford University Dataset Research Use Agreement; the code is MIT",
    access="registration with Stanford AIMI, for CheXlocalize and for CheXpert",
    annotation="polygons in pixels of the image, the same as run-length codes, and points of human readers",
    files="CheXlocalize/gt_annotations_val.json or gt_segmentations_val.json (and test), "
    "hb_segmentations_test.json, hb_salient_pt_test.json; CheXpert/val/, CheXpert/test/",
    contamination="The images are CheXpert's validation and test sets: models trained on CheXpert were "
    "chosen by the former.",
    citation='Saporta et al., "Benchmarking saliency methods for chest X-ray interpretation", Nature Machine '
    "Intelligence 2022",
    quirks=(
        "A finding that is absent has no entry in gt_annotations, and an empty mask in gt_segmentations.",
        "Images without any finding are in neither.",
        "Some entries of the test split state no img_size: the size of their run-length code is taken.",
        "Airspace Opacity is called Lung Opacity in CheXpert's tables.",
        "img_size and size are rows, columns; cxr_dims in the published maps is columns, rows.",
        "The published maps are pickles, which can run any code: they are not read. Segmentations in JSON "
        "are.",
        "The human benchmark's points hit if any of them lies inside.",
    ),
    counts=(
        Count(what="images", expected=187, split="val"),
        Count(what="samples", expected=643, split="val"),
        Count(what="images", expected=499, split="test"),
    ),
)
def chexlocalize(root: Path, *, split: Any = None, images: str | None = None) -> Dataset:
    """Every image and finding that is there, with its outlines.

    Role "primary" is the reference; "human_benchmark" are segmentations (annotator "segmentation") and the
    points (annotator "points") of other radiologists, on the test split.

    Args:
        root: The folder of CheXlocalize, or the one above, which holds CheXpert, too.
        split: "val", "test", or both; the ones that are there unless named.
        images: The folder that holds CheXpert, if it is another one.

    Raises:
        DataError: A file is missing or damaged.
        OptionError: There is no such split.
    """
    wanted = several("split", split, SPLITS)
    stems = ("gt_annotations", "gt_segmentations")
    there = [one for one in wanted if any(_file(root, stem, one) for stem in stems)]
    if not there or (split is not None and len(there) < len(wanted)):
        needed(root, *(f"{home}gt_annotations_{one}.json" for one in wanted for home in _HOMES))
    identities = Identities("chexlocalize", VERSION)
    dropped = {"an outline of fewer than 3 points": 0}
    samples = []
    for one in there:
        samples += list(_of_split(root, one, identities, dropped))
    folder = root
    if images is not None:
        folder = Path(images).expanduser()
    elif not (root / "CheXpert").is_dir() and (root.parent / "CheXpert").is_dir():
        folder = root.parent
    return Dataset(
        name="chexlocalize",
        version=VERSION,
        samples=tuple(samples),
        root=root,
        opened=_Images(folder),
        dropped={reason: count for reason, count in dropped.items() if count},
    )


def segmentations(path: Path) -> dict[tuple[str, str], Bools]:
    """Masks in the publisher's form, such as a model's thresholded maps, by image and task.

    Args:
        path: A JSON file: {image: {task: {"size": [rows, columns], "counts": "..."}}}.

    Raises:
        DataError: It is no JSON, such as one of the publisher's pickles, or a code is damaged.
    """
    if path.suffix != ".json":
        raise DataError(
            f"Segmentations are read from JSON alone; this is {path.suffix or 'something else'}. A pickle "
            "can run any code when it is opened: let the publisher's own scripts turn it into JSON."
        )
    masks = {}
    for image, tasks in _entries(path).items():
        for task, code in tasks.items():
            if task in TASKS:
                masks[image, task] = rle.decode(code)
    return masks


def _file(root: Path, stem: str, split: str) -> Path | None:
    return found(root, *(f"{home}{stem}_{split}.json" for home in _HOMES), required=False)


def _entries(path: Path | None) -> Entries:
    """{image: {task: ...}}; nothing for a file that is not there."""
    if path is None:
        return {}
    content = json_of(path)
    if not isinstance(content, dict) or not all(isinstance(entry, dict) for entry in content.values()):
        raise DataError("A JSON file of CheXlocalize is no object of objects. It may be another file.")
    return content


def _of_split(root: Path, split: str, identities: Identities, dropped: dict[str, int]) -> Iterator[Sample]:
    outlines = _entries(_file(root, "gt_annotations", split))
    codes = _entries(_file(root, "gt_segmentations", split))
    human = _entries(_file(root, "hb_segmentations", split))
    points = _entries(_file(root, "hb_salient_pt", split))
    for key in sorted(set(outlines) | set(codes)):
        size = _size(outlines.get(key, {}), codes.get(key, {}))
        for task in TASKS:
            polygons = outlines.get(key, {}).get(task, [])
            regions = list(_polygons(polygons, size, task, dropped))
            if not outlines and task in codes.get(key, {}):
                regions = _code(codes[key][task], task)
            if not regions:
                continue
            regions += _human(human.get(key, {}).get(task), points.get(key, {}).get(task), size, task)
            yield _sample(key, task, split, (tuple(regions), identities))


def _size(outline: Mapping[str, Any], codes: Mapping[str, Any]) -> tuple[int, int] | None:
    """Rows and columns of the image, from wherever they are stated."""
    stated = outline.get("img_size")
    if stated is None:
        return next((rle.size_of(code) for task, code in codes.items() if task in TASKS), None)
    if not isinstance(stated, list) or len(stated) != 2:
        raise DataError("An img_size is no pair of rows and columns. Get the file again.")
    rows, cols = (whole(side, "an img_size") for side in stated)
    return rows, cols


def _polygons(
    polygons: list[Any], size: tuple[int, int] | None, task: str, dropped: dict[str, int]
) -> Iterator[Region]:
    for polygon in polygons:
        if len(polygon) < 3:
            dropped["an outline of fewer than 3 points"] += 1
            continue
        data = tuple((number(x, "an outline"), number(y, "an outline")) for x, y in polygon)
        yield Region(kind="polygon", data=data, size=size, label=task)


def _code(code: Mapping[str, Any], task: str) -> list[Region]:
    """The region of a run-length code; none where it marks nothing."""
    if not rle.decode(code).any():
        return []
    return [Region(kind="rle", data=dict(code), size=rle.size_of(code), label=task)]


def _human(
    code: Mapping[str, Any] | None, points: list[Any] | None, size: tuple[int, int] | None, task: str
) -> Iterator[Region]:
    """What radiologists who did not draw the reference marked."""
    if code is not None:
        yield Region(
            kind="rle",
            data=dict(code),
            size=rle.size_of(code),
            label=task,
            annotator="segmentation",
            role="human_benchmark",
        )
    for x, y in points or ():
        point = number(x, "a salient point"), number(y, "a salient point")
        yield Region(
            kind="point", data=point, size=size, label=task, annotator="points", role="human_benchmark"
        )


def _sample(key: str, task: str, split: str, found_here: tuple[tuple[Region, ...], Identities]) -> Sample:
    regions, identities = found_here
    patient, _, rest = key.partition("_")
    study, _, view = rest.partition("_")
    if not (patient.startswith("patient") and study.startswith("study") and view):
        raise DataError(
            "A key of CheXlocalize is not like patient1_study1_view1_frontal. Is it another file?"
        )
    image = f"CheXpert/{split}/{patient}/{study}/{view}.jpg"
    return Sample(
        sample_id=identities(image, finding=task),
        dataset="chexlocalize",
        version=VERSION,
        split=split,
        image=image,
        patient=patient,
        study=f"{patient}/{study}",
        finding=task,
        regions=regions,
        facts={"chexpert_label": CHEXPERT_NAMES.get(task, task)},
    )
