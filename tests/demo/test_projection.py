"""The solids of a phantom: chords in closed form, anatomy where it belongs, and the detector."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from groundviz.demo.phantoms import phantom
from groundviz.demo.projection.anatomy import SIDES, Anatomy, direction, sample_anatomy
from groundviz.demo.projection.bones import draw_bones
from groundviz.demo.projection.canvas import Canvas
from groundviz.demo.projection.detector import expose
from groundviz.demo.projection.thorax import Chest, draw_chest
from groundviz.demo.projection.vessels import draw_vessels
from scripts.training_phantoms import draw_batch, drawn_ahead

SIZE = 224
SEEDS = range(6)


def person(seed: int) -> Anatomy:
    return sample_anatomy(np.random.default_rng([seed, 0]))


def healthy(seed: int) -> Chest:
    return draw_chest(Canvas.of_size(SIZE), person(seed))


def mean_around(image: np.ndarray, row: float, col: float, reach: int = 2) -> float:
    r, c = int(row * len(image)), int(col * len(image))
    return float(image[r - reach : r + reach + 1, c - reach : c + reach + 1].mean())


def test_the_chords_of_a_ball_add_up_to_its_volume() -> None:
    chords = Canvas.of_size(400).ball((0.5, 0.4), (0.2, 0.1), 0.3, 0.7)
    assert chords.max() == pytest.approx(0.3, abs=1e-3)
    assert chords.mean() == pytest.approx(4 / 3 * math.pi * 0.2 * 0.1 * 0.15, rel=2e-3)
    assert chords[0, 0] == 0


def test_the_chords_of_a_tube_add_up_to_its_volume() -> None:
    chords = Canvas.of_size(400).tube(((0.2, 0.2), (0.8, 0.7)), 0.02)
    length, ends = math.hypot(0.6, 0.5), 2 / 3 * math.pi * 0.02**3 * 2
    assert chords.mean() == pytest.approx(math.pi * 0.02**2 * length + ends, rel=5e-3)


@pytest.mark.parametrize("seed", SEEDS)
def test_vessels_thinner_than_a_pixel_keep_their_volume(seed: int) -> None:
    coarse, fine = (draw_vessels(Canvas.of_size(size), person(seed)) for size in (112, 896))
    assert coarse.mean() == pytest.approx(fine.mean(), rel=0.15)


@pytest.mark.parametrize("seed", SEEDS)
def test_vessels_are_thicker_at_the_hilum_than_at_the_ribs(seed: int) -> None:
    chest = healthy(seed)
    canvas = Canvas.of_size(SIZE)
    outward = np.broadcast_to(chest.anatomy.outward(canvas.col), (SIZE, SIZE)) / chest.anatomy.half_width
    lung = chest.lungs["right"] + chest.lungs["left"] > 0.5
    inner, outer = (chest.vessels[lung & near].mean() for near in (outward < 0.45, outward > 0.75))
    assert inner > 3 * outer


@pytest.mark.parametrize("seed", SEEDS)
def test_anatomy_is_where_it_belongs(seed: int) -> None:
    chest = healthy(seed)
    anatomy, image = chest.anatomy, chest.attenuation
    # The windpipe is darker than what stands beside it, lungs are darker than heart and belly.
    row = anatomy.vertebra(2.5)
    beside = mean_around(image, row, anatomy.middle - 0.036)
    assert mean_around(image, row, anatomy.middle) < beside
    lung = mean_around(image, 0.5, anatomy.column("right", 0.6 * anatomy.half_width))
    assert lung < 0.6 * mean_around(image, *anatomy.heart)
    assert lung < 0.6 * mean_around(image, 0.93, anatomy.column("right", 0.2))
    # The heart reaches further to the left, and the diaphragm stands higher on the right.
    reached = np.nonzero(chest.heart.max(0))[0] / SIZE
    assert reached.max() - anatomy.middle > anatomy.middle - reached.min()
    right, left = (float(anatomy.floor(side, np.float32(0.2))) for side in SIDES)
    assert right < left < anatomy.base
    bubble = anatomy.column("left", 0.5 * anatomy.half_width)
    level = float(anatomy.floor("left", np.float32(0.5 * anatomy.half_width))) + 0.045
    assert mean_around(image, level, bubble) < mean_around(image, level + 0.06, bubble)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rib_starts_at_each_vertebra_and_has_a_denser_rim(seed: int) -> None:
    anatomy, size = person(seed), 896
    bones = draw_bones(Canvas.of_size(size), anatomy)
    col = int(anatomy.column("right", 0.35 * anatomy.half_width) * size)
    for number in (5, 6, 7):
        # Behind, the arc falls by a little on its way to this column.
        drop = 0.038 + 0.013 * number
        fall = drop * (1 - math.sqrt(1 - 0.35**2))
        middle = int((anatomy.vertebra(number) + fall) * size)
        strip = bones[middle - 20 : middle + 21, col]
        assert strip.max() > 1.2 * strip[20] > 0


def test_bones_fade_where_there_is_no_body() -> None:
    chest = healthy(3)
    assert chest.attenuation[: SIZE // 10, : SIZE // 10].max() < 0.2


def test_an_enlarged_heart_leaves_what_is_far_from_it_alone() -> None:
    canvas, anatomy = Canvas.of_size(SIZE), person(1)
    small = draw_chest(canvas, anatomy)
    large = draw_chest(canvas, replace(anatomy, heart_scale=1.6))
    assert large.heart.sum() > 1.3 * small.heart.sum()
    assert np.array_equal(large.plain, small.plain)
    assert np.array_equal(large.attenuation[large.heart == 0], small.attenuation[large.heart == 0])


@pytest.mark.parametrize("name", ["nodule", "opacity", "effusion", "pneumothorax", "device"])
def test_no_pixel_far_from_a_finding_changes_at_all(name: str) -> None:
    for seed in SEEDS:
        sick = phantom(seed, findings=[name])
        twin = phantom(seed, findings=[name], without=[name])
        away, reach = np.ones_like(sick.mask(name)), 14
        rows, cols = (np.nonzero(sick.mask(name).any(axis))[0] for axis in (1, 0))
        top, left = max(rows.min() - reach, 0), max(cols.min() - reach, 0)
        away[top : rows.max() + reach, left : cols.max() + reach] = False
        if name != "effusion":
            assert np.array_equal(sick.pixels[away], twin.pixels[away])
        # Fluid also fills the thin lung behind the diaphragm, which shows through the belly.
        assert np.abs(sick.pixels - twin.pixels)[away].max() < 0.004


def test_air_beside_a_lung_is_darker_than_the_lung() -> None:
    for seed in SEEDS:
        sick = phantom(seed, findings=["pneumothorax"], size=SIZE)
        twin = phantom(seed, findings=["pneumothorax"], without=["pneumothorax"], size=SIZE)
        mask = sick.mask("pneumothorax")
        assert (twin.pixels - sick.pixels)[mask].mean() > 0.05


def test_fluid_is_brighter_and_rises_towards_the_ribs() -> None:
    for seed in SEEDS:
        sick = phantom(seed, findings=["effusion"], size=SIZE)
        twin = phantom(seed, findings=["effusion"], without=["effusion"], size=SIZE)
        (finding,) = sick.findings
        mask = sick.mask("effusion")
        assert (sick.pixels - twin.pixels)[mask].mean() > 0.1
        cols = np.nonzero(mask.any(0))[0]
        surface = mask.argmax(0)[cols]
        assert finding.side is not None
        if direction(finding.side) < 0:
            surface = surface[::-1]
        quarter = len(surface) // 4
        assert surface[-quarter:].min() < surface[:quarter].min()


def test_noise_is_stronger_where_less_arrives() -> None:
    canvas = Canvas.of_size(SIZE)
    thin, thick = (np.full((SIZE, SIZE), value, np.float32) for value in (1.5, 3.0))
    spread = [
        expose(canvas, body, thin, np.random.default_rng(4))[60:160, 60:160].std() for body in (thin, thick)
    ]
    # A flat image shows noise alone; the display flattens both ends alike.
    assert spread[1] > 1.3 * spread[0] > 0


def test_the_shutters_leave_black_borders() -> None:
    canvas, body = Canvas.of_size(SIZE), np.full((SIZE, SIZE), 2.5, np.float32)
    borders = [expose(canvas, body, body, np.random.default_rng(seed))[-1].mean() for seed in range(20)]
    assert min(borders) < 0.05 < 0.2 < max(borders)


@pytest.mark.wide
def test_images_drawn_ahead_are_those_drawn_here() -> None:
    ahead = list(drawn_ahead(7, 3, 2))
    for batch, first in zip(ahead, (7, 10), strict=True):
        for one, other in zip(batch, draw_batch(first, 3), strict=True):
            assert one.seed == other.seed
            assert np.array_equal(one.pixels, other.pixels)
            assert all(map(np.array_equal, one.masks, other.masks))
