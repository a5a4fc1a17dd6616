import pytest
import torch
from torch import nn

from groundviz.models.checkpoints.building.mixture import Mixture

WIDTH, EXPERTS = 8, 4


class Block(nn.Module):
    """A dense block that counts the tokens it is given."""

    def __init__(self):
        super().__init__()
        self.layer, self.seen = nn.Linear(WIDTH, WIDTH), 0

    def forward(self, hidden):
        self.seen += hidden.shape[:-1].numel()
        return torch.tanh(self.layer(hidden))


def mixture(top=2):
    """A mixture whose experts and gate are all different."""
    torch.manual_seed(5)
    made = Mixture(Block(), width=WIDTH, experts=EXPERTS, top=top)
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    return made


def tokens(*shape, seed=9):
    return torch.randn(*shape, WIDTH, generator=torch.Generator().manual_seed(seed))


def by_hand(made, token):
    """One token's way, with every expert run on it."""
    probabilities = (made.gate.weight @ token + made.gate.bias).softmax(0)
    best = sorted(range(EXPERTS), key=lambda e: -probabilities[e])[: made.gate.top]
    chosen = probabilities[best]
    weights = chosen / chosen.sum() if made.gate.top == 2 else chosen
    routed = sum(w * made.experts.branches[e](token) for w, e in zip(weights, best, strict=True))
    return routed + made.shared(token)


@pytest.mark.parametrize("top", [1, 2])
def test_each_token_meets_its_own_experts_and_the_shared_one(top):
    made, hidden = mixture(top), tokens(2, 5)
    expected = torch.stack([torch.stack([by_hand(made, token) for token in row]) for row in hidden])
    assert torch.allclose(made(hidden), expected, atol=1e-6)
    assert len(made.gate(hidden).chosen.unique()) > 1


def test_experts_see_the_tokens_that_chose_them_and_no_others():
    made = mixture()
    chosen = made.gate(tokens(2, 5)).chosen
    made(tokens(2, 5))
    visits = [branch.seen for branch in made.experts.branches]
    assert visits == [int((chosen == expert).sum()) for expert in range(EXPERTS)]
    assert sum(visits) == 2 * 10
    assert made.shared.seen == 10


def test_no_token_is_dropped_when_all_choose_the_same_experts():
    made = mixture()
    hidden = tokens(1).expand(1, 50, WIDTH)
    assert torch.allclose(made(hidden)[0, -1], by_hand(made, hidden[0, 0]), atol=1e-6)
    assert sorted(branch.seen for branch in made.experts.branches)[:2] == [0, 0]


def test_two_runs_are_equal_bit_for_bit():
    made, hidden = mixture(), tokens(3, 40)
    torch.manual_seed(1)
    first = made(hidden)
    torch.manual_seed(2)
    assert torch.equal(first, made(hidden))


def test_two_weights_sum_to_one_and_one_weight_is_its_probability():
    hidden = tokens(1, 6)
    assert torch.allclose(mixture().gate(hidden).weights.sum(-1), torch.ones(1, 6))
    alone = mixture(top=1).gate(hidden)
    assert torch.equal(alone.weights, alone.probabilities.amax(-1, keepdim=True))
    assert (alone.weights < 1).all()


def test_the_gate_computes_in_float32_whatever_the_model_does():
    made = mixture().to(torch.bfloat16)
    hidden = tokens(1, 6).to(torch.bfloat16)
    routes = made.gate(hidden)
    wide = hidden.float() @ made.gate.weight.float().T + made.gate.bias.float()
    assert torch.allclose(routes.logits, wide, atol=1e-6)
    assert made(hidden).dtype == torch.bfloat16


def test_autocast_reaches_the_experts():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.allclose(mixture()(tokens(1, 6)), mixture()(tokens(1, 6)).float(), atol=0.05)


def test_noise_moves_second_choices_and_no_first_one():
    made, hidden = mixture(), tokens(1, 30)
    plain = made.gate(hidden)
    noisy = made.gate(
        hidden, lambda logits: 9 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(3))
    )
    assert torch.equal(plain.chosen[..., 0], noisy.chosen[..., 0])
    assert not torch.equal(plain.chosen[..., 1], noisy.chosen[..., 1])
    assert (noisy.chosen[..., 0] != noisy.chosen[..., 1]).all()
    # Noise is for the choice; the weights are those of the undisturbed probabilities.
    assert torch.equal(plain.logits, noisy.logits)


def test_gradients_reach_the_tokens_through_experts_and_gate():
    made, hidden = mixture(), tokens(1, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(made(hidden).sum(), hidden)
    step, direction = 1e-3, tokens(1, 3, seed=11)
    with torch.no_grad():
        rise = made(hidden + step * direction).sum() - made(hidden - step * direction).sum()
    assert torch.allclose((gradient * direction).sum(), rise / (2 * step), rtol=2e-2)


def test_experts_do_not_share_their_weights():
    made = mixture()
    places = {branch.layer.weight.data_ptr() for branch in (*made.experts.branches, made.shared)}
    assert len(places) == EXPERTS + 1
