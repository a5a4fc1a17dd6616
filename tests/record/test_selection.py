"""What is named is found, once; what is not there is answered with what is."""

from dataclasses import replace

import numpy as np
import pytest

from groundviz.errors import TargetError, UnknownName
from groundviz.record import selection
from groundviz.record.selection import Selection
from groundviz.record.targets import find, rather_than
from groundviz.record.types import Foil
from tests.support import records

RECORD = records.record()
PLAIN, SIGNED = RECORD.heatmaps
LEFT, NODULE = (find(RECORD.answer, named) for named in ("left", "nodule"))
CONTRAST = rather_than(LEFT, Foil(text="right", token_ids=(7,)))


def test_a_contrast_that_was_asked_for_is_found_by_how_it_reads():
    record = replace(RECORD, targets=(CONTRAST,))
    assert selection.target(record, "left rather than right") is CONTRAST
    assert selection.target(record, None) is CONTRAST
    assert selection.target(record, "left") == LEFT


def test_methods_are_named_once_and_an_unknown_one_is_answered_with_them():
    assert selection.methods(records.pair()) == ("attention", "occlusion")
    assert selection.measured(RECORD, None) == [PLAIN]
    with pytest.raises(UnknownName, match="no maps of 'rise': it holds attention, occlusion"):
        selection.measured(RECORD, "rise")


def test_a_row_for_each_method_and_grid_and_a_map_for_each_part():
    rows = Selection().rows(records.pair(), [NODULE, LEFT], named=True)
    assert [(row[0].method, row[0].grid.image) for row in rows] == [
        ("attention", 0),
        ("attention", 1),
        ("occlusion", 0),
        ("occlusion", 1),
    ]
    assert all([one.target for one in row] == [NODULE, LEFT] for row in rows)
    second = Selection(methods="occlusion", image=1).rows(records.pair(), [LEFT], named=True)
    assert [(row[0].method, row[0].grid.image) for row in second] == [("occlusion", 1)]


def test_parts_that_were_not_measured_are_left_out_unless_named():
    whole = replace(PLAIN, targets=(RECORD.target,), values=PLAIN.values[:1])
    record = replace(RECORD, heatmaps=(whole,))
    (row,) = Selection().rows(record, [RECORD.target, LEFT], named=False)
    assert [one.target for one in row] == [RECORD.target]
    with pytest.raises(TargetError, match="attention has no map for ' left'"):
        Selection().rows(record, [LEFT], named=True)


def test_layer_by_layer_each_part_has_a_row_of_all_layers():
    rows = Selection(methods="attention", layer="each", head=1).rows(RECORD, [NODULE, LEFT], named=True)
    assert [[(one.target, one.layer, one.head) for one in row] for row in rows] == [
        [(target, layer, 1) for layer in (0, 1)] for target in (NODULE, LEFT)
    ]
    np.testing.assert_array_equal(rows[1][0].values, PLAIN.at(LEFT, layer=0, head=1).values)
