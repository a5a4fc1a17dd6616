"""Charts show the numbers of the maps, say what they are, and take no text for markup."""

import json
from dataclasses import replace

import numpy as np
import pytest

from groundviz.errors import ImageError, MissingExtra, TargetError
from groundviz.record.geometry import cell_coverage
from groundviz.record.localization import localization_curve
from groundviz.record.targets import find
from groundviz.render.figures.charts import Charts
from tests.support import records

RECORD = records.record()
PLAIN, SIGNED = RECORD.heatmaps
CHARTS = Charts(RECORD)
LEFT = find(RECORD.answer, "left")
MASK = np.zeros((96, 96), bool)
MASK[25:41, 57:73] = True


def test_each_cell_of_the_matrix_is_the_sum_of_one_head_s_map():
    (matrix,) = CHARTS.heads(target="left").data
    expected = np.nansum(PLAIN.values[3], axis=(2, 3))
    np.testing.assert_allclose(matrix.z, expected, rtol=1e-5)
    assert list(matrix.y) == ["layer 0", "layer 1"]
    assert list(matrix.x) == ["head 0", "head 1"]
    assert "share of attention" in matrix.colorbar.title.text


def test_with_a_mask_it_is_the_share_of_the_map_inside():
    (matrix,) = CHARTS.heads("attention", "nodule", mask=MASK).data
    values = PLAIN.values[0].astype(float)
    inside = (values * cell_coverage(PLAIN.grid, MASK)).sum(axis=(2, 3)) / values.sum(axis=(2, 3))
    np.testing.assert_allclose(matrix.z, inside, rtol=1e-5)
    assert (0 < matrix.z).all() and (matrix.z < 1).all()


def test_a_signed_method_is_centred_on_zero_and_has_no_share():
    (matrix,) = CHARTS.heads("occlusion").data
    assert matrix.zmid == 0
    with pytest.raises(TargetError, match="occlusion has values below zero"):
        CHARTS.heads("occlusion", mask=MASK)


def test_curves_are_the_shares_of_each_layer_beside_chance():
    figure = CHARTS.layers(MASK, "nodule")
    curve, chance = figure.data
    expected, share = localization_curve(PLAIN, find(RECORD.answer, "nodule"), MASK)
    np.testing.assert_allclose(curve.y, expected)
    np.testing.assert_allclose(chance.y, share)
    assert (curve.name, chance.name) == ("Attention", "Attention, by chance")
    assert list(curve.x) == list(chance.x) == ["layer 0", "layer 1"]
    assert "“nodule”" in figure.layout.title.text


def test_layers_behind_a_change_of_cells_continue_the_curve_under_their_own_names():
    sites = (("vision.0", "vision.1"), ("projector", "language.0"))
    stages = tuple(replace(PLAIN, method="stage_audit", params={"sites": names}) for names in sites)
    curve, _ = Charts(replace(RECORD, heatmaps=stages)).layers(MASK).data
    assert list(curve.x) == ["vision 0", "vision 1", "projector", "language 0"]


def test_methods_that_cannot_be_charted_are_refused():
    merged = replace(PLAIN, values=PLAIN.values[:, :1, :1], layers=())
    charts = Charts(replace(RECORD, heatmaps=(merged, SIGNED)))
    with pytest.raises(TargetError, match="tells neither layers nor heads apart"):
        charts.heads("attention")
    with pytest.raises(TargetError, match="No method here tells layers apart"):
        charts.layers(MASK)
    for method in ("attention", "occlusion"):
        with pytest.raises(TargetError, match=f"{method} has no share of each layer"):
            charts.layers(MASK, methods=method)


@pytest.mark.parametrize("mask", [MASK[:50], MASK.astype(float)])
def test_a_mask_must_fit_the_image(mask):
    with pytest.raises(ImageError, match="96 by 96 pixels"):
        CHARTS.heads(mask=mask)
    with pytest.raises(ImageError, match="96 by 96 pixels"):
        CHARTS.layers(mask)


def test_text_stays_text():
    sly = records.record(words=("<a href='x'>&amp;</a>", "\u202e"))
    title = Charts(sly).heads().layout.title.text
    assert "<" not in title
    assert "&lt;a href='x'>&amp;amp;" in title
    assert "\u202e" not in title


def test_equal_charts_are_equal_bytes_and_carry_no_script():
    one, other = (CHARTS.layers(MASK).to_json() for _ in range(2))
    assert one == other
    assert set(json.loads(one)) == {"data", "layout"}


def test_without_plotly_the_command_that_installs_it_is_named(monkeypatch):
    def refuse(name, *rest):
        raise ImportError(name)

    monkeypatch.setattr("groundviz.render.figures.charts.import_module", refuse)
    with pytest.raises(MissingExtra, match=r"pip install .groundviz\[charts\]"):
        CHARTS.heads()


def test_a_matrix_of_amounts_starts_at_nothing_and_one_of_signs_is_centred_there():
    plain, signed = (Charts(records.record()).heads(name).data[0] for name in ("attention", "occlusion"))
    assert (plain.zmin, plain.zmid) == (0, None)
    assert (signed.zmin, signed.zmid) == (None, 0)
