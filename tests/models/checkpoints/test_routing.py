import math

import numpy as np
import pytest
import torch
from torch import nn

from groundviz.errors import ModelBusy, UnsupportedModel
from groundviz.models.checkpoints.building.mixture import Mixture
from groundviz.models.checkpoints.routing import gumbel, replay, routing, watch
from groundviz.runtime.loan.guard import borrow

WIDTH, EXPERTS = 8, 4


@pytest.fixture
def model():
    """Two mixtures, of the layers 0 and 2."""
    torch.manual_seed(5)
    made = nn.Sequential(
        *(
            Mixture(nn.Linear(WIDTH, WIDTH), width=WIDTH, experts=EXPERTS, top=2, layer=layer)
            for layer in (0, 2)
        )
    )
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    return made


@pytest.fixture
def hidden():
    return torch.randn(2, 5, WIDTH, generator=torch.Generator().manual_seed(9))


def test_every_pass_through_every_mixture_is_seen(model, hidden):
    with routing(model) as seen:
        model(hidden)
        model(hidden[:, :1])
    assert [entry.layer for entry in seen] == [0, 2, 0, 2]
    assert [entry.chosen.shape for entry in seen] == [(2, 5, 2), (2, 5, 2), (2, 1, 2), (2, 1, 2)]


def test_what_is_seen_is_what_happened(model, hidden):
    with routing(model) as seen:
        model(hidden)
    first, mixture = seen[0], model[0]
    with torch.no_grad():
        routes = mixture.gate(hidden)
        outputs, shared = mixture.experts(hidden, routes.chosen), mixture.shared(hidden)
    assert np.array_equal(first.logits, routes.logits)
    assert np.array_equal(first.probabilities, routes.probabilities)
    assert np.array_equal(first.chosen, routes.chosen)
    assert np.array_equal(first.weights, routes.weights)
    added = routes.weights[..., None] * outputs
    assert np.allclose(first.expert_norms, added.norm(dim=-1), rtol=1e-5)
    assert np.allclose(first.shared_norms, shared.norm(dim=-1), rtol=1e-5)


def test_the_model_is_what_it_was_and_nothing_is_left_on_it(model, hidden):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plain = model(hidden)
    state = [dict(vars(module)) for module in model.modules()]
    hooks = [len(module._forward_hooks) for module in model.modules()]
    with routing(model, noise=gumbel(torch.Generator().manual_seed(1))):
        model(hidden)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert [dict(vars(module)) for module in model.modules()] == state
    assert [len(module._forward_hooks) for module in model.modules()] == hooks
    assert torch.equal(model(hidden), plain)


def test_reading_changes_no_output_and_holds_no_graph(model, hidden):
    plain = model(hidden)
    with routing(model) as seen:
        asked = hidden.clone().requires_grad_()
        assert torch.equal(model(asked), plain)
    assert all(
        isinstance(getattr(entry, name), np.ndarray) for entry in seen for name in ("logits", "weights")
    )


def test_numbers_seen_in_half_precision_are_readable(model, hidden):
    with routing(model.to(torch.bfloat16)) as seen:
        model(hidden.to(torch.bfloat16))
    assert seen[0].weights.dtype == seen[0].expert_norms.dtype == seen[0].shared_norms.dtype == np.float32


def test_sampled_noise_comes_from_the_given_stream_alone(model, hidden):
    outputs = []
    for seed, elsewhere in ((1, 0), (1, 7), (2, 0)):
        torch.manual_seed(elsewhere)
        with routing(model, noise=gumbel(torch.Generator().manual_seed(seed))):
            outputs.append(model(hidden))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_sampled_noise_is_standard_gumbel():
    drawn = gumbel(torch.Generator().manual_seed(0))(torch.zeros(200_000))
    assert math.isclose(drawn.mean(), 0.5772, abs_tol=0.01)
    assert math.isclose(drawn.var(), math.pi**2 / 6, abs_tol=0.03)
    assert math.isclose((drawn < 0).float().mean(), math.exp(-1), abs_tol=0.01)


def test_replayed_noise_repeats_a_sampled_run(model, hidden):
    draws = []

    def kept(logits):
        draws.append(gumbel(torch.Generator().manual_seed(len(draws)))(logits))
        return draws[-1]

    with routing(model, noise=kept):
        sampled = model(hidden)
    # A flat list of tokens, as the published code has it, fits as well.
    with routing(model, noise=replay(draw.flatten(0, 1) for draw in draws)):
        assert torch.equal(model(hidden), sampled)
    assert not torch.equal(model(hidden), sampled)


def test_noise_for_another_pass_is_refused(model, hidden):
    with (
        routing(model, noise=replay([torch.zeros(3, EXPERTS)])),
        pytest.raises(ValueError, match="next has shape"),
    ):
        model(hidden)
    with (
        routing(model, noise=replay([torch.zeros(10, EXPERTS)])),
        pytest.raises(ValueError, match="none is left"),
    ):
        model(hidden)


def test_a_model_that_is_borrowed_already_is_watched_through_its_loan(model, hidden):
    with borrow(model) as loan:
        with pytest.raises(ModelBusy), routing(model):
            pass
        seen = watch(loan)
        model(hidden)
    model(hidden)
    assert len(seen) == 2


def test_a_model_without_mixtures_is_refused():
    with pytest.raises(UnsupportedModel, match="none of its layers is a mixture"), routing(nn.Linear(2, 2)):
        pass
