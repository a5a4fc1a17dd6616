"""What each kernel shows its rows, against what the kernel then computes."""

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention.kernels import sight
from groundviz.runtime.attention.recorder import RowWatch
from groundviz.runtime.attention.rows import Attention
from groundviz.runtime.attention.tap import tapped
from groundviz.testing.tiny.llava import tiny_llava

SHAPE = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "eos_token_id": None,
    "pad_token_id": 0,
}
IDS = torch.arange(5, 25)[None]


class Module(nn.Module):
    """An attention module that says whether it is causal."""

    def __init__(self, is_causal):
        super().__init__()
        self.is_causal = is_causal


def flash(module, query, key, value, mask, *, scaling, sliding_window=None, is_causal=None, **_):
    """FlashAttention's rules in plain products: padding in two dimensions, its own window, the last
    row at the last column."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    rows, columns = query.shape[2], key.shape[2]
    behind = torch.arange(columns)[None] - torch.arange(columns - rows, columns)[:, None]
    hidden = behind > 0
    if sliding_window is not None:
        hidden = hidden | (behind <= -sliding_window)
    raw = (query @ key.transpose(2, 3) * scaling).masked_fill(hidden, -torch.inf)
    if mask is not None:
        raw = raw.masked_fill(~mask.bool()[:, None, None], -torch.inf)
    weights = raw.softmax(-1).nan_to_num(0.0)
    return (weights @ value).transpose(1, 2).contiguous(), weights


@pytest.fixture(params=["llama", "mistral"])
def flashing(request):
    """A decoder that runs a stand-in for flash attention, and a twin that runs torch's kernel."""
    if request.param == "llama":
        build, config = LlamaForCausalLM, LlamaConfig(**SHAPE)
    else:
        build, config = MistralForCausalLM, MistralConfig(**SHAPE, sliding_window=8)
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        models.append(build(config.__class__.from_dict(config.to_dict())).eval())
    models[0].config._attn_implementation_internal = "flash_attention_2"
    before = ALL_ATTENTION_FUNCTIONS._local_mapping.get("flash_attention_2")
    ALL_ATTENTION_FUNCTIONS["flash_attention_2"] = flash
    yield models
    assert before is None
    del ALL_ATTENTION_FUNCTIONS["flash_attention_2"]


def modules_of(model):
    return {layer.self_attn: number for number, layer in enumerate(model.model.layers)}


