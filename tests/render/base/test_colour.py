"""Numbers become colours by a rule that is stated, with a scale that is printed."""

import re
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundviz.errors import UnknownName
from groundviz.record.targets import find
from groundviz.record.types import Heatmap
from groundviz.render.base import colour
from groundviz.render.base.colour import COLOURS, GROUND, OPACITY, paint, scales, table
from tests.support import records

PLAIN, SIGNED = (maps.at(records.record().target) for maps in records.record().heatmaps)
SHORT = records.record().heatmaps[0].at(find(records.record().answer, "left"))
NAN = np.nan


def _map(values, like: Heatmap = PLAIN) -> Heatmap:
    return replace(like, values=np.asarray(values, np.float32))


def _lightness(colours) -> np.ndarray:
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)


def test_one_scale_runs_from_zero_to_the_highest_value_of_all_and_says_where_that_is():
    one, other = scales([_map([[1, 2]]), _map([[3, 7]])])
    assert one is other
    assert (one.top, one.highest, one.over, one.negligible) == (7.0, 7.0, "all", False)
    assert one.ends == ("0", "7")
    assert one.rule == "square root of the value, 0 to the highest, one scale for all maps of this unit"
    assert one.summit == "highest 7 at row 1, column 2"


def test_the_highest_value_is_told_with_all_that_tells_its_map_from_the_others():
    first, second = records.pair().heatmaps[:2]
    weak = replace(first.at(find(records.pair().answer, "left")), method="rollout")
    strong = second.at(records.pair().target)
    strong = replace(strong, values=strong.values * 9)
    (scale, _) = scales([strong, weak])
    assert re.fullmatch(
        r"highest \S+ for “nodule in the left upper zone.” at row \d+, column \d+ of image 2 by attention",
        scale.summit,
    )


def test_a_long_text_leaves_room_for_the_place_of_the_highest_value():
    report = replace(PLAIN.target, text="word " * 200)
    (scale, _) = scales([replace(PLAIN, target=report, values=9 * PLAIN.values), SHORT])
    assert re.fullmatch(r"highest \S+ for “(word )+word…” at row \d+, column \d+", scale.summit)
    assert len(scale.summit) < 120


def test_the_largest_value_that_has_a_colour_is_finite():
    plain, signed = scales([_map([[1, 9]]), _map([[-1, 9]], SIGNED)])
    values = np.array([-np.inf, np.inf, NAN, -7, 2], np.float32)
    assert (plain.largest(values), signed.largest(values)) == (2.0, 7.0)


def test_what_is_strongest_below_zero_keeps_its_sign():
    (scale,) = scales([_map([[-3, 1]], SIGNED)])
    assert scale.summit == "strongest \N{MINUS SIGN}3 at row 1, column 1"


def test_maps_of_different_units_or_signs_have_scales_of_their_own():
    shares, others, signed = _map([[1, 2]]), replace(_map([[3, 7]]), unit="nats"), _map([[-9, 1]], SIGNED)
    tops = [scale.top for scale in scales([shares, others, signed])]
    assert tops == [2.0, 7.0, 9.0]


def test_each_map_can_have_its_own_scale():
    one, other = scales([_map([[1, 2]]), _map([[3, 7]])], "each")
    assert [(scale.top, scale.over) for scale in (one, other)] == [(2, "each"), (7, "each")]
    assert one.rule.endswith("each map its own scale")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("root", [0, 0.1, 0.5, 1]), ("linear", [0, 0.01, 0.25, 1]), ("log", [0, 1 / 3, 0.79931, 1])],
)
def test_a_colour_follows_what_the_scale_names(rule, expected):
    (scale,) = scales([_map([[0, 0.04, 1, 4]])], rule)
    assert scale.position(np.array([0, 0.04, 1, 4], np.float32)) == pytest.approx(expected, abs=1e-5)


