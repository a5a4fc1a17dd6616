"""The image a reader sees is the blend that is claimed, pixel by pixel."""

import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from groundviz.record import geometry
from groundviz.record.mass import heaviest
from groundviz.render.base import overlay
from groundviz.render.base.colour import scales
from tests.support import records

RECORD = records.record(60, 48, cells=6)
PLAIN, SIGNED = (maps.at(RECORD.target) for maps in RECORD.heatmaps)
HOLED = replace(PLAIN, values=np.where(np.eye(6, dtype=bool), np.nan, PLAIN.values).astype(np.float32))


def _scale(heatmap):
    (scale,) = scales([heatmap])
    return scale


@pytest.mark.parametrize("heatmap", [PLAIN, SIGNED, HOLED])
@pytest.mark.parametrize("smooth", [False, True])
def test_every_pixel_is_the_stated_blend_of_image_and_colour(heatmap, smooth):
    scale = _scale(heatmap)
    shown = overlay.overlaid(RECORD.source_image, (60, 48), heatmap, scale, smooth=smooth)
    values = geometry.to_source_pixels(heatmap.values, heatmap.grid, (60, 48), smooth=smooth)
    seen = 0
    for row in range(60):
        for col in range(48):
            value, grey = float(values[row, col]), float(RECORD.source_image.pixels[row, col])
            if np.isnan(value):
                continue
            strength = (abs(value) / scale.top) ** 0.5
            colour = [0.85 + 0.15 * strength, strength, 0.33 * (1 - strength)]
            if value < 0:
                colour = [0.3 * (1 - strength), 0.74 - 0.31 * strength, 0.7 + 0.3 * strength]
            alpha = 0.85 * strength
            expected = [(1 - alpha) * grey + alpha * part for part in colour]
            np.testing.assert_allclose(shown[row, col], expected, atol=1e-4)
            seen += 1
    assert seen == np.isfinite(values).sum() > 1500


def test_blocks_are_the_default_and_show_the_true_cells():
    values = overlay.read(PLAIN, (60, 48), (60, 48))
    assert set(np.unique(values[np.isfinite(values)])) == set(np.unique(PLAIN.values))


def test_what_was_not_seen_keeps_its_pixels_between_grey_lines():
    scale = _scale(HOLED)
    values = overlay.read(HOLED, (60, 48), (60, 48))
    unseen = np.isnan(values)
    base = overlay.resample(RECORD.source_image.pixels, (60, 48))
    shown = overlay.overlaid(RECORD.source_image, (60, 48), HOLED, scale)
    lines = unseen & (shown != base).any(axis=2)
    assert 0.1 < lines.sum() / unseen.sum() < 0.3
    assert (np.ptp(shown[unseen], axis=1) < 1e-6).all()
    inside = np.zeros((60, 48), bool)
    inside[6:54] = True
    assert unseen[~inside].all()


def test_hatching_touches_nothing_that_was_seen():
    veil = np.random.default_rng(0).random((20, 20, 4)).astype(np.float32)
    unseen = np.zeros((20, 20), bool)
    unseen[:5] = True
    assert np.array_equal(overlay.hatch(veil, unseen)[5:], veil[5:])
    assert (overlay.hatch(veil, unseen)[:5] != veil[:5]).any()
    assert np.array_equal(overlay.hatch(veil, ~unseen & unseen), veil)


@pytest.mark.parametrize("heatmap", [PLAIN, SIGNED, HOLED])
@pytest.mark.parametrize("smooth", [False, True])
def test_in_eight_bits_image_and_veil_make_the_same_image(heatmap, smooth):
    scale = _scale(heatmap)
    base = overlay.resample(RECORD.source_image.pixels, (60, 48))
    veil = overlay.veil((60, 48), (60, 48), heatmap, scale, smooth=smooth)
    under, over = (overlay.to_bytes(part).astype(np.float64) for part in (base, veil))
    opacity = over[..., 3:] / 255.0
    laid = np.rint((1.0 - opacity) * under + opacity * over[..., :3])
    image = overlay.to_bytes(overlay.overlaid(RECORD.source_image, (60, 48), heatmap, scale, smooth=smooth))
    assert np.abs(laid - image).max() <= 1


def test_without_a_scale_the_image_is_bare():
    shown = overlay.overlaid(RECORD.source_image, (30, 24), PLAIN, None)
    assert np.array_equal(shown, overlay.resample(RECORD.source_image.pixels, (30, 24)))


