"""PadChest-GR: sentences of chest X-ray reports, English and Spanish, with boxes of what they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundviz import images
from groundviz.datasets.card import DATASETS
from groundviz.datasets.choices import Identities, of_split, require_choice, several
from groundviz.datasets.image_files import ImageFolder
from groundviz.datasets.reading import needed, newest, number, records, table
from groundviz.datasets.sample import SHARES, Dataset, Region, Role, Sample
from groundviz.errors import DataError, OptionError

VERSION = "2024-08-19"
SPLITS = ("train", "validation", "test")
LANGUAGES = ("en", "es")
_HOMES = ("", "Padchest_GR_files/PadChest_GR/", "Padchest_GR_files/", "PadChest_GR/", "images/")
_LISTS = ("labels", "locations")


@dataclass(frozen=True)
class PadchestImages(ImageFolder):
    """The images; those of 16 bits are shown from their darkest value to their brightest.

    Attributes:
        window: (centre, width) in stored numbers, in place of that.
    """

    window: tuple[float, float] | None = None

    def names(self, image: str) -> Iterator[str]:
        """The names an image may have."""
        for home in _HOMES:
            yield f"{home}{image}"

    def __call__(self, image: str) -> Any:
        """The image, windowed where its file has more than 8 bits: a SourceImage.

        Raises:
            DataError: It is missing.
            ImageError: It is no image.
        """
        path = super().__call__(image)
        if self.window is not None:
            return images.load(path, window=self.window)
        shown = images.load(path)
        low, high = shown.raw_range
        # With 8 bits, white is 255. Where less than that many levels come out, white was set far above the
        # brightest value.
        if low == high or float(shown.pixels.max()) * 255 > high - 0.5:
            return shown
        return images.load(path, window=((low + high) / 2, high - low))


@DATASETS.register(
    "padchest_gr",
    shows="Sentences of chest X-ray reports in English and Spanish, and boxes of the findings that they "
    "name.",
    publisher="BIMCV, University of Alicante and Microsoft",
    version=VERSION,
    license="PadChest-GR's own terms of use, for research",
    access="on request from BIMCV",
    annotation="boxes (left, top, right, bottom) as shares of the image, 0 to 1",
    files="grounded_reports_20240819.json, master_table.csv, and the PNG files, unpacked",
    contamination="MAIRA-2 and others were trained on PadChest: ask for each model which split it saw. "
    "Splits are by patient.",
    citation='Castro et al., "PadChest-GR: A Bilingual Chest X-ray Dataset for Grounded Radiology Report '
    'Generation", NEJM AI 2025',
    quirks=(
        "Coordinates are shares of the image, not pixels.",
        "boxes are one radiologist's and extra_boxes another's: here roles primary and extra. Some published "
        "code joins them.",
        "Where abnormal is false, the keys boxes, labels and locations may be missing.",
        "Images may have 16 bits of which few are used: they are shown from the darkest to the brightest "
        "value.",
        "master_table.csv has a row for each label of a study, not for each sentence.",
    ),
)
def padchest_gr(
    root: Path,
    *,
    split: Any = None,
    language: str = "en",
    grounded: bool = True,
    window: tuple[float, float] | None = None,
) -> Dataset:
    """The sentences of the reports, each with its boxes.

    Args:
        root: The folder of the two tables and of the images.
        split: "train", "validation", "test", or several of them.
        language: "en" or "es".
        grounded: Whether to leave out sentences without a box, such as those on what is not there.
        window: (centre, width) of the stored numbers to be shown from black to white, for all images.

    Raises:
        DataError: A file is missing or damaged.
        OptionError: An option has none of its values.
    """
    require_choice("language", language, LANGUAGES)
    kept = several("split", split, SPLITS)
    if window is not None and not window[1] > 0:
        raise OptionError(f"window has the width {window[1]}: expected one above 0.")
    master = _master(root)
    identities = Identities("padchest_gr", VERSION)
    samples: list[Sample] = []
    dropped = 0
    path = newest(root, "grounded_reports_*.json")
    for study in records(path, ("StudyID", "ImageID", "findings")):
        for sentence in study["findings"]:
            sample = _sample(study, sentence, language, (master, identities))
            if grounded and not any(region.role == "primary" for region in sample.regions):
                dropped += 1
            else:
                samples.append(sample)
    return Dataset(
        name="padchest_gr",
        version=VERSION,
        samples=of_split(samples, kept),
        root=root,
        opened=PadchestImages(root, window),
        dropped={"a sentence without a box": dropped} if dropped else {},
    )


def _master(root: Path) -> dict[str, tuple[str, str]]:
    """The patient and split of each image."""
    rows = table(
        needed(root, "master_table.csv", "master_table.csv.zip"), ["StudyID", "ImageID", "PatientID", "split"]
    )
    return {row["ImageID"]: (row["PatientID"], row["split"]) for row in rows}


def _sample(
    study: Mapping[str, Any],
    sentence: Mapping[str, Any],
    language: str,
    known: tuple[dict[str, tuple[str, str]], Identities],
) -> Sample:
    master, identities = known
    image = str(study["ImageID"])
    if image not in master:
        raise DataError("An image of the reports is not in master_table.csv. The files are of two versions.")
    patient, split = master[image]
    labels = [str(label) for label in sentence.get("labels") or ()]
    regions = (
        *_boxes(sentence, "boxes", "primary", labels),
        *_boxes(sentence, "extra_boxes", "extra", labels),
    )
    facts: dict[str, Any] = {"abnormal": sentence.get("abnormal"), "progression": sentence.get("progression")}
    facts |= {name: list(sentence.get(name) or ()) for name in _LISTS}
    about: dict[str, Any] = {
        "phrase": sentence.get(f"sentence_{language}"),
        "finding": labels[0] if labels else None,
        "language": language,
    }
    return Sample(
        sample_id=identities(image, **about),
        dataset="padchest_gr",
        version=VERSION,
        split=split,
        image=image,
        patient=patient,
        study=str(study["StudyID"]),
        regions=regions,
        facts=facts,
        **about,
    )


def _boxes(sentence: Mapping[str, Any], key: str, role: Role, labels: list[str]) -> Iterator[Region]:
    for corners in sentence.get(key) or ():
        if len(corners) != 4:
            raise DataError(f"A box of PadChest-GR has {len(corners)} numbers: expected 4.")
        data = tuple(number(value, "a box of PadChest-GR") for value in corners)
        yield Region(
            kind="box",
            data=data,
            size=SHARES,
            label=", ".join(labels),
            annotator="1" if role == "primary" else "2",
            role=role,
        )
