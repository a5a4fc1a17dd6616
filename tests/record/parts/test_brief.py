"""Every part of a record stands on one line, however large or strange it is; a map is taken as an array."""

from dataclasses import fields, is_dataclass, replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from groundviz.record import types
from groundviz.record.parts import brief
from groundviz.record.types import Foil, Message, Record, Slice, StoredValues, Target
from tests.support import records

PUBLIC = {kind for kind in vars(types).values() if isinstance(kind, type) and is_dataclass(kind)}


def parts(thing: object) -> list[object]:
    """A dataclass and all that is one within it."""
    if isinstance(thing, tuple):
        return [part for one in thing for part in parts(one)]
    if not is_dataclass(thing):
        return []
    return [thing, *(part for field in fields(thing) for part in parts(getattr(thing, field.name)))]


def strange() -> Record:
    """Long texts, line breaks and control characters wherever a text may stand."""
    text = "\n\x1b[2J\u202e" * 500
    one = records.flawed()
    foil = Foil(text=text, token_ids=tuple(range(999)))
    target = Target(tokens=tuple(range(500)), text=text, foil=foil)
    maps = tuple(replace(each, method=text, unit=text, targets=(target,)) for each in one.heatmaps)
    stored = StoredValues(codes=np.zeros(one.source_image.shape, np.uint16), low=0.0, step=1.0, unit=text)
    messages = (Message(role="user", content=(text, None)),)
    return replace(
        one,
        prompt=replace(one.prompt, question=text, messages=messages),
        answer=replace(one.answer, text=text),
        targets=(target,),
        heatmaps=maps,
        provenance=replace(one.provenance, model=text, family=text, device=text, certificate=text),
        source_images=(
            replace(
                one.source_image,
                source=text,
                notes=(text,),
                spacing_mm=(0.1, 0.2),
                stored=stored,
                slice=Slice(stack=0, number=1, of=2),
            ),
        ),
        label=text,
    )


@pytest.mark.parametrize("one", [records.record(), records.tiled(), strange()], ids=["plain", "tiles", "odd"])
def test_every_part_is_one_short_line(one):
    for part in parts(one):
        line = repr(part)
        assert len(line) <= brief.LONGEST_LINE, type(part)
        assert line.isprintable(), type(part)


def test_no_type_was_left_out():
    seen = {type(part) for part in parts(strange())}
    seen.add(type(records.record().heatmaps[0].at(records.record().target)))
    assert PUBLIC - seen == set()


def test_a_heatmap_tells_method_target_shape_unit_and_range():
    one = records.tiled()
    heatmap = one.heatmaps[1].at(one.target, layer=1)
    low, high = heatmap.values.min(), heatmap.values.max()
    assert repr(heatmap) == (
        "<Heatmap: attention of 'nodule in the left upper zone.', image 0 tiles, layer 1, 14 x 21 cells, "
        f"share of attention, {low:.3g} to {high:.3g}>"
    )


def test_a_map_without_a_value_says_so():
    heatmap = records.record().heatmaps[0].at(records.record().target)
    holes = heatmap.values.copy()
    holes[0] = np.nan
    assert repr(replace(heatmap, values=holes)).endswith("14 of 196 NaN>")
    assert repr(replace(heatmap, values=np.full_like(holes, np.nan))).endswith("all NaN>")


def test_two_targets_are_still_equal_by_what_they_hold():
    one, other = (Target(tokens=(1,), text="x", foil=Foil(text="y", token_ids=(3,))) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != replace(one, foil=None)


def test_numpy_takes_a_map_as_its_raw_values():
    heatmap = records.record().heatmaps[1].at(records.record().target)
    assert np.asarray(heatmap) is heatmap.values
    assert heatmap.shape == np.shape(heatmap) == (14, 14)
    wide = np.asarray(heatmap, dtype=np.float64)
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(wide, heatmap.values)
    copied = np.array(heatmap)
    assert not np.shares_memory(copied, heatmap.values)
    np.testing.assert_array_equal(copied, heatmap.values)
    # As numpy 1 calls it, which knows no copy.
    assert heatmap.__array__(np.float64).dtype == np.float64
    assert heatmap.__array__() is heatmap.values
    assert float(np.mean(heatmap)) == pytest.approx(float(heatmap.values.mean()))


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="numpy 1 copies where it must")
def test_a_copy_that_was_forbidden_is_refused():
    heatmap = records.record().heatmaps[0].at(records.record().target)
    assert np.array(heatmap, copy=False) is heatmap.values
    with pytest.raises(ValueError, match="copy"):
        np.array(heatmap, dtype=np.float64, copy=False)


def test_matplotlib_shows_a_map_as_it_is():
    heatmap = records.record().heatmaps[0].at(records.record().target)
    figure, axes = plt.subplots()
    shown = axes.imshow(heatmap)
    np.testing.assert_array_equal(shown.get_array(), heatmap.values)
    plt.close(figure)
