"""Cell to source pixel and back: exact affines, true areas, and nothing shown that was not seen."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundviz.record import geometry
from groundviz.record.types import Grid

scales = st.floats(0.05, 40.0)
shifts = st.floats(-60.0, 60.0)
affines = st.builds(
    lambda rows, cols, down, right: geometry.scale_shift((rows, cols), (down, right)),
    scales,
    scales,
    shifts,
    shifts,
)
points = arrays.arrays(np.float64, (5, 2), elements=st.floats(-200.0, 200.0))


def _grid(rows: int, cols: int, to_source) -> Grid:
    return Grid(
        rows=rows,
        cols=cols,
        positions=np.arange(rows * cols),
        to_source=to_source,
        valid=np.ones((rows, cols), bool),
        stage="language",
    )


grids = st.builds(_grid, st.integers(1, 6), st.integers(1, 6), affines)
shapes = st.tuples(st.integers(1, 24), st.integers(1, 24))


@settings(deadline=None)
@given(affines, points)
def test_an_affine_undone_gives_the_points_back(affine, where):
    there = geometry.apply(affine, where)
    np.testing.assert_allclose(geometry.apply(geometry.invert(affine), there), where, atol=1e-6)


@settings(deadline=None)
@given(affines, affines, points)
def test_composing_is_applying_the_inner_then_the_outer(outer, inner, where):
    once = geometry.apply(geometry.compose(outer, inner), where)
    twice = geometry.apply(outer, geometry.apply(inner, where))
    np.testing.assert_allclose(once, twice, rtol=1e-9, atol=1e-6)


def test_a_resize_is_a_scale_without_half_pixels():
    double = geometry.scale_shift((2.0, 2.0))
    assert geometry.apply(double, np.array([[0.5, 0.5]])).tolist() == [[1.0, 1.0]]


def test_source_box_is_the_cell_s_rectangle_unclipped():
    grid = _grid(2, 3, geometry.scale_shift((10.0, 20.0), (-5.0, 1.0)))
    assert geometry.source_box(grid, 0, 0) == (-5.0, 1.0, 5.0, 21.0)
    assert geometry.source_box(grid, 1, 2) == (5.0, 41.0, 15.0, 61.0)


def _read_one(values, grid: Grid, row: int, col: int, smooth: bool) -> float:
    """One source pixel, the long way: its centre, the cell it falls in, the cells around it."""
    at_row = (row + 0.5 - grid.to_source[0, 2]) / grid.to_source[0, 0]
    at_col = (col + 0.5 - grid.to_source[1, 2]) / grid.to_source[1, 1]
    if not (0 <= at_row < grid.rows and 0 <= at_col < grid.cols):
        return math.nan
    own = values[math.floor(at_row), math.floor(at_col)]
    if not (smooth and np.isfinite(own)):
        return own if np.isfinite(own) else math.nan
    total = weight = 0.0
    for cell_row in range(grid.rows):
        for cell_col in range(grid.cols):
            near_row = max(0.0, 1.0 - abs(min(max(at_row - 0.5, 0), grid.rows - 1) - cell_row))
            near_col = max(0.0, 1.0 - abs(min(max(at_col - 0.5, 0), grid.cols - 1) - cell_col))
            if np.isfinite(values[cell_row, cell_col]):
                total += near_row * near_col * values[cell_row, cell_col]
                weight += near_row * near_col
    return total / weight


@settings(max_examples=60, deadline=None)
@given(grids, shapes, st.booleans(), st.integers(0, 2**32 - 1))
def test_every_source_pixel_reads_what_the_long_way_reads(grid, shape, smooth, seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((grid.rows, grid.cols)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    found = geometry.to_source_pixels(values, grid, shape, smooth=smooth)
    assert (found.shape, found.dtype) == (shape, np.float32)
    # A centre that falls on the border of two cells belongs to either: rounding decides.
    row_tied, col_tied = (_on_a_border(grid, axis, shape[axis]) for axis in (0, 1))
    for row in np.flatnonzero(~row_tied):
        for col in np.flatnonzero(~col_tied):
            expected = _read_one(values, grid, row, col, smooth)
            np.testing.assert_allclose(found[row, col], expected, rtol=1e-4, atol=1e-5)


def _on_a_border(grid: Grid, axis: int, count: int) -> np.ndarray:
    at = (np.arange(count) + 0.5 - grid.to_source[axis, 2]) / grid.to_source[axis, axis]
    return np.abs(at - np.round(at)) < 1e-9


def test_infinity_is_never_shown():
    grid = _grid(1, 2, geometry.scale_shift((1.0, 1.0)))
    found = geometry.to_source_pixels(np.array([[np.inf, 3.0]], np.float32), grid, (1, 2))
    assert np.isnan(found[0, 0])
    assert found[0, 1] == 3.0


def test_nothing_is_mirrored():
    grid = _grid(2, 2, geometry.scale_shift((2.0, 3.0)))
    found = geometry.to_source_pixels(np.array([[1, 2], [3, 4]], np.float32), grid, (4, 6))
    assert found[[0, 0, 3, 3], [0, 5, 0, 5]].tolist() == [1, 2, 3, 4]


@settings(deadline=None)
@given(grids, shapes)
def test_a_cell_is_in_view_when_it_covers_some_of_the_image(grid, shape):
    seen = geometry.cells_in_view(grid.rows, grid.cols, grid.to_source, shape)
    covered = geometry.cell_coverage(grid, np.ones(shape, bool))
    assert seen[covered > 1e-4].all()
    assert (covered[~seen] <= 1e-4).all()


@settings(max_examples=100, deadline=None)
@given(grids, shapes, st.integers(0, 2**32 - 1))
def test_coverage_is_the_exact_share_of_each_cell(grid, shape, seed):
    mask = np.random.default_rng(seed).random(shape) < 0.4
    found = geometry.cell_coverage(grid, mask)
    expected = np.zeros((grid.rows, grid.cols))
    for row in range(grid.rows):
        for col in range(grid.cols):
            top, left, bottom, right = geometry.source_box(grid, row, col)
            for at_row, at_col in np.argwhere(mask):
                high = max(0.0, min(bottom, at_row + 1) - max(top, at_row))
                wide = max(0.0, min(right, at_col + 1) - max(left, at_col))
                expected[row, col] += high * wide
            expected[row, col] /= (bottom - top) * (right - left)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.dtype == np.float32


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), shapes, st.integers(0, 2**32 - 1))
def test_cells_that_tile_the_image_share_out_all_of_a_mask(rows, cols, shape, seed):
    grid = _grid(rows, cols, geometry.scale_shift((shape[0] / rows, shape[1] / cols)))
    mask = np.random.default_rng(seed).random(shape) < 0.5
    area = shape[0] * shape[1] / (rows * cols)
    assert geometry.cell_coverage(grid, mask).sum(dtype=np.float64) * area == pytest.approx(
        mask.sum(), abs=1e-3
    )