@pytest.mark.parametrize("shape", [(60, 48), (31, 17), (150, 200)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_resampling_keeps_sides_and_range(shape, channels):
    pixels = np.zeros((60, 48, *channels), np.float32)
    pixels[:30, :24] = 1.0
    shown = overlay.resample(pixels, shape)
    assert (shown.shape, shown.dtype) == ((*shape, 3), np.float32)
    assert shown.min() == 0.0
    assert shown.max() == 1.0
    top, left = shape[0] // 2 - 2, shape[1] // 2 - 2
    assert shown[:top, :left].min() > 0.9
    assert max(shown[-top:].max(), shown[:, -left:].max()) < 0.1


def test_equal_size_is_no_resampling_at_all():
    assert np.array_equal(
        overlay.resample(RECORD.source_image.pixels, (60, 48))[..., 1], RECORD.source_image.pixels
    )


@pytest.mark.parametrize("shape", [(60, 48), (240, 192), (30, 24)])
def test_a_map_lands_at_the_same_place_at_any_resolution(shape):
    without_sink = replace(PLAIN, values=np.where(np.arange(36).reshape(6, 6) > 0, PLAIN.values, 0.0))
    values = overlay.read(without_sink, (60, 48), shape)
    row, col = np.argwhere(values == np.nanmax(values)).mean(axis=0) + 0.5
    assert (row / shape[0], col / shape[1]) == pytest.approx(records.NODULE, abs=0.1)


def _enclosed(edges) -> float:
    """Area inside axis-parallel edges, by counting crossings along rows."""
    upright = [(start, stop) for start, stop in edges if start[1] == stop[1]]
    area = 0.0
    for row in np.arange(0.5, 60.0):
        crossings = sorted(start[1] for start, stop in upright if start[0] <= row < stop[0])
        area += sum(right - left for left, right in zip(crossings[::2], crossings[1::2], strict=True))
    return area


def test_the_outline_encloses_exactly_the_fewest_cells_that_hold_half_of_the_map():
    (half,) = overlay.outlines(PLAIN, _scale(PLAIN))
    falling = np.sort(PLAIN.values, axis=None)[::-1]
    count = int(np.searchsorted(np.cumsum(falling), falling.sum() / 2)) + 1
    assert not half.negative
    assert not half.thin
    assert 0 < count < 9
    assert _enclosed(half.edges) == pytest.approx(count * 64, rel=0.02)


def test_ninety_per_cent_are_outlined_thinly_and_first():
    values = np.zeros((6, 6), np.float32)
    values[2, 2], values[2, 3], values[4, 4] = 6.0, 3.0, 1.0
    heatmap = replace(PLAIN, values=values)
    thin, half = overlay.outlines(heatmap, _scale(heatmap))
    assert (thin.thin, half.thin) == (True, False)
    assert [_enclosed(one.edges) / 64 for one in (thin, half)] == pytest.approx([2, 1], rel=0.02)


def test_what_is_spread_over_more_than_a_quarter_of_the_cells_has_no_lines():
    values = np.linspace(1.0, 1.1, 36, dtype=np.float32).reshape(6, 6)
    heatmap = replace(PLAIN, values=values)
    assert list(overlay.outlines(heatmap, _scale(heatmap))) == []


def test_a_map_that_is_faint_beside_another_has_no_lines():
    strong = replace(PLAIN, values=20 * PLAIN.values)
    scale, _ = scales([PLAIN, strong])
    assert list(overlay.outlines(strong, scale))
    assert list(overlay.outlines(PLAIN, scale)) == []


def test_negative_cells_are_outlined_apart_and_empty_ones_never():
    values = np.zeros((6, 6), np.float32)
    values[1, 1], values[4, 4], values[0, 0] = 1.0, -1.0, np.nan
    signed = replace(SIGNED, values=values)
    found = {one.negative: one.edges for one in overlay.outlines(signed, _scale(signed)) if not one.thin}
    assert {key: len(edges) for key, edges in found.items()} == {False: 4, True: 4}
    assert found[True].min() >= 32
    weak = replace(SIGNED, values=np.where(values > 0, values, 0.1 * values))
    assert [one.negative for one in overlay.outlines(weak, _scale(weak))] == [False, False]


@pytest.mark.parametrize("heatmap", [PLAIN, SIGNED])
def test_an_interpolated_map_is_outlined_where_its_values_cross_the_level(heatmap):
    values = overlay.read(heatmap, (60, 48), (60, 48), smooth=True)
    level = np.abs(heatmap.values[heaviest(heatmap.values, 0.5)]).min()
    strong = np.abs(np.nan_to_num(values)) >= level
    held = np.zeros((60, 48), bool)
    centres = np.stack(np.meshgrid(np.arange(60) + 0.5, np.arange(48) + 0.5, indexing="ij"), axis=-1)
    for outline in overlay.outlines(heatmap, _scale(heatmap), smooth_on=(60, 48)):
        if outline.thin:
            continue
        edges, negative = outline.edges, outline.negative
        # Even-odd: a pixel is inside when a ray to the right crosses an odd number of edges.
        (top, left), (bottom, right) = edges[:, 0].T, edges[:, 1].T
        row, col = centres[..., 0, None], centres[..., 1, None]
        spans = (top > row) != (bottom > row)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = left + (row - top) / (bottom - top) * (right - left)
        inside = (spans & (at > col)).sum(axis=-1) % 2 == 1
        assert (values[inside] < 0).all() == negative
        held |= inside
    assert strong.any()
    assert (held != strong).mean() < 0.01


def test_images_keep_the_patient_s_proportions():
    source_image = replace(records.source_image(60, 60), spacing_mm=(2.0, 1.0))
    assert overlay.fitting(source_image, 100) == (100, 50)
    assert overlay.fitting(records.source_image(60, 48), 100) == (100, 80)
    assert overlay.fitting(replace(source_image, spacing_mm=(1e-5, 1.0)), 100) == (8, 100)


def test_small_images_show_the_map_and_its_outline():
    scale = _scale(PLAIN)
    bare = np.asarray(
        Image.open(io.BytesIO(overlay.jpeg(RECORD.source_image, (120, 96), None, None)))
    ).astype(int)
    with_map = np.asarray(
        Image.open(io.BytesIO(overlay.jpeg(RECORD.source_image, (120, 96), PLAIN, scale)))
    ).astype(int)
    assert bare.shape == with_map.shape == (120, 96, 3)
    assert np.ptp(bare, axis=2).max() <= 2
    row, col = int(records.NODULE[0] * 120), int(records.NODULE[1] * 96)
    assert with_map[row, col, 0] - with_map[row, col, 2] > 40
    plain = overlay.to_bytes(overlay.overlaid(RECORD.source_image, (120, 96), PLAIN, scale)).astype(int)
    assert (with_map.min(axis=2) > plain.min(axis=2) + 60).sum() > 20


def test_levels_are_rounded_not_cut():
    assert overlay.to_bytes(np.array([0.0, 0.499 / 255, 0.501 / 255, 1.0], np.float32)).tolist() == [
        0,
        0,
        1,
        255,
    ]
    stored = np.asarray(Image.open(io.BytesIO(overlay.png(np.full((2, 3, 3), 0.5, np.float32)))))
    assert stored.shape == (2, 3, 3)
    assert (stored == 128).all()


def test_a_map_of_pixels_has_no_lines_around_them():
    fine = np.zeros((65, 65), np.float32)
    fine[30, 30] = 1.0
    grid = records.cropped_grid(130, 130, 65)
    heatmap = replace(records.record().heatmaps[0].at(RECORD.target), values=fine, grid=grid)
    assert list(overlay.outlines(heatmap, _scale(heatmap))) == []


@pytest.mark.parametrize(("size", "count"), [(7, 3), (100, 33), (64, 64), (9, 1), (512, 511)])
def test_smaller_images_hold_exact_means(size, count):
    rng = np.random.default_rng(1)
    pixels = rng.random((size, 5)).astype(np.float32)
    found = overlay.area_means(pixels, count, axis=0)
    # Each pixel cut into `count` slices, of which `size` make one pixel of the result.
    slices = np.repeat(pixels.astype(np.float64), count, axis=0).reshape(count, size, 5)
    np.testing.assert_allclose(found, slices.mean(axis=1), atol=1e-6)


def test_a_smaller_image_has_no_bright_rim():
    edge = np.zeros((40, 64), np.float32)
    edge[:, 31:] = 0.5
    shown = overlay.resample(edge, (40, 23))
    assert shown.max() <= 0.5
    assert shown.min() >= 0.0


@pytest.mark.parametrize("seed", range(6))
def test_loops_surround_exactly_the_cells(seed):
    cells = np.random.default_rng(seed).random((7, 9)) < 0.5
    lines = overlay.loops(cells)
    row, col = (np.indices(cells.shape) + 0.5).reshape(2, -1)
    winding = np.zeros(cells.size)
    area = 0.0
    for line in lines:
        assert (line[0] == line[-1]).all()
        steps = np.diff(line, axis=0)
        # Along one axis at a time, and each point a corner.
        assert ((steps != 0).sum(axis=1) == 1).all()
        assert (np.diff(steps != 0, axis=0).any(axis=1)).all()
        area += float((line[:-1, 1] * line[1:, 0] - line[1:, 1] * line[:-1, 0]).sum() / 2)
        for (r0, c0), (r1, _) in itertools.pairwise(line):
            # Edges down or up that lie to the right of a cell's centre.
            crossed = (col < c0) & (row > min(r0, r1)) & (row < max(r0, r1))
            winding += np.where(crossed, np.sign(r1 - r0), 0.0)
    assert area == cells.sum()
    np.testing.assert_array_equal(winding.reshape(cells.shape), cells)


def test_cells_that_touch_by_a_corner_have_lines_of_their_own_and_holes_too():
    assert len(overlay.loops(np.eye(3, dtype=bool))) == 3
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    assert sorted(len(line) for line in overlay.loops(ring)) == [5, 5]
    assert overlay.loops(np.zeros((2, 2), bool)) == []