@pytest.mark.parametrize("padding", [0, 4])
def test_rows_under_flash_are_what_flash_computes(flashing, padding):
    model, twin = flashing
    mask = torch.ones_like(IDS)
    mask[:, :padding] = 0
    worst = []

    def compare(call):
        output, weights = call.run()
        worst.append((call.rows(slice(padding, None)) - weights[:, :, padding:]).abs().max().item())
        return output, weights

    with torch.no_grad():
        with tapped(modules_of(model), compare):
            found = model(input_ids=IDS, attention_mask=mask).logits
        expected = twin(input_ids=IDS, attention_mask=mask).logits
    assert len(worst) == 2
    assert max(worst) < 1e-6
    torch.testing.assert_close(found[:, padding:], expected[:, padding:], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("deferred", [True, False])
@pytest.mark.parametrize("padding", [0, 4])
def test_cached_decoding_under_flash_gives_torchs_rows(flashing, deferred, padding):
    rows = []
    mask = torch.ones_like(IDS)
    mask[:, :padding] = 0
    for model in flashing:
        watch = RowWatch(torch.arange(0, 20, 3), deferred=deferred)
        with torch.no_grad(), tapped(modules_of(model), watch):
            model.generate(input_ids=IDS, attention_mask=mask, max_new_tokens=6, do_sample=False)
        rows.append(watch.stacked(6))
    torch.testing.assert_close(rows[0], rows[1], atol=1e-5, rtol=0)


def test_without_a_mask_eager_looks_everywhere_and_torch_does_not():
    query = torch.randn(1, 1, 4, 2)
    for kernel, blind in (("eager", False), ("sdpa", True)):
        seen = Attention(query=query, key=query, **sight(kernel, Module(True), (4, 4), None, {}))
        assert (seen.visible(slice(None)) is not None) == blind


@pytest.mark.parametrize(
    ("own", "asked", "causal"), [(True, None, True), (True, False, False), (False, True, True)]
)
def test_what_a_call_asks_for_overrules_the_module(own, asked, causal):
    assert sight("sdpa", Module(own), (4, 4), None, {"is_causal": asked})["causal"] == causal


def test_torchs_kernel_knows_no_cap_and_no_sink():
    options = {"softcap": 5.0, "s_aux": torch.zeros(2)}
    assert set(sight("sdpa", Module(True), (4, 4), None, options)) == {"mask", "causal"}
    assert sight("eager", Module(True), (4, 4), None, options)["softcap"] == 5.0


@pytest.mark.parametrize(
    ("mask", "causal"),
    [
        (None, True),
        (None, False),
        (torch.ones(1, 1, 4, 4).tril().bool(), True),
        (torch.zeros(1, 1, 4, 4), False),
    ],
)
def test_a_bias_by_position_is_added_as_torchs_wrapper_does(mask, causal):
    bias = torch.randn(1, 2, 4, 4)
    query, key, value = torch.randn(3, 1, 2, 4, 8)
    found = Attention(
        query=query,
        key=key,
        scaling=1.0,
        **sight("sdpa", Module(causal), (4, 4), mask, {"position_bias": bias}),
    ).rows(slice(None))
    kernel = ALL_ATTENTION_FUNCTIONS["sdpa"]
    output, _ = kernel(
        Module(causal), query, key, value, mask, scaling=1.0, is_causal=causal, position_bias=bias
    )
    torch.testing.assert_close((found @ value).transpose(1, 2), output)


REFUSED = {
    "flex": ("flex_attention", None, {}),
    "own form": ("made_up", object(), {}),
    "packed": ("flash_attention_2", None, {"cu_seq_lens_q": torch.tensor([0, 4])}),
    "two-sided window": ("flash_attention_2", None, {"sliding_window": 3, "is_causal": False}),
    "flash with four": ("flash_attention_2", torch.ones(1, 1, 4, 4), {}),
    "unknown with two": ("made_up", torch.ones(1, 4), {}),
    "unknown and wider": ("made_up", None, {"width": 6}),
    "unknown with window": ("made_up", None, {"sliding_window": 2}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_followed_is_refused_with_a_way_out(case):
    kernel, mask, options = REFUSED[case]
    width = options.get("width", 4)
    with pytest.raises(UnsupportedMethod, match='attn_implementation="sdpa"'):
        sight(kernel, Module(True), (4, width), mask, options)


def test_an_unknown_kernel_is_read_where_all_conventions_agree():
    assert sight("made_up", Module(True), (4, 4), None, {})["causal"]
    assert not sight("made_up", Module(True), (1, 4), None, {})["causal"]
    mask = torch.ones(1, 1, 4, 6)
    assert sight("made_up", Module(True), (4, 6), mask, {"sliding_window": 2})["mask"] is mask


def test_a_refusal_reaches_the_caller_and_leaves_the_registry():
    model = tiny_llava()
    before = dict(ALL_ATTENTION_FUNCTIONS._local_mapping)
    module = model.get_decoder().layers[0].self_attn
    module.config._attn_implementation_internal = "flex_attention"
    turns = torch.ones(1, 4, 8), torch.zeros(1, 4, 8)
    with torch.no_grad(), pytest.raises(UnsupportedMethod, match="flex_attention"):
        with tapped({module: 0}, lambda call: call.run()):
            module(torch.randn(1, 4, 32), position_embeddings=turns, attention_mask=None)
    assert dict(ALL_ATTENTION_FUNCTIONS._local_mapping) == before
