"""Which images are a stack, and which share of a map lies on each of its slices."""

from dataclasses import replace

import numpy as np
import pytest

from groundviz.errors import UnknownName
from groundviz.explanation import Explanation
from groundviz.record import stacks, store
from groundviz.record.selection import Selection
from groundviz.record.targets import find
from groundviz.record.types import Slice
from tests.support import records


def test_slices_of_a_stack_belong_together_and_every_other_image_is_alone():
    one = records.source_image(8, 8)
    first, second = ([replace(one, slice=Slice(stack=at, number=n, of=9)) for n in (4, 2)] for at in (0, 1))
    images = [first[0], one, *second, first[1], one]
    assert stacks.grouped(images) == ((0, 4), (1,), (2, 3), (5,))
    assert [stacks.is_stack(each, images) for each in stacks.grouped(images)] == [True, False, True, False]


def test_shares_are_the_mass_of_each_slice_in_that_of_the_stack():
    record = records.stack(weights=(1.0, 3.0, 0.0, 4.0))
    for method in ("attention", "occlusion"):
        share = stacks.shares(record, method, record.target, (0, 1, 2, 3))
        np.testing.assert_allclose(share, [1 / 8, 3 / 8, 0.0, 4 / 8], rtol=1e-6)
    assert stacks.heaviest(record, (0, 1, 2, 3)) == (3, 1, 0, 2)
    assert stacks.shares(record, "attention", record.target, (0, 1)) == pytest.approx([0.25, 0.75])
    one = find(record.answer, "nodule")
    assert stacks.shares(record, "attention", one, (0, 3), layer=1) == pytest.approx([0.2, 0.8])


def test_shares_are_not_known_where_a_slice_has_no_map_or_none_holds_anything():
    record = records.stack(weights=(1.0, 1.0))
    assert (
        stacks.shares(replace(record, heatmaps=record.heatmaps[:1]), "attention", record.target, (0, 1))
        is None
    )
    assert stacks.shares(records.stack(weights=(0.0, 0.0)), "attention", record.target, (0, 1)) is None
    assert stacks.heaviest(replace(record, heatmaps=()), (0, 1)) == (0, 1)


def test_an_explanation_tells_the_shares_of_its_stacks():
    told = Explanation(records.stack(weights=(1.0, 3.0)))
    assert told.slice_shares() == pytest.approx([0.25, 0.75])
    assert told.slice_shares("occlusion", "nodule", layer=1) == pytest.approx([0.25, 0.75])
    assert np.isnan(Explanation(records.stack(weights=(0.0, 0.0))).slice_shares()).all()
    with pytest.raises(UnknownName, match="no stack 1: there are 0"):
        told.slice_shares(stack=1)
    with pytest.raises(UnknownName, match="no image is a slice"):
        Explanation(records.record()).slice_shares()
    with pytest.raises(UnknownName, match="no maps of 'rise'"):
        told.slice_shares("rise")


def test_of_a_long_stack_the_slices_that_hold_most_are_drawn():
    record = records.stack(weights=(1.0, 5.0, 2.0, 0.5, 4.0, 3.0, 0.1))
    assert stacks.drawn(record) == stacks.drawn(record, "occlusion") == (1, 2, 4, 5)
    rows = Selection(methods="attention").rows(record, [record.target], named=True)
    assert [row[0].grid.image for row in rows] == [1, 2, 4, 5]
    # Of the part that is drawn.
    word, maps = find(record.answer, "nodule"), list(record.heatmaps)
    values = maps[6].values.copy()
    values[0] *= 1000
    maps[6] = replace(maps[6], values=values)
    changed = replace(record, heatmaps=tuple(maps))
    rows = Selection(methods="attention").rows(changed, [word], named=True)
    assert [row[0].grid.image for row in rows] == [1, 4, 5, 6]
    # Who names a slice gets it, and images that are no stack are all drawn.
    (row,) = Selection(methods="attention", image=6).rows(record, [record.target], named=True)
    assert row[0].grid.image == 6
    several = [replace(one, slice=None) for one in record.source_images]
    assert stacks.drawn(replace(record, source_images=tuple(several))) == tuple(range(7))


def test_a_position_is_told_with_its_direction():
    one = records.stack(weights=(1.0,)).source_image
    below = replace(one, position_mm=-12.25, towards="")
    assert [stacks.position(each) for each in (one, below, replace(one, position_mm=None))] == [
        *("H 50.0 mm", "\N{MINUS SIGN}12.2 mm", "")
    ]


def test_slices_and_their_places_are_kept_in_a_file():
    record = records.stack(weights=(1.0, 3.0))
    found = store.unpack(store.pack(record))
    assert [(one.slice, one.position_mm, one.towards) for one in found.source_images] == [
        (Slice(stack=0, number=10, of=20), 50.0, "H"),
        (Slice(stack=0, number=11, of=20), 55.0, "H"),
    ]
    lone = records.record()
    assert b"position_mm" not in store.pack(lone) and b'"slice"' not in store.pack(lone)
