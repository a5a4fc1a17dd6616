"""Windows, tables and ranges against the formulas of DICOM PS3.3 C.11.2, computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from groundviz.errors import ImageError
from groundviz.images.base.window import Table, Window, apply, central_range, extent, ramp

VALUES = np.array([-1000.0, 29.0, 30.0, 40.0, 50.0, 59.0, 60.0, 3000.0])


def linear(x: float, c: float, w: float) -> float:
    """C.11.2.1.2.1 with ymin 0 and ymax 1, word for word."""
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    if x > c - 0.5 + (w - 1) / 2:
        return 1.0
    return (x - (c - 0.5)) / (w - 1) + 0.5


def linear_exact(x: float, c: float, w: float) -> float:
    """C.11.2.1.3.2."""
    if x <= c - w / 2:
        return 0.0
    if x > c + w / 2:
        return 1.0
    return (x - c) / w + 0.5


def sigmoid(x: float, c: float, w: float) -> float:
    """C.11.2.1.3.1, 1 / (1 + exp(-4 (x - c) / w)), in a form that cannot overflow."""
    return (1.0 + math.tanh(2 * (x - c) / w)) / 2


@pytest.mark.parametrize(
    ("function", "formula"), [("LINEAR", linear), ("LINEAR_EXACT", linear_exact), ("SIGMOID", sigmoid)]
)
@pytest.mark.parametrize(("centre", "width"), [(45.0, 30.0), (40.0, 1.0), (39.5, 2.0), (128.0, 256.0)])
def test_window_functions(function: str, formula: object, centre: float, width: float) -> None:
    shown = Window.of((centre, width), function).curve()(VALUES)
    expected = [formula(x, centre, width) for x in VALUES]  # type: ignore[operator]
    np.testing.assert_allclose(shown, expected, atol=1e-12)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("width", [1.0, 2.0, 7.0, 400.0])
def test_negative_stored_inverted_gives_the_same_bits(function: str, width: float) -> None:
    values = np.arange(256.0)
    plain = Window.of((100.0, width), function).curve()(values)
    # LINEAR is not symmetric about its centre but about centre - 0.5.
    centre = 255.0 - 100.0 + (1.0 if function == "LINEAR" else 0.0)
    turned = Window.of((centre, width), function).curve(inverted=True)(255.0 - values)
    assert turned.tolist() == plain.tolist()


@pytest.mark.parametrize(
    "pair",
    [(40, 0), (40, -5), (math.nan, 5), (40, math.inf), (1,), (1, 2, 3), "40", None, ("a", "b"), (10**400, 1)],
)
def test_windows_that_show_nothing(pair: object) -> None:
    with pytest.raises(ImageError, match="window cannot be used"):
        Window.of(pair)  # type: ignore[arg-type]


def test_linear_window_is_at_least_one_wide() -> None:
    assert Window.of((0, 1), "LINEAR").pair == (0.0, 1.0)
    with pytest.raises(ImageError):
        Window.of((0, 0.5), "LINEAR")


def test_ramp() -> None:
    values = np.array([0.0, 10.0, 15.0, 20.0, 99.0])
    assert ramp(10.0, 20.0)(values).tolist() == [0, 0, 0.5, 1, 1]
    assert ramp(10.0, 20.0, inverted=True)(values).tolist() == [1, 1, 0.5, 0, 0]
    assert ramp(15.0, 15.0)(values).tolist() == [0, 0, 0, 1, 1]


def test_table_holds_its_ends() -> None:
    table = Table(first=-2, values=np.array([0, 10, 40]), top=40.0)
    assert table.look_up(np.array([-9, -2, -1, 0, 7])).tolist() == [0, 0, 10, 40, 40]
    assert table.curve()(np.array([-1.2, 0.0])).tolist() == [0.25, 1.0]
    assert table.curve(inverted=True)(np.array([-1.0, 0.0])).tolist() == [0.75, 0.0]


def test_apply_works_in_blocks_and_leaves_no_negative_zero() -> None:
    values = np.arange(3_000_000, dtype=np.int32).reshape(3000, 1000)[::-1, ::2]
    shown = apply(lambda block: -0.0 * block + block / 3e6, values)
    assert (shown.dtype, shown.shape) == (np.float32, (3000, 500))
    np.testing.assert_array_equal(shown, (values / 3e6).astype(np.float32))
    assert not np.signbit(apply(lambda block: -0.0 * block, np.ones((2, 2)))).any()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_extent_refuses_what_is_no_number(broken: float) -> None:
    assert extent(np.array([3, 1, 2])) == (1.0, 3.0)
    with pytest.raises(ImageError, match="1 values of 3 that are NaN or infinite"):
        extent(np.array([1.0, broken, 2.0]))


def test_central_range_cuts_half_a_percent_at_either_end() -> None:
    values = np.arange(1001)
    assert central_range(values, None) == (5.0, 995.0)
    assert central_range(values.max() - values, None) == (5.0, 995.0)


def test_central_range_leaves_padding_out_and_never_collapses() -> None:
    values = np.array([-2000] * 500 + [0] * 300 + [100])
    assert central_range(values, values > -2000) == (0.0, 100.0)
    assert central_range(values, np.zeros(values.shape, bool)) == (-2000.0, 0.0)
    assert central_range(np.array([7, 7]), None) == (7.0, 7.0)
