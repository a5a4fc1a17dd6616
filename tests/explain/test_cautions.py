"""What is known against a method stands beside its maps, wherever they are shown."""

from dataclasses import replace

import numpy as np
import pytest

from groundviz.cli import printing
from groundviz.explanation import Explanation
from groundviz.record.types import Samples
from groundviz.render.base import captions
from groundviz.render.viewer import pack
from tests.support import records

UNRELIABLE = {"caution": "It was seen to fail; compare it with another method."}


@pytest.fixture
def record():
    plain = records.record()
    return replace(plain, heatmaps=tuple(replace(one, params=dict(UNRELIABLE)) for one in plain.heatmaps))


def test_a_method_without_a_caution_has_none():
    plain = records.record()
    assert captions.cautions(plain.heatmaps) == ()
    assert UNRELIABLE["caution"] not in Explanation(plain).to_html()


def test_every_way_of_showing_a_map_says_so(record):
    told = Explanation(record)
    (says, *_) = captions.cautions(record.heatmaps)
    assert UNRELIABLE["caution"] in says
    assert says in told.figure().caption
    assert says in told.to_html()
    assert says in pack.missing(record)
    assert any(says in line for line in printing.maps(told))
    assert says in captions.legend(record.source_images, [maps.at(record.target) for maps in record.heatmaps])


def test_what_an_interrupt_left_unmeasured_is_not_called_unseen(record):
    maps = record.heatmaps[0]
    valid = maps.grid.valid.copy()
    valid[0, 0] = False
    values = maps.values.copy()
    values[..., 0, 0] = np.nan
    cut = replace(maps, grid=replace(maps.grid, valid=valid), values=values, samples=Samples(done=1, asked=2))
    sentences = captions.legend(record.source_images, [cut.at(record.target)])
    assert "Hatched: not measured, or not seen by the model." in sentences
