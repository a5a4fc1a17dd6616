"""The facts that travel: targets are found, maps are combined, and nothing can be changed afterwards."""

import dataclasses
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundviz.errors import TargetError
from groundviz.record.targets import find
from groundviz.record.types import Heatmaps, Samples, Target
from tests.support import records

ANSWER = records.answer()


@pytest.mark.parametrize(
    ("named", "tokens", "text"),
    [
        (None, (0, 1, 2, 3, 4, 5, 6), "nodule in the left upper zone."),
        ("nodule", (0,), "nodule"),
        ("left upper", (3, 4), " left upper"),
        ("eft up", (3, 4), " left upper"),
        ("odu", (0,), "nodule"),
        (2, (2,), " the"),
        (-1, (7,), "</s>"),
        (-8, (0,), "nodule"),
        ((1, 3), (1, 2), " in the"),
        ((6, 8), (6, 7), "."),
    ],
)
def test_a_target_is_found_by_text_index_or_range(named, tokens, text):
    found = find(ANSWER, named)
    assert (found.tokens, found.text, found.kind) == (tokens, text, "logprob")
    assert find(ANSWER, found) is found


@pytest.mark.parametrize("named", ["effusion", "", "NODULE", 8, -9, (3, 3), (5, 2), (0, 9), (-1, 2)])
def test_a_target_that_is_not_there_is_named_in_the_error(named):
    with pytest.raises(TargetError) as caught:
        find(ANSWER, named)
    assert repr(named) in str(caught.value)


def test_the_first_of_several_occurrences_is_meant():
    answer = records.answer(("no", " nodule", ",", " no", " mass"))
    assert find(answer, "no").tokens == (0,)
    assert find(answer, "no mass").tokens == (3, 4)


def test_an_answer_of_special_tokens_only_has_nothing_to_explain():
    silent = dataclasses.replace(
        ANSWER,
        text="",
        tokens=("</s>",),
        token_ids=ANSWER.token_ids[:1],
        offsets=np.array([[0, 0]]),
        logprobs=np.zeros(1, "f4"),
    )
    assert silent.spoken == ()
    with pytest.raises(TargetError, match="no words to explain"):
        find(silent)


def test_confidence_is_the_product_over_spoken_tokens():
    expected = prod(float(np.exp(np.float64(value))) for value in ANSWER.logprobs[:7])
    assert ANSWER.confidence == pytest.approx(expected, rel=1e-12)


def _maps(values, reduce=("mean", "mean", "mean"), tokens=None, layers=None) -> Heatmaps:
    values = np.asarray(values, np.float32)
    grid = records.cropped_grid(values.shape[3] * 4, values.shape[4] * 4, values.shape[3])
    return Heatmaps(
        values=values,
        targets=tuple(Target(tokens=(t,), text=str(t)) for t in tokens or range(values.shape[0])),
        layers=layers or tuple(range(values.shape[1])),
        reduce=reduce,
        method="attention",
        unit="attention mass",
        signed=False,
        grid=grid,
    )


@settings(deadline=None)
@given(
    st.tuples(*[st.sampled_from(["mean", "sum"])] * 3),
    st.sets(st.integers(0, 3), min_size=1),
    st.sampled_from([None, 4, 6]),
    st.sampled_from([None, 0, 1, 2]),
)
def test_a_map_combines_heads_then_layers_then_tokens_as_told(reduce, tokens, layer, head):
    values = np.random.default_rng(0).standard_normal((4, 2, 3, 2, 2)).astype(np.float32)
    maps = _maps(values, reduce, tokens=(0, 1, 2, 3), layers=(4, 6))
    found = maps.at(Target(tokens=tuple(sorted(tokens)), text="x"), layer=layer, head=head)
    layers = [0, 1] if layer is None else [(4, 6).index(layer)]
    heads = [0, 1, 2] if head is None else [head]
    expected = np.zeros((2, 2))
    for token in tokens:
        for at in layers:
            for each in heads:
                expected += values[token, at, each]
    for axis, how in zip((tokens, layers, heads), reduce, strict=True):
        expected /= len(axis) if how == "mean" else 1
    np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-6)
    assert (found.layer, found.head, found.values.dtype) == (layer, head, np.float32)


@pytest.mark.parametrize(("target", "named"), [((5,), {}), ((0,), {"layer": 5}), ((0,), {"head": 3})])
def test_what_was_not_measured_is_refused_with_what_was(target, named):
    maps = _maps(np.ones((2, 2, 3, 2, 2)), layers=(4, 6))
    with pytest.raises(TargetError, match=r"it measured \[") as caught:
        maps.at(Target(tokens=target, text="x"), **named)
    assert "attention has no map" in str(caught.value)


