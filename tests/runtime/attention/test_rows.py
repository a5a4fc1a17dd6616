import pytest
import torch

from groundviz.runtime.attention.rows import Attention, Workspace, probabilities, scores, weighted_values


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(3)
    query = torch.randn(1, 6, 5, 8, generator=generator)
    key, value = (torch.randn(1, 2, 5, 8, generator=generator) for _ in range(2))
    return query, key, value


def test_grouped_heads_share_their_key_head(tensors):
    query, key, _ = tensors
    expected = query @ key.repeat_interleave(3, dim=1).transpose(2, 3) * 0.5
    torch.testing.assert_close(scores(query, key, 0.5), expected)


def test_causal_rows_equal_torchs_own_kernel(tensors):
    query, key, value = tensors
    shares = Attention(query=query, key=key, causal=True, scaling=8**-0.5).rows(slice(None))
    kernel = torch.nn.functional.scaled_dot_product_attention(
        query, key.repeat_interleave(3, 1), value.repeat_interleave(3, 1), is_causal=True
    )
    torch.testing.assert_close(weighted_values(shares, value), kernel)


def test_boolean_and_additive_masks_say_the_same(tensors):
    query, key, _ = tensors
    keep = torch.tensor([True, False, True, True, False])[None, None, None].expand(1, 1, 5, 5)
    added = torch.zeros(1, 1, 5, 5).masked_fill(~keep, torch.finfo(torch.float32).min)
    raw = scores(query, key, 1.0)
    torch.testing.assert_close(probabilities(raw, keep), probabilities(raw, added))


def test_some_rows_are_the_same_as_all_rows_sliced(tensors):
    attention = Attention(query=tensors[0], key=tensors[1], causal=True)
    every = attention.rows(slice(None))
    torch.testing.assert_close(attention.rows(slice(3, None)), every[:, :, 3:])
    torch.testing.assert_close(attention.rows(torch.tensor([0, 4])), every[:, :, [0, 4]])


def test_a_window_ends_at_the_rows_own_column(tensors):
    query, key, _ = tensors
    attention = Attention(query=query[:, :, :2], key=key, causal=True, offset=3, window=2)
    expected = torch.tensor([[False, False, True, True, False], [False, False, False, True, True]])
    assert torch.equal(attention.visible(slice(None))[0, 0], expected)


def test_padded_columns_are_hidden_from_every_row(tensors):
    query, key, _ = tensors
    shown = torch.tensor([[0, 1, 1, 1]])
    seen = Attention(query=query, key=key, mask=shown).visible(slice(0, 2))
    assert seen.expand(1, 1, 2, 5)[0, 0].tolist() == [[False, True, True, True, False]] * 2
    both = Attention(query=query, key=key, mask=shown, causal=True).visible(slice(1, 2))
    assert both[0, 0].tolist() == [[False, True, False, False, False]]


def test_a_row_that_may_see_nothing_is_zero(tensors):
    query, key, _ = tensors
    shares = probabilities(scores(query, key, 1.0), torch.zeros(1, 1, 5, 5, dtype=torch.bool))
    assert shares.eq(0).all()


def test_a_sink_takes_mass_and_shows_nothing():
    raw, sink = torch.tensor([[[[0.0, 0.0]]]]), torch.tensor([0.0])
    torch.testing.assert_close(probabilities(raw, None, sinks=sink), torch.full((1, 1, 1, 2), 1 / 3))


def test_softcap_bounds_scores_before_the_softmax():
    raw = torch.tensor([[[[0.0, 1000.0]]]])
    capped = torch.tensor([0.0, 2.0]).softmax(-1)[None, None, None]
    torch.testing.assert_close(probabilities(raw, None, softcap=2.0), capped)


def test_half_precision_scores_are_computed_in_float32():
    query = key = torch.full((1, 1, 1, 4), 300.0, dtype=torch.float16)
    raw = scores(query, key, 1.0)
    assert raw.dtype == torch.float32
    assert raw.item() == 360_000.0


@pytest.mark.parametrize("rows", [slice(0, 9), slice(5, 6), torch.tensor([1, 7])])
@pytest.mark.parametrize("masked", [False, True])
@torch.no_grad()
def test_rows_in_borrowed_memory_are_the_same_to_the_last_bit(rows, masked):
    torch.manual_seed(0)
    workspace = Workspace()
    # Shorter and longer ones in turn, so that memory is used again, and is not enough.
    for columns in (40, 33, 500):
        query, key = torch.randn(1, 6, 9, 16), torch.randn(1, 2, columns, 16)
        mask = torch.rand(1, 1, 9, columns) < 0.7 if masked else None
        attention = Attention(query=query, key=key, mask=mask, causal=not masked, offset=columns - 9)
        expected = attention.rows(rows)
        assert torch.equal(attention.rows(rows, workspace), expected)
