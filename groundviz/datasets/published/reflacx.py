"""REFLACX: ellipses that radiologists drew for what they dictated, and their gaze, on MIMIC-CXR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from groundviz.datasets import mimic
from groundviz.datasets.card import DATASETS
from groundviz.datasets.choices import Identities, of_split, several
from groundviz.datasets.reading import inside, needed, number, table
from groundviz.datasets.sample import Dataset, Region, Sample
from groundviz.errors import DataError, OptionError
from groundviz.record.types import Doubles

VERSION = "1.0.0"
PHASES = ("1", "2", "3")
SPLITS = ("train", "validate", "test")
# What readers were asked for: 1 is unlikely, 3 is possibly, 5 is consistent with.
CERTAIN = 3
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_METADATA = ("id", "image", "image_size_x", "image_size_y", "eye_tracking_data_discarded")
_TRUE = ("true", "1", "1.0")
_SHOWN = ("xmin_shown_from_image", "ymin_shown_from_image", "xmax_shown_from_image", "ymax_shown_from_image")
_FIXATION = (
    "timestamp_start_fixation",
    "timestamp_end_fixation",
    "x_position",
    "y_position",
    "angular_resolution_x_pixels_per_degree",
    "angular_resolution_y_pixels_per_degree",
    *_SHOWN,
)


@DATASETS.register(
    "reflacx",
    shows="Ellipses that radiologists drew for what they dictated on chest X-rays, and their gaze.",
    publisher="University of Utah, on PhysioNet",
    version=VERSION,
    license=mimic.LICENSE,
    access=mimic.ACCESS,
    annotation="ellipses, by the box around each, xmin, ymin, xmax, ymax, in pixels of the original image",
    files="main_data/metadata_phase_1.csv (2, 3), main_data/ID/anomaly_location_ellipses.csv and "
    f"fixations.csv; {mimic.IMAGES}",
    contamination=mimic.CONTAMINATION,
    citation='Bigolin Lanfredi et al., "REFLACX, a dataset of reports and eye-tracking data for '
    'localization of abnormalities in chest x-rays", Scientific Data 2022',
    quirks=(
        "A label counts from the certainty 3 on, possibly; below, readers thought it unlikely.",
        "The four numbers are the box around an ellipse: the ellipse is the region.",
        "Images of phases 1 and 2 have five readers, those of phase 3 one: `annotator` is the reading.",
        "Labels differ between the phases.",
        "There are 3,052 readings of 2,616 images; 20 of them, whose eye_tracking_data_discarded is true, "
        "have ellipses and no gaze.",
        "Support devices, Quality issue and Other were never drawn.",
    ),
)
def reflacx(
    root: Path,
    *,
    images: str | None = None,
    phase: Any = None,
    split: Any = None,
    certainty: int = CERTAIN,
    readers: int = 1,
) -> Dataset:
    """Every image and label that a reader marked, with the ellipses of all readers.

    Args:
        root: The folder of REFLACX, or its main_data.
        images: The folder of MIMIC-CXR-JPG or MIMIC-CXR, if it is another one.
        phase: "1", "2", "3", or several of them; the ones that are there unless named.
        split: "train", "validate", "test", or several of them: MIMIC-CXR's.
        certainty: The least certainty that counts, 0 to 5.
        readers: How many readers must have marked a label for it to be a sample.

    Raises:
        DataError: A file is missing or damaged.
        OptionError: An option has none of its values.
    """
    if not 0 <= certainty <= 5:
        raise OptionError(f"certainty is {certainty!r}: expected a number from 0 to 5.")
    kept = several("split", split, SPLITS) if split is not None else None
    home = _home(root)
    wanted = several("phase", phase, PHASES)
    tables = [home / f"metadata_phase_{one}.csv" for one in wanted]
    there = [path for path in tables if path.is_file()]
    if not there or (phase is not None and len(there) < len(tables)):
        needed(home, *(path.name for path in tables))
    grouped: dict[tuple[str, str], list[tuple[Mapping[str, str], Region]]] = {}
    for path in there:
        for row in table(path, _METADATA):
            for region in _ellipses(home, row, certainty):
                place = mimic.place_of(row["image"])
                grouped.setdefault((place.image, region.label), []).append((row, region))
    identities = Identities("reflacx", VERSION)
    samples = [
        _sample(label, marked, identities)
        for (_, label), marked in grouped.items()
        if len({region.annotator for _, region in marked}) >= readers
    ]
    return Dataset(
        name="reflacx",
        version=VERSION,
        samples=of_split(samples, kept),
        root=root,
        opened=mimic.images_in(root, images),
    )


def gaze(root: Path, reading: str, shape: tuple[int, int]) -> Doubles:
    """Where a reader looked: float64 `shape`, in shares of the time, adding up to 1.

    Each fixation is a Gaussian whose standard deviation is one degree of the visual field, weighted by its
    duration and cut off at what the screen showed. Source: the publisher's scripts, `create_heatmap`.

    Args:
        root: As `Dataset.root`.
        reading: The reading's code, `Region.annotator`.
        shape: Rows and columns of the original image, in whose pixels fixations are.

    Raises:
        DataError: There is no such reading, its gaze was discarded, or its file is damaged.
    """
    path = inside(_home(root), f"{reading}/fixations.csv")
    if not path.is_file():
        raise DataError(
            "The reading has no fixations.csv: its gaze was discarded, or the folder is another one."
        )
    total: Doubles = np.zeros(shape)
    for count, row in enumerate(table(path, _FIXATION), start=2):
        values = {name: number(row[name], f"{name} in row {count}") for name in _FIXATION}
        left, top, right, bottom = (round(values[name]) for name in _SHOWN)
        rows = np.arange(max(0, top), min(shape[0], bottom))
        cols = np.arange(max(0, left), min(shape[1], right))
        down = _bell(rows, values["y_position"], values["angular_resolution_y_pixels_per_degree"])
        across = _bell(cols, values["x_position"], values["angular_resolution_x_pixels_per_degree"])
        seconds = values["timestamp_end_fixation"] - values["timestamp_start_fixation"]
        total[np.ix_(rows, cols)] += seconds * down[:, None] * across[None, :]
    if not total.sum() > 0:
        raise DataError("The reading has no fixation on the image.")
    return np.asarray(total / total.sum())


def _home(root: Path) -> Path:
    """The folder of the readings, which may have been named itself."""
    inner = root / "main_data"
    return inner if inner.is_dir() else root


def _bell(at: np.ndarray[Any, Any], centre: float, spread: float) -> Doubles:
    """A Gaussian's density at pixels."""
    if not spread > 0:
        raise DataError("A fixation states an angular resolution that is not above 0. The file is damaged.")
    density = np.exp(-0.5 * ((at - centre) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
    return np.asarray(density, dtype=np.float64)


def _ellipses(home: Path, row: Mapping[str, str], certainty: int) -> Iterator[Region]:
    """Each ellipse of a reading, once for each of its labels."""
    path = inside(home, f"{row['id']}/anomaly_location_ellipses.csv")
    if not path.is_file():
        return
    # Pandas wrote whole numbers as 2544.0 in some of the tables.
    size = (
        round(number(row["image_size_y"], "image_size_y")),
        round(number(row["image_size_x"], "image_size_x")),
    )
    for count, ellipse in enumerate(table(path, [*_CORNERS, "certainty"]), start=2):
        if number(ellipse["certainty"], f"certainty in row {count}") < certainty:
            continue
        data = tuple(number(ellipse[name], f"{name} in row {count}") for name in _CORNERS)
        for label, value in ellipse.items():
            if label not in (*_CORNERS, "certainty") and value.strip().lower() in _TRUE:
                yield Region(kind="ellipse", data=data, size=size, label=label, annotator=row["id"])


def _sample(label: str, marked: list[tuple[Mapping[str, str], Region]], identities: Identities) -> Sample:
    row = marked[0][0]
    place = mimic.place_of(row["image"])
    with_gaze = sorted(
        {entry["id"] for entry, _ in marked if entry["eye_tracking_data_discarded"].lower() not in _TRUE}
    )
    return Sample(
        sample_id=identities(place.image, finding=label),
        dataset="reflacx",
        version=VERSION,
        split=row.get("split", ""),
        image=place.image,
        patient=place.patient,
        study=place.study,
        finding=label,
        regions=tuple(region for _, region in marked),
        facts={"readers": len({region.annotator for _, region in marked}), "with_gaze": with_gaze},
    )
