"""The choice of heads against planted ones and a second count of regions, the maps against eager rows."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from groundviz.errors import UnknownName
from groundviz.explain import explain
from groundviz.methods.localization_heads import localization_heads
from groundviz.methods.toolkit.dispersion import spatial_entropy
from groundviz.record import store
from tests.methods.eager import attention_rows, values
from tests.methods.planted import planted

QUESTION, ANSWER = "Is there a nodule?", "left lung nodule"


def entropy(image):
    """The same by another library and a loop."""
    excess = np.maximum(image - 2 * image.mean(), 0)
    regions, count = ndimage.label(excess, structure=np.ones((3, 3)))
    shares = [excess[regions == number].sum() / excess.sum() for number in range(1, count + 1)]
    return -sum(share * np.log(share) for share in shares)


def test_maps_are_the_rows_of_the_chosen_heads(tiny, source_image):
    methods = {"localization_heads": {"heads": 2}}
    explanation = explain(tiny, source_image, QUESTION, answer=ANSWER, methods=methods)
    rows = attention_rows(tiny, explanation.record)
    maps, found = values(explanation, "localization_heads")
    chosen = maps.params["chosen"]
    assert 1 <= len(chosen) <= 2
    assert found.shape == (3, 1, len(chosen), 16)
    for at, head in enumerate(chosen):
        own = rows[:, head["layer"], head["head"]]
        np.testing.assert_allclose(found[:, 0, at], own, atol=1e-5)
        assert head["mass"] == pytest.approx(own.sum(-1).mean(), rel=1e-5)
        assert head["entropy"] == pytest.approx(
            np.mean([entropy(row.reshape(4, 4)) for row in own]), abs=1e-4
        )
    assert (maps.unit, maps.layers) == ("share of attention", ())
    single = [explanation.heatmap(target=t).values for t in range(3)]
    np.testing.assert_allclose(explanation.heatmap().values, np.mean(single, axis=0), rtol=1e-5)
    assert store.unpack(store.pack(explanation.record)).heatmaps[0].params == maps.params


def test_of_all_heads_above_the_elbow_the_least_scattered_are_taken(tiny, source_image):
    methods = {"localization_heads": {"heads": 99}}
    explanation = explain(tiny, source_image, QUESTION, answer=ANSWER, methods=methods)
    rows = attention_rows(tiny, explanation.record)
    mass = rows.sum(-1).mean(0)
    curve = np.sort(mass.ravel())
    below = [curve[0] + (curve[-1] - curve[0]) * k / (len(curve) - 1) - v for k, v in enumerate(curve)]
    least = curve[int(np.argmax(below))]
    expected = {(layer, head) for layer, head in itertools.product(range(2), range(4))}
    expected = {one for one in expected if mass[one] > least + 1e-7}
    chosen = values(explanation, "localization_heads")[0].params["chosen"]
    assert {(one["layer"], one["head"]) for one in chosen} == expected
    assert [one["entropy"] for one in chosen] == sorted(one["entropy"] for one in chosen)


def head(**cells):
    image = np.full((5, 5), 0.0004)
    for name, share in cells.items():
        image[int(name[1]), int(name[2])] = share
    return image.ravel()


def test_a_focused_head_is_chosen_over_scattered_and_absent_minded_ones():
    scattered, focused, corner = head(c00=0.3, c44=0.3), head(c11=0.2, c12=0.3), head(c21=0.3, c32=0.35)
    absent = [head(c33=0.02), head(c33=0.03), head(c33=0.01), head(c33=0.025)]
    attention = np.array([[[scattered, focused, corner, absent[0]], [*absent[1:], absent[0]]]] * 2)
    (maps,) = localization_heads(*planted(attention, rows=5, cols=5), heads=2)
    # Both are of one region, in which cells may touch at a corner; the one with more mass comes first.
    assert [(one["layer"], one["head"]) for one in maps.params["chosen"]] == [(0, 2), (0, 1)]
    assert maps.values.shape == (2, 1, 2, 5, 5)
    (three,) = localization_heads(*planted(attention, rows=5, cols=5))
    assert three.params["chosen"][2]["entropy"] == pytest.approx(np.log(2), abs=1e-3)


def test_heads_in_which_nothing_stands_out_come_last_without_an_entropy():
    attention = np.full((1, 1, 3, 6), 0.1)
    attention[0, 0, 0] = 0.01
    attention[0, 0, 2] = 0.02
    attention[0, 0, 2, 3] = 0.5
    (maps,) = localization_heads(*planted(attention, rows=2, cols=4))
    assert [(one["head"], one["entropy"]) for one in maps.params["chosen"]] == [(2, 0.0), (1, None)]
    assert np.isnan(maps.values[..., 1, 2:]).all()


def test_regions_of_several_grids_count_together():
    one = np.array([[9.0, 0, 0, 0, 0]])
    blank = np.array([[0.0, np.nan]])
    assert spatial_entropy([one, blank]) == 0.0
    assert spatial_entropy([one, one]) == pytest.approx(np.log(2))
    assert spatial_entropy([np.ones((2, 2))]) == np.inf


def as_published(attention, rows, cols, heads):
    """The rule from its description, by loops and scipy: (layer, head) of each head, for one row."""
    layers, count, _ = attention.shape
    mass = {(lay, h): float(attention[lay, h].sum()) for lay in range(layers) for h in range(count)}
    ordered = sorted(mass.values())
    ends = np.array([0.0, ordered[0]]), np.array([len(ordered) - 1.0, ordered[-1]])
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    off = []
    for at, value in enumerate(ordered):
        way = np.array([at, value]) - ends[0]
        off.append(np.linalg.norm(way - (way @ along) * along))
    threshold = ordered[int(np.argmax(off))]
    kept = []
    for (layer, one), sum_ in mass.items():
        image = attention[layer, one].reshape(rows, cols)
        if sum_ < threshold or layer < 2 or any(cell > 0.05 for cell in image[-1]):
            continue
        excess = np.maximum(image - 2 * image.mean(), 0)
        if excess.sum() == 0:
            continue
        regions, number = ndimage.label(excess > 0.001, structure=np.ones((3, 3)))
        shares = [excess[regions == at].sum() / excess.sum() for at in range(1, number + 1)]
        kept.append((-sum(share * np.log(share) for share in shares), layer, one))
    return [(layer, one) for _, layer, one in sorted(kept, key=lambda found: found[0])[:heads]]


@pytest.mark.parametrize("seed", range(12))
def test_the_published_rule_chooses_as_its_description_says(seed):
    random = np.random.default_rng(seed)
    # Peaked rows of very different mass, some of them at the bottom.
    attention = random.random((3, 6, 8, 30)) ** 12 * random.random((3, 6, 8, 1)) ** 3 / 6
    (maps,) = localization_heads(*planted(attention, rows=5, cols=6), heads=4, rule="published")
    expected = as_published(np.asarray(attention, np.float32)[0], 5, 6, 4)
    assert len(expected) > 0
    assert [(one["layer"], one["head"]) for one in maps.params["chosen"]] == expected
    # One row, the last prompt token's, whatever the word.
    for word in range(3):
        for at, (layer, one) in enumerate(expected):
            np.testing.assert_array_equal(
                maps.values[word, 0, at].ravel(), np.float32(attention[0, layer, one])
            )


def test_the_published_rule_drops_early_layers_and_the_bottom_row():
    attention = np.full((1, 4, 3, 25), 0.0004)
    attention[0, 0, 0, 12] = attention[0, 1, 1, 12] = 0.5  # Layers 0 and 1.
    attention[0, 2, 0, 22] = 0.4  # The bottom row.
    attention[0, 3, 2, 7] = 0.3
    arguments = planted(attention, rows=5, cols=5)
    (maps,) = localization_heads(*arguments, rule="published")
    assert [(one["layer"], one["head"]) for one in maps.params["chosen"]] == [(3, 2)]
    (ours,) = localization_heads(*arguments)
    assert (0, 0) in [(one["layer"], one["head"]) for one in ours.params["chosen"]]


def test_where_the_published_rule_leaves_no_head_the_one_with_most_attention_is_taken():
    attention = np.full((1, 2, 3, 25), 0.0004)
    attention[0, 0, 1, 12] = 0.5
    (maps,) = localization_heads(*planted(attention, rows=5, cols=5), rule="published")
    assert [(one["layer"], one["head"]) for one in maps.params["chosen"]] == [(0, 1)]


def test_a_rule_that_is_not_there_is_refused():
    with pytest.raises(UnknownName, match="'vote': there are answer, published"):
        localization_heads(*planted(np.full((1, 2, 3, 25), 0.1), rows=5, cols=5), rule="vote")
