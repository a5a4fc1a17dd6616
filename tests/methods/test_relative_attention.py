"""Relative attention against the ratio of two plain eager passes."""

import numpy as np
import pytest

from groundviz.explain import explain
from groundviz.methods.relative_attention import relative_attention
from tests.methods.eager import attention_rows, values
from tests.methods.planted import planted

QUESTION, NEUTRAL = "Is there a nodule?", "What does the image show?"
ANSWER = "left lung nodule"


@pytest.mark.parametrize("floor", [0.0, 1.0])
def test_it_is_the_ratio_of_the_head_means_under_two_questions(tiny, source_image, floor):
    options = {"neutral": NEUTRAL, "floor": floor}
    explanation = explain(
        tiny, source_image, QUESTION, answer=ANSWER, methods={"relative_attention": options}
    )
    asked, usual = (attention_rows(tiny, explanation.record, q).mean(2) for q in (QUESTION, NEUTRAL))
    expected = asked / np.maximum(usual, floor * usual.mean(-1, keepdims=True))
    maps, found = values(explanation, "relative_attention")
    np.testing.assert_allclose(found[:, :, 0], expected, rtol=1e-4)
    assert maps.params == options
    assert (maps.unit, maps.signed, maps.layers) == ("times the neutral attention", False, (0, 1))
    second = explanation.heatmap("relative_attention", "lung").values.reshape(-1)
    np.testing.assert_allclose(second, expected[1].mean(0), rtol=1e-4)


def test_the_question_itself_as_the_neutral_one_gives_ones(tiny, source_image):
    options = {"neutral": QUESTION, "floor": 0.0}
    with pytest.warns(RuntimeWarning, match="relative_attention found no evidence"):
        explanation = explain(
            tiny, source_image, QUESTION, answer=ANSWER, methods={"relative_attention": options}
        )
    np.testing.assert_allclose(explanation.heatmap("relative_attention").values, 1.0, rtol=1e-4)


def test_the_floor_keeps_noise_small_and_a_layer_blind_to_the_image_gives_nothing():
    asked = [[[[0.3, 0.1, 0.0]], [[0.0, 0.0, 0.0]]]]
    neutral = [[[[0.0, 0.2, 0.1]], [[0.0, 0.0, 0.0]]]]
    given = planted(asked, rows=1, cols=3, neutral=neutral)
    (floored,) = relative_attention(*given, floor=1.0)
    np.testing.assert_allclose(floored.values.reshape(2, 3), [[3.0, 0.5, 0.0], [0.0, 0.0, 0.0]], rtol=1e-6)
    (plain,) = relative_attention(*given, floor=0.0)
    np.testing.assert_allclose(plain.values.reshape(2, 3), [[0.0, 0.5, 0.0], [0.0, 0.0, 0.0]], rtol=1e-6)
