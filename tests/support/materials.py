"""Ten things that a reading room must show well: small and huge, tall and wide, one image and many.

Images are drawn here and maps are made up, except those of the demo model, which is asked.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt

import groundviz
from groundviz import images
from groundviz.demo import phantoms
from groundviz.record.types import Floats, Record, Slice, StoredValues
from tests.support import records

WINDOWS = {
    "desk": {"width": 1440, "height": 900},
    "large": {"width": 2560, "height": 1440},
    "laptop": {"width": 1100, "height": 700},
    "phone": {"width": 390, "height": 844},
}
SENTENCE = (
    "The heart is not enlarged. There is a round opacity of 14 mm in the left upper zone, sharply outlined,"
    " without a calcification that could be seen. No effusion; the costophrenic angles are free. No"
    " pneumothorax. The hila are of normal width, the mediastinum lies in the middle."
)
FINDING = "There is a round opacity in the left upper zone."


def spoken(text: str, count: int | None = None) -> list[str]:
    """The words of a text as tokens, or so many of them, again and again."""
    words = text.split()
    again = itertools.islice(itertools.cycle(words), count or len(words))
    return [f" {word}" if at else word for at, word in enumerate(again)]


def demo() -> str:
    vlm = groundviz.load("demo")
    pixels = phantoms.phantom(4711, size=512, findings=["nodule"]).pixels
    return groundviz.explain(vlm, pixels, "Where is the nodule?", methods="attention").to_html()


def long_report() -> str:
    return page(records.record(512, 512, words=spoken(SENTENCE, 300), question="Describe the findings."))


def tall() -> str:
    return page(records.record(1600, 360, words=spoken(FINDING)))


def wide() -> str:
    return page(records.record(360, 1600, words=spoken(FINDING)))


def radiograph() -> str:
    """A radiograph of 2,048 by 2,500 in 16 bits, with pairs of lines and calcifications of two pixels."""
    values = np.rint(60_000 * records.chest(2500, 2048)).astype(np.uint16)
    for number, width in enumerate((1, 2, 3, 4)):
        lines = (np.arange(160) // width) % 2 * 20_000
        values[300 : 300 + 160, 150 + 200 * number : 310 + 200 * number] = 15_000 + lines
    for row, col in np.random.default_rng(2).integers(1200, 1300, (12, 2)):
        values[row : row + 2, col : col + 2] = 64_000
    source_image = images.load(values)
    return page(records.record_of([source_image], [records.grid_over((0, 0, 2500, 2048), (24, 24))]))


def section(at: float, side: int = 256) -> npt.NDArray[np.int16]:
    """A slice of a chest in Hounsfield units: air, fat, lungs with vessels, a spine, a nodule halfway."""
    row, col = (np.mgrid[:side, :side] + 0.5) / side
    rng = np.random.default_rng(round(1000 * at))

    def within(centre: tuple[float, float], radii: tuple[float, float]) -> npt.NDArray[np.bool_]:
        return ((row - centre[0]) / radii[0]) ** 2 + ((col - centre[1]) / radii[1]) ** 2 < 1

    values = np.full((side, side), -1000.0)
    values[within((0.5, 0.5), (0.36, 0.46))] = -90
    values[within((0.5, 0.5), (0.33, 0.43))] = 45
    for middle in (0.29, 0.71):
        lung = within((0.48, middle), (0.25 * (0.7 + 0.3 * np.sin(np.pi * at)), 0.16))
        values[lung] = -830
        for y, x in rng.uniform((0.3, middle - 0.12), (0.66, middle + 0.12), (24, 2)):
            values[within((y, x), (0.008, 0.008)) & lung] = 20
    values[within((0.74, 0.5), (0.06, 0.05))] = 420
    values[within((0.5, 0.52), (0.1, 0.09))] = 160
    radius = 0.035 * np.sqrt(max(0.0, 1 - ((at - 0.5) / 0.2) ** 2)) + 1e-9
    values[within((0.42, 0.7), (radius, radius))] = 35
    return np.rint(np.maximum(values + rng.normal(0, 12, values.shape), -1024)).astype(np.int16)


def stack() -> str:
    """Twenty slices of a CT in Hounsfield units, the map where the nodule is."""
    count, slices = 20, []
    for number in range(count):
        values = section(number / (count - 1))
        shown = np.clip((values.astype(np.float32) + 160) / 400, 0, 1)
        stored = StoredValues(codes=(values + 1024).astype(np.uint16), step=1.0, low=-1024.0, unit="HU")
        slices.append(
            replace(
                records.source_image(256, 256),
                pixels=shown,
                stored=stored,
                raw_range=(-160.0, 240.0),
                window=(40.0, 400.0),
                slice=Slice(stack=0, number=number, of=count),
                position_mm=5.0 * number,
                towards="H",
            )
        )
    grids = [records.grid_over((0, 0, 256, 256), (12, 12), image=at) for at in range(count)]
    made = records.record_of(slices, grids, question="Is there a nodule?", words=spoken(FINDING))
    weights = np.exp(-(((np.arange(count) / (count - 1) - 0.5) / 0.15) ** 2)) + 0.05
    return page(records.weighted(made, weights))


def fundus_pixels(side: int = 640) -> Floats:
    """An eye's ground: an orange disc with vessels, a bright papilla and a dark macula, (side, side, 3)."""
    row, col = (np.mgrid[:side, :side] + 0.5) / side
    radius = np.hypot(row - 0.5, col - 0.5)
    light = np.clip(1 - 1.1 * radius**2, 0, 1) * (radius < 0.47)
    vessels = np.zeros_like(light)
    for bend in (-1.9, -1.1, -0.6, 0.6, 1.1, 1.9):
        along = np.clip(0.72 - col, 0, None)
        away = np.abs(row - (0.5 + bend * along * (0.9 - along)))
        vessels += np.exp(-((away / (0.004 + 0.004 * (1 - along))) ** 2)) * (col < 0.72)
    papilla = np.exp(-((np.hypot(row - 0.5, col - 0.72) / 0.055) ** 4))
    macula = np.exp(-((np.hypot(row - 0.52, col - 0.42) / 0.07) ** 2))
    shade = light * (1 - 0.35 * np.clip(vessels, 0, 1)) * (1 - 0.35 * macula)
    colour = shade[..., None] * np.array([0.86, 0.42, 0.17]) + 0.6 * (light * papilla)[..., None] * np.array(
        [0.2, 0.7, 0.6]
    )
    return np.clip(colour, 0, 1).astype(np.float32)


