"""How an answer attends to the image, in every family: rows of attention and their gradients."""

import numpy as np
import pytest
import torch

from groundviz import images, models
from groundviz.runtime import borrow
from groundviz.runtime.attention.tap import tapped
from groundviz.runtime.passes import image_attention
from groundviz.runtime.passes.forward import last_logits, log_probabilities
from groundviz.testing.families import TINY
from tests.support.chosen_rows import GradientRows
from tests.support.kinds import EVERY_KIND

pytestmark = pytest.mark.filterwarnings("ignore:`hidden_state` is deprecated:FutureWarning")
SOURCE_IMAGE = images.load(np.random.default_rng(3).random((61, 37), dtype=np.float32))
ANSWER = "left lung nodule"


@pytest.fixture(params=EVERY_KIND, scope="module")
def asked(request):
    model, processor = TINY[request.param]()
    with borrow(models.resolve(model, processor)) as live:
        answer = live.answer(live.encode(SOURCE_IMAGE, "Is there a nodule?"), given=ANSWER)
        yield live, answer


def by_whole_pass(live, ids, token):
    """Attention and its gradient of one token's row, from a full pass and its autograd graph."""
    passes, start = live._passes, len(live.prompt.token_ids) - 1
    handler = GradientRows(torch.tensor([start + token]), passes.columns)
    numbers = {module: number for number, module in enumerate(passes.parts.attending)}
    with torch.enable_grad(), tapped(numbers, handler):
        logits = last_logits(passes.model, passes.teacher_forced_inputs(ids), len(ids) + 1)[0]
        scalar = log_probabilities(logits[token], torch.tensor(ids[token]))
        return handler.gradients(scalar)


def test_a_tokens_own_gradient_is_that_of_a_whole_pass(asked):
    live, answer = asked
    ids = answer.token_ids.tolist()
    shares, gradients = image_attention.own_row_gradients(live._passes, ids, live._cache)
    assert shares.shape == (len(ids), len(live.attending_layers), shares.shape[2], len(live._passes.columns))
    for token in range(len(ids)):
        expected, gradient = by_whole_pass(live, ids, token)
        torch.testing.assert_close(shares[token], expected[0], atol=2e-6, rtol=0)
        scale = float(gradient.abs().max())
        assert scale > 0
        torch.testing.assert_close(gradients[token], gradient[0], atol=1e-4 * scale, rtol=0)


def test_rows_that_were_kept_are_those_of_a_whole_pass(asked):
    live, answer = asked
    ids = answer.token_ids.tolist()
    shares, _ = image_attention.own_row_gradients(live._passes, ids, None)
    torch.testing.assert_close(live._attention.float(), shares, atol=2e-6, rtol=0)


def test_what_image_tokens_draw_is_handed_on_to_the_cells(asked):
    live, _ = asked
    cells = sum(int(grid.valid.size) for grid in live.prompt.grids)
    attention = live.attention()
    assert attention.shape[:3] == live._attention.shape[:3]
    assert attention.shape[3] <= cells
    assert (attention >= 0).all()
    drawn = live._attention.sum(-1).numpy()
    assert (attention.sum(-1) <= drawn + 1e-5).all()
    if not live._parts.resampler:
        np.testing.assert_allclose(attention.sum(-1), drawn, atol=1e-6)


def test_shares_times_gradients_are_what_the_image_tokens_hand_on(asked):
    live, answer = asked
    shares, gradients = live.attention_gradients()
    tokens, gradient = image_attention.own_row_gradients(live._passes, answer.token_ids.tolist(), live._cache)
    to_cells = live._resampler_rollout
    expected = tokens * gradient if to_cells is None else (tokens * gradient) @ to_cells
    np.testing.assert_allclose(shares * gradients, expected, atol=1e-5 * float(expected.abs().max()))


def test_rollout_and_relevancy_reach_every_cell(asked):
    live, answer = asked
    count = live.attention().shape[3]
    flowed = live.rollout()
    assert flowed.shape == (len(answer.tokens), count)
    assert (flowed.sum(dim=1) <= 1 + 1e-5).all()
    assert (flowed > 0).all()
    (whole,) = live.relevancy(live.targets(answer, None, None))
    assert whole.shape == (count,)
    assert torch.isfinite(whole).all()
    assert (whole != 0).any()


def test_the_last_hidden_state_gives_the_models_own_logits(asked):
    live, answer = asked
    last = len(live._parts.decoder_layers) - 1
    with torch.no_grad():
        found = live.unembed(live.hidden_states(last))
        inputs = live._passes.teacher_forced_inputs(answer.token_ids.tolist())
        expected = last_logits(live.vlm.model, inputs, found.shape[0])[0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
