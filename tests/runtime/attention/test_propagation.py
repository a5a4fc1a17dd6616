import pytest
import torch

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention import propagation
from groundviz.runtime.attention.propagation import Block, Flow, Gradients, Origin, Streams
from groundviz.runtime.attention.rows import Attention


@pytest.fixture
def attention():
    torch.manual_seed(2)
    query, key = torch.randn(1, 4, 7, 8), torch.randn(1, 2, 7, 8)
    return Attention(query=query, key=key, causal=True, scaling=0.5)


def test_vectors_are_multiplied_by_the_mean_over_heads(attention, monkeypatch):
    monkeypatch.setattr(propagation, "CHUNK", 3)
    start = torch.randn(2, 7)
    held = Streams({"text": start})
    held.descend(Flow(), [Block(attention)], kept=0.25, passed=0.5)
    average = attention.rows(slice(None))[0].mean(0)
    torch.testing.assert_close(held.values["text"], 0.25 * start + 0.5 * start @ average)


def test_rows_that_hold_nothing_cost_nothing(attention, monkeypatch):
    asked = []
    rows = Attention.rows

    def counted(self, which, *workspace):
        asked.extend(which.tolist())
        return rows(self, which, *workspace)

    monkeypatch.setattr(Attention, "rows", counted)
    held = Streams({"text": torch.eye(7)[[2, 5]]})
    held.descend(Flow(), [Block(attention)])
    assert asked == [2, 5]


def test_gradients_are_the_gradient_with_respect_to_attention(attention):
    value = torch.randn(1, 2, 7, 8)
    weights = attention.rows(slice(None)).requires_grad_()
    output = weights @ value.repeat_interleave(2, 1)
    by_output = torch.randn_like(output)
    expected = torch.autograd.grad((output * by_output).sum(), weights)[0]
    gradients = Gradients(by_output, value)
    torch.testing.assert_close(gradients.rows(slice(2, 5), 6), expected[:, :, 2:5, :6])


def test_items_of_a_batch_are_tokens_after_one_another():
    query = torch.randn(2, 1, 3, 4)
    start = torch.randn(1, 6)
    held = Streams({"image": start})
    call = Attention(query=query, key=query)
    held.descend(Flow("image", "image"), [Block(call)])
    block = torch.block_diag(*call.rows(slice(None))[:, 0])
    torch.testing.assert_close(held.values["image"], start + start @ block)


def test_pooled_tokens_share_and_others_get_nothing():
    origin = Origin("text", torch.tensor([-1, 2, 2, 0]))
    held = Streams({"text": torch.tensor([[1.0, 5.0, 4.0]])}, {"image": origin})
    query = torch.zeros(1, 1, 4, 1)
    held.descend(Flow("image", "image"), [Block(Attention(query=query, key=query))], passed=0.0)
    assert held.values["image"].tolist() == [[0.0, 2.0, 2.0, 1.0]]
    assert held.values["text"].tolist() == [[1.0, 5.0, 4.0]]


def test_a_perceivers_rows_follow_its_columns():
    query, key = torch.zeros(1, 1, 2, 1), torch.zeros(1, 1, 5, 1)
    held = Streams({"latents": torch.tensor([[5.0, 0.0]])})
    held.descend(Flow("latents", "image", own=True), [Block(Attention(query=query, key=key))])
    assert held.values["image"].tolist() == [[1.0, 1.0, 1.0]]
    assert held.values["latents"].tolist() == [[6.0, 1.0]]


def test_columns_that_are_no_rows_are_refused():
    query, key = torch.zeros(1, 1, 2, 1), torch.zeros(1, 1, 5, 1)
    held = Streams({"text": torch.ones(1, 2)})
    with pytest.raises(UnsupportedMethod, match="2 tokens attended to 5"):
        held.descend(Flow(), [Block(Attention(query=query, key=key))])
