"""A mask of what annotators marked, beside masks drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from groundviz import images
from groundviz.datasets import rle
from groundviz.datasets.regions import reference
from groundviz.datasets.sample import SHARES, Region
from groundviz.errors import DataError, OptionError


def box(*corners, **more):
    return Region(kind="box", data=corners, **more)


def by_hand(shape, rows, cols):
    mask = np.zeros(shape, bool)
    mask[rows, cols] = True
    return mask


def test_a_box_marks_its_pixels_half_open() -> None:
    drawn = reference([box(2, 1, 5, 3)], (6, 8))
    assert np.array_equal(drawn, by_hand((6, 8), slice(1, 3), slice(2, 5)))


@pytest.mark.parametrize("factor", [0.5, 2, 3.5])
def test_a_box_is_scaled_with_the_image(factor) -> None:
    shape = (int(40 * factor), int(60 * factor))
    drawn = reference([box(10, 20, 30, 36, size=(40, 60))], shape)
    rows = slice(int(20 * factor), int(36 * factor))
    assert np.array_equal(drawn, by_hand(shape, rows, slice(int(10 * factor), int(30 * factor))))


def test_a_thin_box_never_vanishes() -> None:
    for width in (0.0, 0.1, 0.9):
        for left in np.linspace(0, 1000 - width, 23):
            drawn = reference([box(left, 500, left + width, 500, size=(1000, 1000))], (10, 10))
            assert 1 <= drawn.sum() <= 2
            assert drawn[:, min(9, int(left / 100))].any()


def test_a_box_is_rounded_outwards_and_clipped() -> None:
    drawn = reference([box(-3, 1.2, 2.1, 2.9)], (4, 4))
    assert np.array_equal(drawn, by_hand((4, 4), slice(1, 3), slice(0, 3)))
    assert np.array_equal(reference([box(4, 0, 4, 1)], (4, 4)), by_hand((4, 4), 0, 3))


@pytest.mark.parametrize(
    "region",
    [
        box(5, 1, 9, 2),
        box(4, 1, 9, 2),
        box(-3, 1, 0, 2),
        box(1, -2, 2, 0),
        box(1, 4, 2, 7),
        # In pixels, where shares are meant.
        box(1, 1, 3, 3, size=SHARES),
        Region(kind="ellipse", data=(6, 6, 9, 9)),
        Region(kind="polygon", data=((5, 5), (9, 5), (9, 9))),
        Region(kind="point", data=(-1, 2)),
    ],
)
def test_a_region_outside_its_image_is_refused(region) -> None:
    with pytest.raises(DataError, match="lies outside its image of 4 rows and 4 columns"):
        # It would be left out in silence beside another one.
        reference([box(0, 0, 1, 1), region], (4, 4))


def test_shares_need_no_aspect() -> None:
    drawn = reference([box(0.25, 0.5, 0.75, 1.0, size=SHARES)], (10, 40))
    assert np.array_equal(drawn, by_hand((10, 40), slice(5, 10), slice(10, 30)))


@pytest.mark.parametrize("shape", [(100, 130), (130, 100), (100, 102)])
def test_another_aspect_is_refused(shape) -> None:
    with pytest.raises(DataError, match="another shape"):
        reference([box(1, 1, 2, 2, size=(1000, 1000))], shape)
    whole = Region(kind="mask", data=np.ones((1000, 1000), bool))
    with pytest.raises(DataError, match="another shape"):
        reference([whole], shape)


def test_rounding_of_a_small_copy_is_no_other_aspect() -> None:
    # 2544 by 3056 at a longer side of 224.
    assert reference([box(0, 0, 2544, 3056, size=(3056, 2544))], (224, 186)).all()


def test_a_polygon_is_filled_with_its_border() -> None:
    drawn = reference([Region(kind="polygon", data=((1, 1), (4, 1), (4, 3), (1, 3)))], (6, 8))
    assert np.array_equal(drawn, by_hand((6, 8), slice(1, 4), slice(1, 5)))


def test_an_ellipse_is_within_its_box() -> None:
    drawn = reference([Region(kind="ellipse", data=(10, 20, 50, 40))], (60, 60))
    rows, cols = np.indices(drawn.shape) + 0.5
    assert np.array_equal(drawn, ((cols - 30) / 20) ** 2 + ((rows - 30) / 10) ** 2 <= 1)
    assert drawn.sum() == pytest.approx(np.pi * 20 * 10, rel=0.02)
    assert reference([Region(kind="ellipse", data=(10.1, 20.2, 10.3, 20.3))], (60, 60)).sum() == 1


def test_a_point_is_one_pixel() -> None:
    drawn = reference([Region(kind="point", data=(3.7, 2.2))], (6, 8))
    assert np.array_equal(drawn, by_hand((6, 8), 2, 3))


def test_codes_masks_and_files_of_classes(tmp_path) -> None:
    mask = np.random.default_rng(2).random((9, 12)) < 0.4
    assert np.array_equal(reference([Region(kind="rle", data=rle.encode(mask))], mask.shape), mask)
    assert np.array_equal(reference([Region(kind="mask", data=mask)], mask.shape), mask)
    classes = np.zeros((9, 12, 3), np.uint8)
    classes[..., 0] = np.where(mask, 7, 2)
    # What stands in the other channels is no class.
    classes[..., 1] = 7
    Image.fromarray(classes).save(tmp_path / "mask.png")
    region = Region(kind="png", data=("mask.png", 7))
    assert np.array_equal(reference([region], mask.shape, root=tmp_path), mask)
    with pytest.raises(DataError, match="outside"):
        reference([Region(kind="png", data=("../mask.png", 7))], mask.shape, root=tmp_path / "x")
    with pytest.raises(DataError, match="missing, damaged"):
        reference([Region(kind="png", data=("none.png", 7))], mask.shape, root=tmp_path)


def test_a_file_without_a_value_marks_all_that_is_not_black(tmp_path) -> None:
    mask = np.random.default_rng(3).random((9, 12)) < 0.4
    green = np.zeros((9, 12, 3), np.uint8)
    green[mask, 1] = 255
    opaque = np.dstack([green, np.full((9, 12), 255, np.uint8)])
    # Painting programs keep a colour where nothing was painted.
    clear = np.dstack([np.full((9, 12, 3), 255, np.uint8), 255 * mask.astype(np.uint8)])
    indexed = Image.fromarray((~mask).astype(np.uint8), "P")
    indexed.putpalette([0, 200, 0, 0, 0, 0])
    painted = {
        "grey": Image.fromarray(mask.astype(np.uint8)),
        "of one bit": Image.fromarray(mask),
        "deep": Image.fromarray(mask.astype(np.uint16)),
        "green": Image.fromarray(green),
        "opaque": Image.fromarray(opaque),
        "clear": Image.fromarray(clear),
        "indexed": indexed,
        "of inks": Image.fromarray(green).convert("CMYK"),
        "of numbers": Image.fromarray(np.where(mask, 0.5, np.nan).astype(np.float32)),
    }
    for name, image in painted.items():
        file = f"{name}.{'tif' if name in ('of inks', 'of numbers') else 'png'}"
        image.save(tmp_path / file)
        found = reference([Region(kind="png", data=(file, None))], mask.shape, root=tmp_path)
        assert np.array_equal(found, mask), name
    # The numbers of a palette are classes.
    zeros = reference([Region(kind="png", data=("indexed.png", 0))], mask.shape, root=tmp_path)
    assert np.array_equal(zeros, mask)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_mask_is_turned_upright_as_its_image_is(tmp_path, ending) -> None:
    pixels = np.zeros((30, 20), np.uint8)
    pixels[2:9, 11:18] = 255
    turned = Image.Exif()
    turned[0x0112] = 6
    for name in ("image", "mask"):
        Image.fromarray(pixels).save(tmp_path / f"{name}.{ending}", exif=turned)
    image = images.load(tmp_path / f"image.{ending}")
    for value in (None, 255):
        region = Region(kind="png", data=(f"mask.{ending}", value))
        found = reference([region], image.shape, root=tmp_path)
        assert np.array_equal(found, image.pixels > 0)


def test_a_mask_that_is_thinner_than_a_pixel_stays() -> None:
    mask = np.zeros((1000, 1000), bool)
    mask[503, 201:203] = True
    small = reference([Region(kind="mask", data=mask)], (10, 10))
    assert np.array_equal(small, by_hand((10, 10), 5, 2))


def test_roles_union_and_agreement() -> None:
    regions = [
        box(0, 0, 2, 2, annotator="a"),
        box(1, 0, 3, 2, annotator="a"),
        box(2, 0, 4, 2, annotator="b"),
        box(0, 3, 4, 4, role="extra"),
    ]
    assert np.array_equal(reference(regions, (4, 4)), by_hand((4, 4), slice(0, 2), slice(0, 4)))
    # Two boxes of one reader are one vote.
    agreed = reference(regions, (4, 4), agreement=2)
    assert np.array_equal(agreed, by_hand((4, 4), slice(0, 2), slice(2, 3)))
    assert np.array_equal(reference(regions, (4, 4), roles=("extra",)), by_hand((4, 4), 3, slice(0, 4)))
    assert not reference([], (4, 4)).any()
    with pytest.raises(OptionError, match="from 1 on"):
        reference(regions, (4, 4), agreement=0)


@pytest.mark.parametrize(
    "region",
    [
        box(1, 2, 3),
        box(1, 2, 0, 4),
        box(1, 2, float("nan"), 4),
        Region(kind="polygon", data=((1, 2), (3, 4))),
        Region(kind="point", data="here"),
        Region(kind="mask", data=np.ones(4, bool)),
    ],
)
def test_what_is_no_region_is_refused(region) -> None:
    with pytest.raises(DataError):
        reference([region], (8, 8))
