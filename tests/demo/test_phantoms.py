from __future__ import annotations

import numpy as np
import pytest

from groundviz.demo.findings import FINDINGS
from groundviz.demo.phantoms import HOW_MANY, Phantom, phantom
from groundviz.demo.projection.anatomy import SIDES, ZONES, zone_map
from groundviz.demo.projection.canvas import Canvas

SEEDS = range(8)


def far_from(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Where no pixel of `mask` is within `pixels` rows and columns."""
    near = mask.copy()
    for axis in (0, 1):
        spread = [np.roll(near, shift, axis) for shift in range(-pixels, pixels + 1)]
        near = np.logical_or.reduce(spread)
    return ~near


def block_means(image: Phantom, cells: int) -> np.ndarray:
    side = len(image.pixels) // cells
    return image.pixels.reshape(cells, side, cells, side).mean((1, 3))


@pytest.mark.parametrize("name", FINDINGS)
def test_a_twin_without_its_lesion_differs_only_there(name: str) -> None:
    for seed in SEEDS:
        sick = phantom(seed, findings=[name])
        healthy = phantom(seed, findings=[name], without=[name])
        assert sick.names == (name,)
        assert healthy.names == ()
        changed = np.abs(sick.pixels - healthy.pixels) > 0.02
        assert changed[sick.mask(name)].mean() > 0.5 or name in ("cardiomegaly", "device")
        assert changed.any()
        # A pneumothorax also draws the edge of the collapsed lung; all others stay within a soft rim.
        assert not changed[far_from(sick.mask(name), 14 if name == "pneumothorax" else 6)].any()


@pytest.mark.parametrize("gone", ["nodule", "effusion"])
def test_leaving_one_finding_out_moves_no_other(gone: str) -> None:
    for seed in SEEDS:
        both = phantom(seed, findings=["nodule", "effusion"])
        one = phantom(seed, findings=["nodule", "effusion"], without=[gone])
        (kept,) = one.findings
        assert kept in both.findings
        assert np.array_equal(one.mask(kept.name), both.mask(kept.name))


def test_anatomy_does_not_depend_on_what_is_found() -> None:
    drawn = [phantom(4, findings=chosen).anatomy for chosen in ([], ["nodule"], FINDINGS[:4])]
    assert drawn[0] == drawn[1] == drawn[2]


def test_a_seed_draws_the_same_phantom_again_and_another_seed_another() -> None:
    first, again, other = phantom(8), phantom(8), phantom(9)
    assert first.findings == again.findings
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)


def test_the_random_state_of_the_caller_is_not_touched() -> None:
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    phantom(8)
    assert np.random.random() == expected


@pytest.mark.parametrize("size", [224, 448])
def test_the_image_is_the_same_at_every_size(size: int) -> None:
    for seed in SEEDS:
        small, large = phantom(seed), phantom(seed, size=size)
        assert large.pixels.shape == (size, size)
        assert large.findings == small.findings
        assert np.abs(block_means(large, 28) - block_means(small, 28)).max() < 0.12
        assert np.abs(block_means(large, 28) - block_means(small, 28)).mean() < 0.01
        for one, other in zip(small.masks, large.masks, strict=True):
            assert other.mean() == pytest.approx(one.mean(), abs=0.004)


@pytest.mark.parametrize("name", FINDINGS)
def test_masks_are_boolean_filled_and_inside_the_image(name: str) -> None:
    for seed in SEEDS:
        drawn = phantom(seed, findings=[name])
        mask = drawn.mask(name)
        assert mask.dtype == np.bool_
        assert mask.shape == drawn.pixels.shape
        assert 0.002 < mask.mean() < 0.2


@pytest.mark.parametrize("name", [name for name in FINDINGS if name != "cardiomegaly"])
def test_patient_right_is_image_left(name: str) -> None:
    sides = set()
    for seed in range(40):
        drawn = phantom(seed, findings=[name])
        (finding,) = drawn.findings
        cols = np.nonzero(drawn.mask(name))[1]
        # The lead of a device runs to the heart; its case is the wider end.
        middle = np.median(cols) / len(drawn.pixels) if name != "device" else finding.centre[1]
        assert (middle < drawn.anatomy.middle) == (finding.side == "right")
        sides.add(finding.side)
    assert sides == set(SIDES)


@pytest.mark.parametrize("name", ["nodule", "opacity"])
def test_a_lesion_lies_in_the_zone_its_location_names(name: str) -> None:
    canvas = Canvas.of_size(112)
    for seed in range(30):
        drawn = phantom(seed, findings=[name])
        (finding,) = drawn.findings
        zones = zone_map(canvas, drawn.anatomy)
        row, col = (int(at * 112) for at in finding.centre)
        assert finding.side is not None
        zone = finding.place.removesuffix(" zone")
        assert zones[row, col] == 1 + 3 * SIDES.index(finding.side) + ZONES.index(zone)


def test_cardiomegaly_enlarges_the_heart_and_has_no_side() -> None:
    sick, healthy = phantom(2, findings=["cardiomegaly"]), phantom(2, findings=[])
    assert sick.findings[0].side is None
    assert sick.findings[0].location == ""
    assert sick.mask("cardiomegaly").any()
    assert (sick.pixels - healthy.pixels > 0.1).sum() > 100


def test_no_two_findings_share_a_third_of_a_lung() -> None:
    for seed in range(40):
        drawn = phantom(seed, findings=["nodule", "opacity", "effusion", "pneumothorax", "device"])
        thirds = [
            (
                f.side,
                {"base": "lower zone", "apex": "upper zone", "chest wall": "upper zone"}.get(
                    f.place, f.place
                ),
            )
            for f in drawn.findings
        ]
        assert len(thirds) == len(set(thirds)) == 5


def test_the_marker_stands_on_the_patients_right() -> None:
    for seed in SEEDS:
        drawn = phantom(seed, findings=[])
        corner = len(drawn.pixels) // 8
        left, right = drawn.pixels[:corner, :corner], drawn.pixels[:corner, -corner:]
        assert left.max() > 0.7
        assert right.max() < 0.4


def test_pixels_are_floats_within_zero_and_one() -> None:
    for seed in SEEDS:
        pixels = phantom(seed).pixels
        assert pixels.dtype == np.float32
        assert pixels.min() >= 0
        assert pixels.max() <= 1


@pytest.mark.wide
def test_findings_come_as_often_as_asked() -> None:
    counts = [len(phantom(seed, size=16).findings) for seed in range(400)]
    for count, share in HOW_MANY.items():
        assert counts.count(count) / 400 == pytest.approx(share, abs=0.08)
    assert {len(phantom(seed, size=16, how_many={3: 1.0}).findings) for seed in range(10)} == {3}
    assert {name for seed in range(100) for name in phantom(seed, size=16).names} == set(FINDINGS)


def test_the_mask_of_something_absent_is_refused() -> None:
    with pytest.raises(ValueError, match="not in"):
        phantom(2, findings=[]).mask("nodule")


def test_one_is_a_line_and_not_its_pixels():
    assert repr(phantom(3, findings=["nodule"])) == "<Phantom: seed 3, 112 x 112 pixels, nodule>"
    assert repr(phantom(3, findings=[], size=32)) == "<Phantom: seed 3, 32 x 32 pixels, no finding>"
