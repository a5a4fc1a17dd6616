"""Which row a number feeds is read off gradients, exactly in every dtype."""

import numpy as np
import pytest
import torch

from groundviz.models.measured.owners import owners


def mixture(rows, feeds, dtype):
    """Numbers, and rows that each sum what feeds them, spread over channels with weights of any size."""
    torch.manual_seed(0)
    numbers = torch.rand(len(feeds), dtype=dtype, requires_grad=True)
    spread = torch.zeros(rows, len(feeds), dtype=dtype)
    for number, those in enumerate(feeds):
        spread[list(those), number] = torch.rand(len(those), dtype=dtype) + 0.1
    channels = torch.randn(1, 24, dtype=dtype)
    return torch.tanh(spread @ numbers / len(feeds))[:, None] * channels, numbers


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("rows", [1, 5, 16, 17, 300, 4097])
def test_every_number_is_given_to_the_row_that_it_feeds(rows, dtype):
    rng = np.random.default_rng(rows)
    expected = rng.integers(0, rows, 40)
    found = owners(*mixture(rows, [(one,) for one in expected], dtype))
    assert found.row.tolist() == expected.tolist()
    assert found.mixed == 0


def test_what_feeds_several_rows_or_none_has_none():
    found = owners(*mixture(9, [(0,), (), (3, 4), (8,)], torch.float32))
    assert found.row.tolist() == [0, -1, -1, 8]
    assert found.mixed == pytest.approx(1 / 3)