def test_a_cell_a_few_times_weaker_than_the_strongest_looks_it():
    values = np.full((14, 14), 0.0005)
    values[3, 4], values[3, 9] = 0.228, 0.228 / 17.6
    (scale,) = scales([_map(values)])
    assert scale.strength(_map(values).values)[3, [4, 9]] == pytest.approx([1.0, 0.24], abs=0.002)


def test_nothing_is_clipped_however_far_the_strongest_lies_from_the_others():
    values = np.arange(1000.0).reshape(20, 50)
    values[3, 4] = 1e6
    (scale,) = scales([_map(values)])
    assert scale.top == 1e6
    assert scale.position(np.array([1e6], np.float32)) == 1.0 > scale.position(np.array([999], np.float32))


def test_a_signed_scale_is_centred_on_zero():
    (scale,) = scales([_map([[-1, 4]], SIGNED)])
    assert scale.position(np.array([-4, -1, 0, 4], np.float32)).tolist() == [0.0, 0.25, 0.5, 1.0]
    assert scale.strength(np.array([-4, -1, 0, 4], np.float32)).tolist() == [1.0, 0.5, 0.0, 1.0]
    assert scale.ends == ("\N{MINUS SIGN}4", "4")
    assert scale.rule == "square root of the value, ± the highest"


@pytest.mark.parametrize("rule", ["root", "linear", "log", "each"])
def test_maps_without_evidence_have_no_scale_and_do_not_stretch_others(rule):
    flat, empty, telling = _map([[9, 9]]), _map([[NAN, NAN]]), _map([[1, 2]])
    found = scales([flat, telling, empty], rule)
    assert [scale is None for scale in found] == [True, False, True]
    assert found[1].top == 2
    assert scales([flat], rule) == (None,)


@pytest.mark.parametrize("rule", ["root", "linear", "log", "each"])
def test_cells_without_a_value_do_not_count(rule):
    (scale,) = scales([_map([[NAN, 1, 2, np.inf]])], rule)
    assert scale.top == 2.0


@pytest.mark.parametrize(
    ("unit", "values", "top"),
    [
        ("nats", [[0, 2e-5]], 0.01),
        ("nats per cell", [[0, 0.02]], 0.02),
        ("share of attention", [[1e-9, 2e-9]], 0.5),
        ("share of attention", [[0.1, 0.7]], 0.7),
        ("relevancy", [[0, 2e-5]], 2e-5),
    ],
)
def test_a_map_under_the_least_is_not_stretched_over_the_whole_scale(unit, values, top):
    (scale,) = scales([replace(_map(values), unit=unit)])
    assert scale.top == pytest.approx(top)
    assert scale.negligible == (float(np.max(values)) < scale.top)
    assert ("the highest is under that" in scale.rule) == scale.negligible


@pytest.mark.parametrize(
    ("rule", "like", "ticks"),
    [
        ("root", PLAIN, [(0, "0"), (1, "0.4"), (0.5, "0.1"), (0.5**0.5, "0.2")]),
        ("linear", PLAIN, [(0, "0"), (1, "0.4"), (0.25, "0.1"), (0.5, "0.2")]),
        ("log", PLAIN, [(0, "0"), (1, "0.4"), (2 / 3, "0.04"), (1 / 3, "0.004")]),
        ("root", SIGNED, [(0, "−0.4"), (1, "0.4"), (0.5, "0"), (0.25, "−0.1"), (0.75, "0.1")]),  # noqa: RUF001
    ],
)
def test_ticks_stand_where_their_values_lie(rule, like, ticks):
    (scale,) = scales([replace(_map([[0, 0.4]], like), unit="relevancy")], rule)
    assert [name for _, name in scale.ticks] == [name for _, name in ticks]
    assert [at for at, _ in scale.ticks] == pytest.approx([at for at, _ in ticks], abs=1e-5)


