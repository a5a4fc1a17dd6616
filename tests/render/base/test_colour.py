"""Numbers become colours by a rule that is stated, with a scale that is printed."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundviz.record.types import Heatmap
from groundviz.render.base.colour import COLOURS, Scale, paint, scales, table
from tests.support import records

PLAIN, SIGNED = (maps.at(records.record().target) for maps in records.record().heatmaps)
NAN = np.nan


def _map(values, like: Heatmap = PLAIN) -> Heatmap:
    return replace(like, values=np.asarray(values, np.float32))


def _lightness(colours) -> np.ndarray:
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)


def test_a_shared_scale_runs_from_the_lowest_to_the_highest_of_all():
    one, other = scales([_map([[1, 2]]), _map([[3, 7]])], "shared")
    assert one == other
    assert (one.low, one.high, one.clipped, one.over) == (1.0, 7.0, False, "all")
    assert one.ends == ("1", "7")
    assert one.rule == "lowest value to highest value, one scale for these maps"


def test_each_map_can_have_its_own_scale():
    one, other = scales([_map([[1, 2]]), _map([[3, 7]])], "each")
    assert [(scale.low, scale.high, scale.over) for scale in (one, other)] == [(1, 2, "each"), (3, 7, "each")]
    assert one.rule == "lowest value to highest value, each map its own scale"


def test_clipping_ends_at_the_99th_percentile_and_says_so():
    values = np.arange(1000.0).reshape(20, 50)
    (scale,) = scales([_map(values)], "clip")
    assert scale.high == pytest.approx(np.percentile(values, 99))
    assert scale.ends == ("0", "≥ 989")
    assert scale.rule == "lowest value to 99th percentile"
    assert scale.position(np.array([0, 999], np.float32)).tolist() == [0.0, 1.0]


def test_clipping_never_hides_the_only_telling_cell():
    values = np.zeros((20, 20))
    values[3, 4] = 5.0
    (scale,) = scales([_map(values)], "clip")
    assert (scale.low, scale.high, scale.clipped) == (0.0, 5.0, False)


def test_a_signed_scale_is_centred_on_zero():
    (scale,) = scales([_map([[-1, 4]], SIGNED)], "shared")
    assert (scale.low, scale.high) == (-4.0, 4.0)
    assert scale.position(np.array([-4, 0, 4], np.float32)).tolist() == [0.0, 0.5, 1.0]
    assert scale.strength(np.array([-4, -2, 0, 4], np.float32)).tolist() == [1.0, 0.5, 0.0, 1.0]
    assert scale.ends == ("\N{MINUS SIGN}4", "4")
    assert scale.rule == "± highest value of the magnitude"


def test_a_clipped_signed_scale_is_marked_at_both_ends():
    (scale,) = scales([_map(np.linspace(-3, 3, 400).reshape(20, 20), SIGNED)], "clip")
    low, high = scale.ends
    assert low.startswith("≤ \N{MINUS SIGN}")
    assert high.startswith("≥ ")
    assert low.lstrip("≤ \N{MINUS SIGN}") == high.lstrip("≥ ")


@pytest.mark.parametrize("rule", ["clip", "shared", "each"])
def test_maps_without_evidence_have_no_scale_and_do_not_stretch_others(rule):
    flat, empty, telling = _map([[9, 9]]), _map([[NAN, NAN]]), _map([[1, 2]])
    found = scales([flat, telling, empty], rule)
    assert [scale is None for scale in found] == [True, False, True]
    assert found[1].high <= 2
    assert scales([flat], rule) == (None,)


@pytest.mark.parametrize("rule", ["clip", "shared", "each"])
def test_cells_without_a_value_do_not_count(rule):
    (scale,) = scales([_map([[NAN, 1, 2, np.inf]])], rule)
    assert (scale.low, round(scale.high)) == (1.0, 2)


def test_numbers_beside_the_bar_can_be_told_apart():
    (scale,) = scales([_map([[0.12341, 0.12349]])], "shared")
    assert scale.ends == ("0.12341", "0.12349")


def test_very_small_and_large_numbers_are_printed_as_powers_of_ten():
    (scale,) = scales([_map([[7.6e-10, 2.38e-5]])], "shared")
    assert scale.ends == ("7.6 \N{MULTIPLICATION SIGN} 10⁻¹⁰", "2.38 \N{MULTIPLICATION SIGN} 10⁻⁵")
    (scale,) = scales([_map([[-1.5e12, 0]], SIGNED)], "shared")
    assert scale.ends == (
        "\N{MINUS SIGN}1.5 \N{MULTIPLICATION SIGN} 10¹²",
        "1.5 \N{MULTIPLICATION SIGN} 10¹²",
    )


@settings(deadline=None)
@given(arrays.arrays(np.float32, (3, 3), elements=st.floats(-(2.0**60), 2.0**60, width=32)), st.booleans())
def test_positions_stay_on_the_bar_and_keep_the_order(values, signed):
    heatmap = _map(values, SIGNED if signed else PLAIN)
    (scale,) = scales([heatmap], "shared")
    if scale is None:
        assert values.min() == values.max()
        return
    position = scale.position(values)
    assert ((position >= 0) & (position <= 1)).all()
    assert (np.diff(position.ravel()[np.argsort(values.ravel())]) >= 0).all()
    assert scale.strength(values).max() == pytest.approx(1.0, abs=1e-5)


def test_colours_are_inferno_and_get_steadily_lighter():
    position = np.linspace(0, 1, 256, dtype=np.float32)
    colours = paint(position, signed=False)
    np.testing.assert_allclose(colours, mpl.colormaps["inferno"](position)[:, :3], atol=1e-6)
    assert (np.diff(_lightness(colours)) > 0).all()


@pytest.mark.parametrize("name", [name for name, signed in COLOURS.items() if not signed])
def test_a_colour_map_for_amounts_gets_steadily_lighter(name):
    light = _lightness(table(name) / 255)
    # Colours are rounded to 8 bits, so a step may be lost, and none may lead back.
    assert (np.diff(light) > -0.5).all()
    assert light[-1] - light[0] > 70


@pytest.mark.parametrize("name", [name for name, signed in COLOURS.items() if signed])
def test_a_colour_map_for_signed_values_turns_at_zero_and_has_equal_ends(name):
    light = _lightness(table(name) / 255)
    below, above = light[:128][::-1], light[128:]
    # From zero outwards both halves go the same way, and nearly as far.
    direction = np.sign(above[-1] - above[0])
    assert (direction * np.diff(above[8:]) > -0.5).all()
    assert (direction * np.diff(below[8:]) > -0.5).all()
    assert abs(light[0] - light[-1]) < 10


def test_signed_colours_are_dark_at_zero_equally_light_at_both_ends_and_apart_in_hue():
    low, middle, high = paint(np.array([0.0, 0.5, 1.0], np.float32), signed=True)
    light = _lightness(np.stack([low, middle, high]))
    assert light[1] < 35 < 70 < min(light[0], light[2])
    assert abs(light[0] - light[2]) < 8
    assert low[2] > low[0] + 0.3
    assert high[0] > high[2] + 0.3


def test_what_was_not_seen_has_no_colour():
    assert paint(np.array([NAN], np.float32), signed=False).tolist() == [[0.0, 0.0, 0.0]]
    scale = Scale(low=0.0, high=1.0, clipped=False, over="map", signed=False, unit="x")
    assert np.isnan(scale.position(np.array([NAN], np.float32))).all()
