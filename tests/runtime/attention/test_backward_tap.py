"""Gradients of attention at chosen rows, against autograd through the eager kernel's own maps."""

import gc
import weakref

import pytest
import torch

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention.tap import tapped
from groundviz.runtime.loan.checkpointing import checkpointed
from groundviz.runtime.loan.guard import borrow
from groundviz.testing.tiny.llava import tiny_llava
from tests.runtime.dense import built, dense_maps, eager_pass, score
from tests.support.architectures import ARCHITECTURES
from tests.support.chosen_rows import ChosenRows, GradientRows

# transformers 5.17 warns of a name that its own code still uses.
pytestmark = pytest.mark.filterwarnings("ignore:`hidden_state` is deprecated:FutureWarning")

PARTS = [(name, part) for name in ARCHITECTURES for part in built(name).attention]


def gradients(architecture, part, rows, columns, layers=()):
    """Attention and gradients (row, layer, head, column) of the module numbers in `part`."""
    handler = GradientRows(rows, columns)
    numbers, _ = architecture.numbered(part)
    with borrow(architecture.model) as loan, checkpointed(loan, layers), tapped(numbers, handler):
        scalar = score(architecture.model(**architecture.inputs, use_cache=False))
        return handler.gradients(scalar)


def eager_gradients(architecture, part):
    """Canvases of weights and of their gradients, one per layer on which the answer depends."""
    calls, output = eager_pass(architecture, part, gradients=True)
    gradients = torch.autograd.grad(score(output), [call.weights for call in calls], allow_unused=True)
    layers = sorted(
        {call.layer for call, gradient in zip(calls, gradients, strict=True) if gradient is not None}
    )
    return [
        tuple(dense_maps(calls, layer, values) for values in ([call.weights for call in calls], gradients))
        for layer in layers
    ]


def is_close(found, expected):
    assert expected.abs().max() > 0
    return (found - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize(("name", "part"), PARTS, ids=[" ".join(pair) for pair in PARTS])
def test_gradients_equal_autograd_through_eager_maps(name, part):
    architecture = built(name)
    for layer, (shares, gradients) in enumerate(eager_gradients(architecture, part)):
        rows, columns = torch.arange(len(shares)).flip(0), torch.arange(0, shares.shape[2], 3)
        handler = GradientRows(rows, columns)
        with borrow(architecture.model), tapped({architecture.attention[part][layer]: 0}, handler):
            output = architecture.model(**architecture.inputs, use_cache=False)
            found = handler.gradients(score(output))
        torch.testing.assert_close(found[0][:, 0], shares[rows][:, :, columns], atol=1e-5, rtol=0)
        assert is_close(found[1][:, 0], gradients[rows][:, :, columns])


@pytest.mark.parametrize("name", ["llava_llama", "gemma3", "mllama", "blip2", "florence2", "qwen2_5_vl"])
def test_layers_together_and_checkpointed_give_the_same(name):
    architecture = built(name)
    rows, columns = torch.tensor([3, 4]), torch.tensor([1, 2, 3])
    plain = gradients(architecture, "decoder", rows, columns)
    twice = gradients(architecture, "decoder", rows, columns, layers=architecture.layers)
    assert plain[0].shape[1] == len(architecture.attention["decoder"])
    torch.testing.assert_close(twice, plain)
    eager = eager_gradients(architecture, "decoder")
    expected = torch.stack([gradients[rows][:, :, columns] for _, gradients in eager], dim=1)
    assert is_close(plain[1], expected)


def test_several_scalars_of_one_pass():
    architecture, handler = built("llava_llama"), GradientRows(torch.tensor([20]), torch.arange(8))
    numbers, _ = architecture.numbered("decoder")
    with borrow(architecture.model) as loan, checkpointed(loan, architecture.layers):
        with tapped(numbers, handler):
            output = architecture.model(**architecture.inputs, use_cache=False)
            first = handler.gradients(score(output, token=7), retain=True)[1]
            second = handler.gradients(score(output, token=9), retain=True)[1]
            again = handler.gradients(score(output, token=7))[1]
    assert torch.equal(first, again)
    assert not torch.allclose(first, second)


def test_under_checkpointing_no_query_or_key_is_held():
    model, alive = tiny_llava(layers=3), []
    handler = GradientRows(torch.tensor([3]), torch.tensor([0]))

    def watch(call):
        alive.extend(weakref.ref(tensor) for tensor in (call.query, call.key, call.value))
        return handler(call)

    decoder = model.get_decoder().layers
    numbers = {layer.self_attn: number for number, layer in enumerate(decoder)}
    with borrow(model) as loan, checkpointed(loan, decoder), tapped(numbers, watch):
        output = model(input_ids=torch.arange(6, 20)[None], use_cache=False)
        gc.collect()
        assert [reference() for reference in alive] == [None] * 9
        assert handler.gradients(score(output))[1].abs().max() > 0


def test_the_output_is_bit_identical():
    architecture = built("gemma3")
    numbers, _ = architecture.numbered()
    with borrow(architecture.model) as loan:
        plain = architecture.model(**architecture.inputs, use_cache=False).logits
        with tapped(numbers, GradientRows(torch.tensor([0]), torch.tensor([0]))):
            heard = architecture.model(**architecture.inputs, use_cache=False).logits
            with checkpointed(loan, architecture.layers):
                twice = architecture.model(**architecture.inputs, use_cache=False).logits
    assert torch.equal(plain, heard)
    assert torch.equal(plain, twice)


def test_rows_of_windows_see_nothing_outside_their_window():
    architecture = built("qwen2_5_vl")
    numbers, _ = architecture.numbered("vision")
    kept = ChosenRows(torch.arange(48), torch.arange(48))
    with torch.no_grad(), tapped(numbers, kept):
        architecture.model(**architecture.inputs)
    windowed, whole = kept.weights().unbind(1)
    assert windowed.sum(-1).sub(1).abs().max() < 1e-5
    assert windowed[0, :, 16:].eq(0).all()
    assert whole[0, :, 16:].gt(0).any()


def test_a_scalar_that_depends_on_no_tapped_attention_is_refused():
    handler = GradientRows(torch.tensor([0]), torch.tensor([0]))
    with pytest.raises(UnsupportedMethod, match="no gradient to follow"):
        handler.gradients(torch.ones(()))


def test_a_scalar_that_passes_a_tapped_layer_by_is_refused():
    handler = GradientRows(torch.tensor([0]), torch.tensor([0]))
    with pytest.raises(UnsupportedMethod, match="tapped attention module"):
        handler.gradients(torch.ones((), requires_grad=True) * 2)


def test_rows_without_a_call_are_refused():
    with pytest.raises(UnsupportedMethod, match="compiled"):
        ChosenRows(torch.tensor([0]), torch.tensor([0])).weights()
