"""Panels share the page evenly, in the patient's proportions."""

from dataclasses import replace

import numpy as np
import pytest

from groundviz.render.colour import paint, scales
from groundviz.render.page import millimetres
from groundviz.render.panels import Layout, colours
from tests import records


@pytest.mark.parametrize("width", [58.0, 87.0, 118.0, 181.0, 400.0])
@pytest.mark.parametrize("count", range(1, 15))
@pytest.mark.parametrize("shape", [(96, 96), (60, 90), (90, 60), (8, 400), (400, 8)])
def test_panels_fill_their_lines_and_stay_on_the_page(width, count, shape):
    layout = Layout.of(records.study(*shape), width, count)
    lines = -(-count // layout.per_line)
    assert layout.per_line * lines - count < lines
    assert layout.pitch * (layout.per_line - 1) + millimetres(layout.shape[1]) <= width + 0.1
    assert min(layout.shape) >= 8
    assert millimetres(layout.shape[0]) <= 80.1


@pytest.mark.parametrize(("spacing", "aspect"), [(None, 1.5), ((0.2, 0.2), 1.5), ((0.5, 1.0), 0.75)])
def test_panels_have_the_patient_s_proportions(spacing, aspect):
    study = replace(records.study(90, 60), spacing_mm=spacing)
    rows, cols = Layout.of(study, 181.0, 5).shape
    assert rows / cols == pytest.approx(aspect, rel=0.02)


def test_no_panel_is_narrower_than_its_label_can_be_read():
    assert Layout.of(records.study(400, 8), 181.0, 3).pitch >= 24.0


def test_studies_of_different_proportions_share_columns_and_keep_their_shape():
    studies = [records.study(60, 150), records.study(200, 50)]
    alone = [Layout.of(study, 181.0, 2) for study in studies]
    together = Layout.of_each(studies, 181.0, 2)
    assert [layout.shape for layout in together] == [layout.shape for layout in alone]
    assert [layout.room for layout in together] == [layout.room for layout in alone]
    assert {layout.pitch for layout in together} == {alone[0].pitch} != {alone[1].pitch}


def test_the_bar_shows_the_scale_from_end_to_end_at_full_opacity():
    record = records.record()
    for maps in record.heatmaps:
        (scale,) = scales([maps.at(record.target)])
        bar = colours(scale, 4, 101)
        assert bar.shape == (4, 101, 3)
        ends = paint(np.array([0.0, 0.5, 1.0], np.float32), signed=scale.signed)
        assert np.array_equal(bar[2, [0, 50, 100]], ends)
