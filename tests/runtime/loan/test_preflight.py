import pytest
import torch
from torch import nn

from groundviz.errors import UnsupportedMethod, UnsupportedModel
from groundviz.runtime.loan.guard import borrow
from groundviz.runtime.loan.preflight import refuse_unusable, watch_gradients


class PackedLinear(nn.Module):
    """Somebody's quantised layer: it computes, and cuts the gradient."""

    def forward(self, x):
        return x.detach() * 2


def differentiate(model):
    with borrow(model) as loan:
        watch_gradients(loan)
        x = torch.ones(1, 2, requires_grad=True)
        return torch.autograd.grad(model(x).sum(), x)[0]


class Residual(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return x + self.layer(x)


def test_a_gradient_that_would_flow_around_a_quantised_layer_alone_is_refused():
    with pytest.raises(UnsupportedMethod, match="PackedLinear has no gradient"):
        differentiate(Residual(PackedLinear()))


def test_passes_without_gradients_go_through_quantised_layers():
    model = Residual(PackedLinear())
    with borrow(model) as loan:
        watch_gradients(loan)
        assert model(torch.ones(1, 2)).tolist() == [[3.0, 3.0]]
        with torch.no_grad():
            assert model(torch.ones(1, 2, requires_grad=True)).tolist() == [[3.0, 3.0]]
    assert "forward" not in vars(model.layer)


def test_layers_with_a_gradient_of_their_own_are_let_be():
    class LoraLinear(nn.Linear):
        pass

    assert differentiate(Residual(LoraLinear(2, 2))).shape == (1, 2)


@pytest.mark.parametrize("frozen", [True, False])
def test_weights_made_in_inference_mode_are_refused_where_gradients_are_wanted(frozen):
    with torch.inference_mode():
        model = nn.Linear(2, 2).requires_grad_(not frozen)
    with pytest.raises(UnsupportedMethod, match="inference_mode"):
        differentiate(model)
    with borrow(model) as loan:
        watch_gradients(loan)
        with torch.no_grad():
            assert model(torch.ones(1, 2)).shape == (1, 2)


def test_weights_that_are_not_there_are_refused_unless_somebody_brings_them():
    model = nn.Linear(2, 2, device="meta")
    with pytest.raises(UnsupportedModel, match="on the meta device"):
        refuse_unusable(model)
    model._hf_hook = object()
    refuse_unusable(model)


def test_a_storage_format_is_refused_in_torchs_own_layers_only():
    class Float8Linear(nn.Linear):
        pass

    refuse_unusable(Float8Linear(2, 2).to(torch.float8_e4m3fn))
    with pytest.raises(UnsupportedModel, match="float8_e4m3fn, a format for storage"):
        refuse_unusable(nn.Linear(2, 2).to(torch.float8_e4m3fn))
