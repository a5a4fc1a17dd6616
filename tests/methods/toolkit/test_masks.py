"""Masks fall where their cells are, and cost what they should."""

import numpy as np
import pytest
import torch

from groundviz.methods.toolkit.masks import CellMasks
from groundviz.methods.toolkit.regions import Canvas
from groundviz.record.geometry import scale_shift
from groundviz.record.types import Grid


def grid(positions, rows, cols):
    positions = np.array(positions)
    valid = (positions >= 0).reshape(rows, cols)
    to_source = scale_shift((1.0, 1.0))
    return Grid(rows=rows, cols=cols, positions=positions, to_source=to_source, valid=valid, stage="language")


TWO = CellMasks([grid([5, -1, 6, 7], 2, 2), grid([8, 9, 10], 1, 3)])


def test_a_mask_falls_on_the_cells_that_have_a_token():
    mask = torch.arange(7.0)
    assert TWO.count == 7
    spread = TWO.spread(mask)
    assert spread.shape == (1, 6, 1)
    assert spread[0, :, 0].tolist() == [0, 2, 3, 4, 5, 6]


def test_over_pixels_it_is_smooth_between_the_cells():
    canvas = Canvas(grid([-1] * 64, 8, 8), torch.arange(64))
    mask = CellMasks([grid([-1] * 4, 2, 2)], [canvas])
    spread = mask.spread(torch.tensor([0.0, 1.0, 0.0, 1.0]))
    assert spread.shape == (1, 64, 1)
    assert spread[0, 24:32, 0].tolist() == pytest.approx([0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1])


def test_roughness_is_the_mean_squared_step_within_each_grid():
    assert TWO.roughness(torch.full((7,), 0.3)).item() == 0.0
    mask = torch.tensor([0.0, 1.0, 0.0, 0.0, 9.0, 9.0, 9.0])
    # Two of six steps are of one; the step from one grid to the next does not count.
    assert TWO.roughness(mask).item() == pytest.approx(2 * 2 / 6)


def test_a_gradient_moves_its_block_too_and_stays_in_its_grid():
    moved = TWO.at_every_scale(torch.tensor([0.0, 0, 0, 0, 0, 0, 6.0]))
    assert moved[:4].tolist() == [0, 0, 0, 0]
    assert moved[6] > moved[5] > 0
    assert moved.argmax() == 6


def test_gradients_flow_through_a_spread_mask():
    mask = torch.zeros(7, requires_grad=True)
    (gradient,) = torch.autograd.grad((TWO.spread(mask) * 2).sum(), mask)
    assert gradient.tolist() == [2, 0, 2, 2, 2, 2, 2]