def test_very_small_and_large_numbers_are_printed_as_powers_of_ten():
    (scale,) = scales([replace(_map([[7.6e-10, 2.38e-5]]), unit="relevancy")])
    assert scale.ends == ("0", "2.38 \N{MULTIPLICATION SIGN} 10⁻⁵")
    (scale,) = scales([_map([[-1.5e12, 0]], SIGNED)])
    assert scale.ends == (
        "\N{MINUS SIGN}1.5 \N{MULTIPLICATION SIGN} 10¹²",
        "1.5 \N{MULTIPLICATION SIGN} 10¹²",
    )


@settings(deadline=None)
@given(
    arrays.arrays(np.float32, (3, 3), elements=st.floats(-(2.0**60), 2.0**60, width=32)),
    st.sampled_from(["root", "linear", "log"]),
)
def test_positions_stay_on_the_bar_and_keep_the_order(values, rule):
    heatmap = replace(_map(values, SIGNED), unit="relevancy")
    (scale,) = scales([heatmap], rule)
    if scale is None:
        assert not heatmap.has_evidence
        return
    position = scale.position(values)
    assert ((position >= 0) & (position <= 1)).all()
    assert (np.diff(position.ravel()[np.argsort(values.ravel())]) >= 0).all()
    assert scale.strength(values).max() == pytest.approx(1.0, abs=1e-5)


def test_a_bar_shows_its_colours_over_grey_as_a_map_does():
    for like in (PLAIN, SIGNED):
        (scale,) = scales([like], opacity=0.6)
        shown = colour.bar(scale, 3, 101)
        position = np.linspace(0, 1, 101, dtype=np.float32)
        strength = np.abs(2 * position - 1) if like.signed else position
        cover = 0.6 * strength[:, None]
        expected = cover * paint(position, scale.colours) + (1 - cover) * GROUND
        np.testing.assert_allclose(shown[1], expected, atol=1e-6)


def test_a_veil_is_colour_and_opacity_of_each_value_and_nothing_where_none_is():
    (scale,) = scales([_map([[0, 1, 4]])])
    over = scale.veil(np.array([0, 1, 4, NAN], np.float32))
    assert over[:, 3] == pytest.approx([0, OPACITY / 2, OPACITY, 0])
    np.testing.assert_array_equal(over[:3, :3], paint(np.array([0, 0.5, 1], np.float32), "ember"))


def test_chosen_colours_and_opacity_are_those_of_the_maps_whose_kind_they_fit():
    plain, signed = scales([PLAIN, SIGNED], colours="inferno", opacity=0.5)
    assert (plain.colours, plain.opacity) == ("inferno", 0.5)
    assert (signed.colours, signed.opacity) == ("ember_ice", 0.5)
    with pytest.raises(UnknownName, match=r"no colours called 'jet': known are 'ember', .* Name one"):
        colour.known("jet")


@pytest.mark.parametrize("name", [name for name in COLOURS if name not in colour.DEFAULTS.values()])
def test_colours_of_matplotlib_are_taken_as_they_are(name):
    np.testing.assert_array_equal(table(name), np.rint(255 * mpl.colormaps[name](np.arange(256))[:, :3]))


@pytest.mark.parametrize("name", [name for name, signed in COLOURS.items() if not signed])
def test_a_colour_map_for_amounts_gets_steadily_lighter(name):
    light = _lightness(table(name) / 255)
    # Colours are rounded to 8 bits, so a step may be lost, and none may lead back.
    assert (np.diff(light) > -0.5).all()
    assert light[-1] - light[0] > 40


def test_for_and_against_are_apart_in_hue():
    low, _, high = paint(np.array([0.0, 0.5, 1.0], np.float32), "ember_ice")
    assert low[2] > low[0] + 0.3
    assert high[0] > high[2] + 0.3


def test_what_was_not_seen_has_no_colour():
    assert paint(np.array([NAN], np.float32), "ember").tolist() == [[0.0, 0.0, 0.0]]
    (scale,) = scales([PLAIN])
    assert np.isnan(scale.position(np.array([NAN], np.float32))).all()
