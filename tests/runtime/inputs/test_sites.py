"""Reading, changing and differentiating the image at every place of the model, against plain passes."""

import copy

import numpy as np
import pytest
import torch

from groundviz.errors import UnknownName
from groundviz.record.targets import find
from groundviz.runtime import borrow
from groundviz.runtime.inputs.sites import Site

QUESTION = "Is there a nodule?"
ANSWER = "left lung nodule and effusion"
PLACES = ["pixels", "vision.0", "projector", "language.0", "language.1"]


@pytest.fixture
def asked(tiny, source_image):
    with borrow(tiny) as live:
        prompt = live.encode(source_image, QUESTION)
        answer = live.answer(prompt, given=ANSWER)
        yield live, answer


def plain(live, token_ids, pixels=None):
    """Log-probabilities of tokens by transformers alone."""
    model = copy.deepcopy(live.vlm.model)
    inputs = live.vlm.encode(live.source_images, QUESTION).inputs
    ids = torch.cat([inputs["input_ids"], torch.tensor([list(token_ids)])], dim=1)
    pixels = inputs["pixel_values"] if pixels is None else pixels
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pixels).logits
    rows = torch.log_softmax(logits[0], -1)[-len(token_ids) - 1 : -1]
    return rows[range(len(token_ids)), list(token_ids)]


def test_the_sites_are_those_the_image_passes(asked):
    live, _ = asked
    assert [str(site) for site in live.sites] == PLACES
    assert live.site("vision") == Site("vision", 0)
    with pytest.raises(UnknownName, match=r"'language\.7'.*language\.1"):
        live.site("language.7")


def test_a_score_is_the_sum_of_the_target_tokens_log_probabilities(asked):
    live, answer = asked
    logprobs = plain(live, answer.token_ids)
    targets = [find(answer), find(answer, "nodule"), find(answer, (1, 3))]
    expected = [logprobs.sum(), logprobs[2], logprobs[1:3].sum()]
    np.testing.assert_allclose(live.scores(targets)[0].detach(), torch.stack(expected).detach(), atol=1e-5)


def test_a_contrast_is_the_difference_of_two_answers(asked):
    live, answer = asked
    (target,) = live.targets(answer, "effusion", "pneumothorax device")
    assert (target.text, target.kind) == ("effusion rather than pneumothorax device", "contrast")
    foil = live.vlm.answer_ids("pneumothorax device")
    own = plain(live, answer.token_ids)[4]
    other = plain(live, [*answer.token_ids[:4], *foil])[4:].sum()
    assert live.scores([target]).item() == pytest.approx((own - other).item(), abs=1e-5)


@pytest.mark.parametrize("place", PLACES)
def test_putting_in_what_is_there_changes_nothing_and_each_item_is_its_own(asked, place):
    live, answer = asked
    site, targets = live.site(place), [find(answer), find(answer, "nodule")]
    with torch.no_grad():
        values = live.read(site)
        batch = torch.cat([values, values + 1.0, values])
        scores = live.scores(targets, site, batch)
        alone = live.scores(targets, site, batch[1:2])
        same = live.scores(targets)
    np.testing.assert_allclose(scores[0], same[0], atol=1e-5)
    np.testing.assert_allclose(scores[2], same[0], atol=1e-5)
    np.testing.assert_allclose(scores[1], alone[0], atol=1e-5)
    # Image cells behind the last layer are read by nothing.
    changed = (scores[1] - scores[0]).abs().max().item()
    assert changed == pytest.approx(0.0, abs=1e-5) if place == PLACES[-1] else changed > 1e-3


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("against", [None, "pneumothorax device"])
def test_gradients_are_the_gradients_of_the_scores(asked, place, against):
    live, answer = asked
    site = live.site(place)
    targets = [*live.targets(answer, "nodule", against), find(answer)]
    ((values, gradients),) = live.gradients(targets, site)
    leaf = live.read(site).detach().requires_grad_()
    scores = live.scores(targets, site, leaf)
    for target, gradient in enumerate(gradients):
        (expected,) = torch.autograd.grad(scores[0, target], leaf, retain_graph=True)
        np.testing.assert_allclose(gradient, expected[0], atol=1e-4 * float(expected.abs().max() + 1e-9))
    # A foil of another length makes a pass of another length, whose products may be rounded otherwise.
    read = live.read(site)[0].detach()
    np.testing.assert_allclose(values, read, rtol=0, atol=1e-6 * float(read.abs().max()))


def test_several_sites_share_one_pass_and_give_the_same(asked):
    live, answer = asked
    targets, places = [find(answer)], [live.site(place) for place in PLACES]
    together = live.gradients(targets, *places)
    for place, (values, gradients) in zip(places, together, strict=True):
        ((alone, gradient),) = live.gradients(targets, place)
        np.testing.assert_allclose(values, alone, atol=1e-6)
        np.testing.assert_allclose(gradients, gradient, atol=1e-5 * float(gradient.abs().max() + 1e-9))


def test_pixel_gradients_equal_those_of_plain_transformers(asked):
    live, answer = asked
    inputs = live.vlm.encode(live.source_images, QUESTION).inputs
    pixels = inputs["pixel_values"].requires_grad_()
    (expected,) = torch.autograd.grad(plain(live, answer.token_ids, pixels).sum(), pixels)
    ((_, gradients),) = live.gradients([find(answer)], live.site("pixels"))
    np.testing.assert_allclose(
        gradients[0].T.reshape(expected[0].shape), expected[0], atol=1e-5 * expected.abs().max().item()
    )


def test_hidden_states_of_the_last_layer_give_the_models_own_scores(asked):
    live, answer = asked
    with torch.no_grad():
        hidden = live.hidden_states(1)
        logits = live.unembed(hidden, list(range(72)))
        rows = torch.log_softmax(logits, -1)[len(live.prompt.token_ids) - 1 : -1]
    found = [float(rows[t, i]) for t, i in enumerate(answer.token_ids)]
    np.testing.assert_allclose(found, answer.logprobs, atol=1e-5)


def test_another_question_can_be_asked_of_the_same_image(asked):
    live, answer = asked
    other = live.ask("Where is the heart?")
    again = other.answer(other.prompt, given=answer.token_ids.tolist())
    assert other.prompt.question == "Where is the heart?"
    assert again.token_ids.tolist() == answer.token_ids.tolist()
    assert not np.allclose(other.attention(), live.attention())
