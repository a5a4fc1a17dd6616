"""The token activation map against plain logits and numpy's least squares; the first token above all."""

import numpy as np
import pytest

from groundviz.explain import explain
from tests.methods.eager import eager, values

METHOD = "token_activation_map"
QUESTION, ANSWER = "Is there a nodule?", "left lung nodule and nodule device"


@pytest.fixture
def explained(tiny, source_image):
    return tiny, explain(tiny, source_image, QUESTION, answer=ANSWER, methods=METHOD)


def by_hand(vlm, record):
    """Maps (token, cell) and factors, word by word."""
    logits = eager(vlm, record.source_image, QUESTION, record.answer.token_ids).logits[0].detach().numpy()
    scores = np.maximum(logits, 0)
    prompt = record.prompt
    # The question's words where they stand, the answer's where they are predicted.
    asked = [k for span in prompt.spans if span.kind == "question" for k in range(span.start, span.stop)]
    words = [(k, prompt.token_ids[k]) for k in asked]
    words += [(len(prompt.token_ids) - 1 + k, i) for k, i in enumerate(record.answer.token_ids)]
    image, maps, factors = scores[prompt.grids[0].positions], [], []
    for at in range(len(asked), len(words)):
        own = words[at][1]
        earlier = [(scores[row, own], image[:, one]) for row, one in words[:at] if one != own]
        total = sum(weight for weight, _ in earlier)
        mixed = sum(weight * shown for weight, shown in earlier) / total if total else np.zeros(len(image))
        factor = np.linalg.lstsq(mixed[:, None], image[:, own], rcond=None)[0][0]
        maps.append(np.maximum(image[:, own] - factor * mixed, 0))
        factors.append(factor)
    return np.array(maps), np.array(factors)


def test_each_word_is_its_activation_less_what_earlier_words_explain(explained):
    vlm, explanation = explained
    expected, factors = by_hand(vlm, explanation.record)
    maps, found = values(explanation, METHOD)
    np.testing.assert_allclose(found[:, 0, 0], expected, atol=1e-4)
    np.testing.assert_allclose(maps.params["interference"], factors, atol=1e-4)
    assert np.count_nonzero(factors) >= 3  # The test would see little without interference.
    assert (maps.unit, maps.signed, maps.layers) == ("logits", False, ())
    np.testing.assert_allclose(
        explanation.heatmap(target="lung nodule").values.reshape(-1), expected[1:3].mean(0), atol=1e-4
    )


def test_every_token_is_read_with_its_own_id_the_first_one_too(explained):
    vlm, explanation = explained
    record = explanation.record
    assert values(explanation, METHOD)[0].params["class_ids"] == tuple(record.answer.token_ids.tolist())
    last_of_prompt = record.prompt.token_ids[-1]
    assert last_of_prompt != record.answer.token_ids[0]
    # The first word's map changes with the answer's word, which the prompt's last token does not.
    other = explain(vlm, record.source_image, QUESTION, answer="right lung", methods=METHOD)
    first, second = (values(one, METHOD)[1][0, 0, 0] for one in (explanation, other))
    assert not np.allclose(first, second)


def test_generated_answers_are_read_with_their_own_ids(tiny, source_image):
    explanation = explain(tiny, source_image, QUESTION, methods=METHOD)
    ids = values(explanation, METHOD)[0].params["class_ids"]
    assert ids == tuple(explanation.answer.token_ids.tolist())


def test_a_word_generated_before_does_not_take_its_own_map_away(explained):
    _, explanation = explained
    found = values(explanation, METHOD)[1][:, 0, 0]
    # "nodule" is in the question and twice in the answer, and still has a map each time.
    assert found[2].max() > 0
    assert found[4].max() > 0
