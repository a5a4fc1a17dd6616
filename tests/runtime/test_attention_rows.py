import pytest
import torch

from groundviz.runtime.attention_rows import probabilities, scores, visible, weighted_values


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
    shares = probabilities(scores(query, key, 8**-0.5), visible(None, True, slice(None), (5, 5)))
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
    query, key, _ = tensors
    every = probabilities(scores(query, key, 1.0), visible(None, True, slice(None), (5, 5)))
    last = probabilities(scores(query[:, :, 3:], key, 1.0), visible(None, True, slice(3, None), (5, 5)))
    torch.testing.assert_close(last, every[:, :, 3:])


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
