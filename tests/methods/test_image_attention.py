"""Image attention against renormalised eager rows, and its sinks against planted ones."""

import numpy as np
import pytest

from groundviz.explain import explain
from groundviz.methods.image_attention import image_attention
from groundviz.record import store
from tests.methods.eager import attention_rows, values
from tests.methods.planted import planted

QUESTION, ANSWER = "Is there a nodule?", "left lung nodule"


@pytest.fixture
def explained(tiny, source_image):
    return tiny, explain(tiny, source_image, QUESTION, answer=ANSWER, methods="image_attention")


def test_each_row_is_attention_renormalised_to_the_image(explained):
    vlm, explanation = explained
    rows = attention_rows(vlm, explanation.record)
    maps, found = values(explanation, "image_attention")
    np.testing.assert_allclose(found, rows / rows.sum(-1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(maps.params["image_share"], rows.sum(-1).mean((1, 2)), atol=1e-5)
    assert (maps.unit, maps.signed) == ("share of the attention to the image", False)
    np.testing.assert_allclose(explanation.heatmap(target=(0, 2)).values.sum(), 1.0, rtol=1e-5)


def test_a_random_model_has_no_sinks(explained):
    _, explanation = explained
    assert values(explanation, "image_attention")[0].params["sinks"] == ()


def test_a_sink_is_told_with_its_place_and_share_and_stays_in_the_map():
    attention = np.full((2, 2, 3, 11), 0.01)
    attention[:, :, :2, 7] = 0.3
    attention[1, :, :, 2] = 0.3  # attended to by all heads, but for one word alone
    (maps,) = image_attention(*planted(attention, rows=3, cols=4))
    (sink,) = maps.params["sinks"]
    shares = attention / attention.sum(-1, keepdims=True)
    assert (sink["grid"], sink["row"], sink["col"]) == (0, 1, 3)
    assert sink["share"] == pytest.approx(shares[..., 7].mean(), rel=1e-5)
    np.testing.assert_allclose(maps.values[..., 1, 3], shares[..., 7], rtol=1e-5)
    assert np.isnan(maps.values[..., 2, 3]).all()


def test_heads_that_do_not_see_the_image_have_no_say_in_sinks_and_show_nothing():
    attention = np.full((1, 1, 4, 6), 0.01)
    attention[:, :, 0, 2] = 0.5
    attention[:, :, 1:] = 0.0
    (maps,) = image_attention(*planted(attention, rows=2, cols=3))
    assert [sink["row"] for sink in maps.params["sinks"]] == [0]
    assert (maps.values[:, :, 1:] == 0).all()


def test_sinks_are_kept_in_a_record(source_image):
    from groundviz import models
    from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

    model = tiny_llava()
    explanation = explain(
        models.resolve(model, tiny_llava_processor(model)),
        source_image,
        QUESTION,
        answer=ANSWER,
        methods="image_attention",
    )
    again = store.unpack(store.pack(explanation.record)).heatmaps[0].params
    assert again == explanation.record.heatmaps[0].params
    assert len(again["image_share"]) == 3
