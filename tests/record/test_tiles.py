"""One of several images, and one of its tiles, is found by number or label, or what there is gets listed."""

from dataclasses import replace

import numpy as np
import pytest

from groundviz.errors import UnknownName
from groundviz.record import tiles
from groundviz.record.types import Slice
from tests.support import records


def _maps(record, method="attention"):
    return [maps for maps in record.heatmaps if maps.method == method]


ONE, PAIR, TILED, SHATTERED = (
    _maps(made()) for made in (records.record, records.pair, records.tiled, records.shattered)
)


def _places(maps):
    return [(one.grid.image, one.grid.label) for one in maps]


@pytest.mark.parametrize(
    ("maps", "named", "found"),
    [
        (ONE, {}, [(0, "")]),
        (ONE, {"image": 0, "tile": 0}, [(0, "")]),
        (PAIR, {}, [(0, ""), (1, "")]),
        (PAIR, {"image": 1}, [(1, "")]),
        (PAIR, {"tile": 0}, [(0, ""), (1, "")]),
        (TILED, {"image": 0}, [(0, "overview"), (0, "tiles")]),
        (TILED, {"tile": "tiles"}, [(0, "tiles")]),
        (TILED, {"image": np.int64(0), "tile": np.int64(1)}, [(0, "tiles")]),
        (SHATTERED, {"image": 0, "tile": 12}, [(0, "tile 12 of 12")]),
        (SHATTERED, {"tile": "overview"}, [(0, "overview")]),
        (SHATTERED, {"tile": 0}, [(0, "overview"), (1, "")]),
    ],
)
def test_maps_are_chosen_by_image_and_tile(maps, named, found):
    assert _places(tiles.choose(maps, **named)) == found


@pytest.mark.parametrize(
    ("maps", "named", "says"),
    [
        (ONE, {"image": 1}, "attention has no map of image=1: it has image=0. Name one of these."),
        (ONE, {"image": -1}, "no map of image=-1: it has image=0"),
        (ONE, {"tile": "overview"}, "no map of tile='overview': it has image=0"),
        (PAIR, {"image": 2}, "no map of image=2: it has image=0; image=1"),
        (PAIR, {"image": 1, "tile": 1}, "no map of image=1, tile=1: it has"),
        (TILED, {"tile": 2}, "no map of tile=2: it has image=0 with tile='overview' or 'tiles'"),
        (SHATTERED, {"image": 1, "tile": "overview"}, "or 'tile 12 of 12'; image=1"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(maps, named, says):
    with pytest.raises(UnknownName) as caught:
        tiles.choose(maps, **named)
    assert says in str(caught.value)


def test_tiles_without_a_label_are_listed_by_number():
    box = (0, 0, 8, 8)
    record = records.record_of([records.source_image(8, 8)], [records.grid_over(box, (2, 2))] * 2)
    with pytest.raises(UnknownName, match="image=0 with tile=0 or 1"):
        tiles.choose(_maps(record), tile=2)


def test_what_is_drawn_unasked_is_everything_or_the_first_of_too_many():
    assert _places(tiles.drawn(SHATTERED)) == [(0, "overview"), (1, "")]
    for maps in (ONE, PAIR, TILED):
        assert tiles.drawn(maps) == maps
    of_first = tiles.choose(SHATTERED, 0)
    assert tiles.drawn(of_first[: tiles.MOST_DRAWN]) == of_first[: tiles.MOST_DRAWN]
    assert tiles.drawn(of_first[: tiles.MOST_DRAWN + 1]) == of_first[:1]


def test_a_place_says_no_more_than_it_must():
    one = [records.source_image(8, 8)]
    assert tiles.place(ONE[0].grid, one) == ""
    assert [tiles.place(each.grid, one) for each in TILED] == ["overview", "tiles"]
    assert [tiles.place(each.grid, one * 2) for each in PAIR] == ["image 1 of 2", "image 2 of 2"]
    assert tiles.place(SHATTERED[1].grid, one * 2) == "image 1 of 2, overview"


def test_a_slice_is_called_by_its_number_in_its_stack():
    alone = records.source_image(8, 8)
    one = replace(alone, slice=Slice(stack=0, number=12, of=40))
    other = replace(alone, slice=Slice(stack=1, number=0, of=3))
    assert tiles.which(0, [one]) == tiles.which(0, [one, alone]) == "slice 13 of 40"
    assert tiles.which(1, [one, other]) == "stack 2, slice 1 of 3"
    assert tiles.which(1, [one, alone]) == "image 2 of 2"
