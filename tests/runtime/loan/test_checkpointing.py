import pytest
import torch
from torch import nn

from groundviz.runtime.loan.checkpointing import checkpointed
from groundviz.runtime.loan.guard import borrow
from groundviz.testing.fingerprint import fingerprint
from groundviz.testing.tiny.llava import tiny_llava


class Counting(nn.Module):
    """Doubles, and counts how often."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, given, *, factor=2.0):
        self.calls += 1
        return (given * factor).sin()


def test_layers_run_again_when_a_gradient_passes():
    layer, given = Counting(), torch.ones(3, requires_grad=True)
    with borrow(layer) as loan:
        expected = torch.autograd.grad(layer(given, factor=3.0).sum(), given)[0]
        with checkpointed(loan, [layer]):
            output = layer(given, factor=3.0)
            assert layer.calls == 2
            found = torch.autograd.grad(output.sum(), given)[0]
        assert layer.calls == 3
        layer(given)
        assert layer.calls == 4
    assert torch.equal(found, expected)


def test_the_model_is_as_it_was_also_within_the_loan():
    model = tiny_llava()
    before = fingerprint(model)
    layers = model.get_decoder().layers
    with borrow(model) as loan:
        borrowed = [vars(layer)["forward"] for layer in layers]
        with pytest.raises(RuntimeError, match="on purpose"), checkpointed(loan, layers):
            assert all(vars(layer)["forward"] is not own for layer, own in zip(layers, borrowed, strict=True))
            raise RuntimeError("on purpose")
        assert all(vars(layer)["forward"] is own for layer, own in zip(layers, borrowed, strict=True))
    assert fingerprint(model) == before


def test_a_forward_that_somebody_put_on_a_layer_is_run_and_put_back():
    layer, given = Counting(), torch.ones(2, requires_grad=True)
    layer.forward = theirs = lambda given: given * 5
    with borrow(layer) as loan, checkpointed(loan, [layer]):
        assert torch.equal(layer(given), given * 5)
    assert layer.forward is theirs


def test_only_parts_of_the_borrowed_model_are_checkpointed():
    with borrow(Counting()) as loan, pytest.raises(ValueError, match="part of the borrowed model"):
        with checkpointed(loan, [Counting()]):
            pass