def test_cells_without_a_token_stay_empty_through_aggregation():
    values = np.ones((2, 2, 2, 2, 2), np.float32)
    values[..., 0, 1] = np.nan
    found = _maps(values).at(Target(tokens=(0, 1), text="x"))
    assert np.isnan(found.values).tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize(
    ("cells", "telling"),
    [
        ([[1, 2]], True),
        ([[1, 1]], False),
        ([[np.nan, 2]], False),
        ([[np.nan, np.nan]], False),
        ([[np.inf, 2]], False),
        ([[0, 0]], False),
        ([[0, np.nan, 1e-30]], True),
        # The last digits of float32 tell nothing.
        ([[0.5, 0.5 + 6e-8]], False),
        ([[-3.0, -3.0 - 5e-7]], False),
        ([[0.5, 0.5001]], True),
    ],
)
def test_only_a_map_that_varies_is_evidence(cells, telling):
    heatmap = records.record().heatmaps[0].at(find(ANSWER))
    assert dataclasses.replace(heatmap, values=np.array(cells, np.float32)).has_evidence is telling


def test_an_error_goes_along_where_one_entry_is_the_map():
    """Errors of several entries share their draws: that of their sum is not known."""
    values = np.random.default_rng(0).random((3, 2, 2, 2, 2)).astype(np.float32)
    maps = dataclasses.replace(
        _maps(values, layers=(4, 6)), standard_error=values / 10, samples=Samples(done=3, asked=5)
    )
    one, several = Target(tokens=(1,), text="x"), Target(tokens=(0, 1), text="y")
    exact = maps.at(one, layer=6, head=1)
    np.testing.assert_array_equal(exact.standard_error, values[1, 1, 1] / 10)
    assert exact.samples == Samples(done=3, asked=5)
    assert not exact.samples.complete
    assert maps.at(one, layer=6).standard_error is None
    assert maps.at(one).standard_error is None
    assert maps.at(several, layer=6, head=1).standard_error is None
    whole = dataclasses.replace(maps, targets=(*maps.targets[:2], several))
    np.testing.assert_array_equal(whole.at(several, layer=4, head=0).standard_error, values[2, 0, 0] / 10)


def test_the_first_image_is_the_image():
    record = records.pair()
    assert record.source_image is record.source_images[0]
    assert len(record.source_images) == 2


def test_the_facts_cannot_be_changed():
    record = records.record()
    for fact in (
        record,
        record.source_image,
        record.prompt,
        record.answer,
        record.target,
        record.heatmaps[0],
    ):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(fact, dataclasses.fields(fact)[0].name, None)
        with pytest.raises((AttributeError, TypeError)):
            fact.note = "x"
        with pytest.raises(TypeError):
            type(fact)(*[getattr(fact, field.name) for field in dataclasses.fields(fact)])


def test_a_source_image_has_no_field_that_could_name_a_patient():
    names = {field.name for field in dataclasses.fields(records.source_image())}
    shown = {"pixels", "source", "raw_range", "sha256", "window", "inverted", "notes"}
    place = {"spacing_mm", "spacing_from", "edges", "laterality", "slice", "position_mm", "towards"}
    assert names == shown | place | {"stored"}


def test_a_map_keeps_what_it_rests_on_and_its_error_unless_it_is_put_together():
    values = np.arange(8.0, dtype=np.float32).reshape(2, 1, 1, 2, 2)
    maps = dataclasses.replace(_maps(values), standard_error=values / 10, samples=Samples(done=3, asked=8))
    alone = maps.at(Target(tokens=(1,), text="1"))
    assert alone.samples == Samples(done=3, asked=8)
    assert np.array_equal(alone.standard_error, values[1, 0, 0] / 10)
    both = maps.at(Target(tokens=(0, 1), text="01"))
    assert (both.standard_error, both.samples) == (None, alone.samples)
    heads = dataclasses.replace(
        maps,
        values=values.reshape(1, 1, 2, 2, 2),
        standard_error=values.reshape(1, 1, 2, 2, 2) / 10,
        targets=maps.targets[:1],
    )
    assert heads.at(Target(tokens=(0,), text="0")).standard_error is None
    second = heads.at(Target(tokens=(0,), text="0"), layer=0, head=1)
    assert np.array_equal(second.standard_error, values[1, 0, 0] / 10)