def fundus() -> str:
    source_image = images.load(np.round(255 * fundus_pixels()).astype(np.uint8))
    grid = records.grid_over((0, 0, 640, 640), (16, 16))
    return page(records.record_of([source_image], [grid], question="What is seen?", words=spoken(FINDING)))


def tiles() -> str:
    """An overview and four tiles of one image."""
    whole = records.source_image(672, 672)
    grids = [records.grid_over((0, 0, 672, 672), (12, 12), label="overview")]
    for row in (0, 336):
        for col in (0, 336):
            box = (row, col, row + 336, col + 336)
            grids.append(records.grid_over(box, (12, 12), label=f"tile {len(grids)}"))
    return page(records.record_of([whole], grids, words=spoken(FINDING)))


def prior_and_current() -> str:
    vlm = groundviz.load("demo")
    both = [phantoms.phantom(4711, size=512, findings=findings).pixels for findings in ([], ["nodule"])]
    asked = [groundviz.explain(vlm, one, "Is there a nodule?", methods="attention") for one in both]
    return groundviz.compare(asked, names=["Prior", "Current"]).to_html()


def eight_panes() -> str:
    eight = [records.source_image(240, 200) for _ in range(8)]
    grids = [records.grid_over((0, 0, 240, 200), (10, 8), image=number) for number in range(8)]
    return page(records.record_of(eight, grids, words=spoken(FINDING)))


def page(record: Record) -> str:
    return groundviz.Explanation.from_record(record).to_html()


MATERIALS: dict[str, Callable[[], str]] = {
    one.__name__: cache(one)
    for one in (
        demo,
        long_report,
        tall,
        wide,
        radiograph,
        stack,
        fundus,
        tiles,
        prior_and_current,
        eight_panes,
    )
}
