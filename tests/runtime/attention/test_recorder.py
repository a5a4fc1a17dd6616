"""Rows kept while text decoders generate, against eager attention's own maps of every step."""

import copy

import pytest
import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention.recorder import RowWatch
from groundviz.runtime.attention.tap import tapped
from groundviz.runtime.passes.kv_cache import keeps_keys

SHAPE = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "bos_token_id": 1,
    "eos_token_id": None,
    "pad_token_id": 0,
}
DECODERS = {
    "llama": (LlamaForCausalLM, LlamaConfig(**SHAPE)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**SHAPE)),
    "sliding mistral": (MistralForCausalLM, MistralConfig(**SHAPE, sliding_window=8)),
    "half sliding gemma3": (
        Gemma3ForCausalLM,
        Gemma3TextConfig(
            **SHAPE, head_dim=8, sliding_window=8, layer_types=["sliding_attention", "full_attention"]
        ),
    ),
}
COLUMNS = torch.tensor([1, 2, 3, 6, 9])
IDS = torch.arange(5, 17)[None]


@pytest.fixture(params=DECODERS)
def decoder(request):
    build, config = DECODERS[request.param]
    torch.manual_seed(0)
    return build(config).eval()


def generate(model, ids=IDS, **options):
    mask = options.pop("attention_mask", torch.ones_like(ids))
    return model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=7,
        do_sample=False,
        return_dict_in_generate=True,
        **options,
    )


def watched(model, deferred, **options):
    watch = RowWatch(COLUMNS, deferred=deferred)
    modules = {layer.self_attn: number for number, layer in enumerate(model.model.layers)}
    with torch.no_grad(), tapped(modules, watch):
        generate(model, **options)
    return watch.stacked(7)


def eager_rows(model, **options):
    """Eager maps at COLUMNS, (row, layer, head, column); a column a layer has dropped is zero."""
    kernel = model.config._attn_implementation
    model.set_attn_implementation("eager")
    steps = generate(model, output_attentions=True, **options).attentions
    model.set_attn_implementation(kernel)
    rows = torch.zeros(7, 2, 4, len(COLUMNS))
    for number, step in enumerate(steps):
        for layer, shares in enumerate(step):
            dropped = max(0, IDS.shape[1] + number - shares.shape[3])
            held = dropped <= COLUMNS
            rows[number, layer, :, held] = shares[0, :, -1, COLUMNS[held] - dropped]
    return rows


@pytest.mark.parametrize("deferred", [True, False])
def test_rows_equal_eagers(decoder, deferred):
    torch.testing.assert_close(watched(decoder, deferred), eager_rows(decoder), atol=1e-5, rtol=0)


def test_padding_on_the_left_is_not_attended_to(decoder):
    mask = torch.ones_like(IDS)
    mask[:, :3] = 0
    rows = watched(decoder, True, attention_mask=mask)
    torch.testing.assert_close(rows, eager_rows(decoder, attention_mask=mask), atol=1e-5, rtol=0)
    assert rows[..., :2].eq(0).all()


def test_what_a_window_has_passed_gets_no_attention():
    build, config = DECODERS["sliding mistral"]
    rows = watched(build(config).eval(), True)
    assert rows[:, :, :, :3].eq(0).all()
    assert rows[0, :, :, 3:].gt(0).all()


def test_only_generations_that_keep_their_keys_are_deferred(decoder):
    config = decoder.generation_config
    assert keeps_keys(config)
    config.num_beams = 3
    assert not keeps_keys(config)
    config.num_beams, config.cache_implementation = 1, "static"
    assert not keeps_keys(config)


def test_rows_of_beams_are_not_taken_for_single_rows(decoder):
    assert watched(decoder, False, num_beams=2) is None


def test_a_model_that_was_not_heard_is_an_error():
    with pytest.raises(UnsupportedMethod, match="compiled"):
        RowWatch(COLUMNS).stacked(1)


# A question in one stretch, in two, and before the first column.
ASKED = [(7, 8, 9), (2, 3, 8, 11), (0,)]
PREFILL = [{}, {"prefill_chunk_size": 4}, {"prefill_chunk_size": 1}, {"cache_implementation": "static"}]


@pytest.mark.parametrize("options", PREFILL, ids=str)
def test_in_whatever_parts_a_prompt_is_read_rows_of_question_and_answer_equal_eagers(decoder, options):
    twin = copy.deepcopy(decoder)
    twin.set_attn_implementation("eager")
    with torch.no_grad():
        every = torch.stack([one[0] for one in twin(IDS, output_attentions=True).attentions])
    modules = {layer.self_attn: number for number, layer in enumerate(decoder.model.layers)}
    for asked in ASKED:
        watch = RowWatch(COLUMNS, start=IDS.shape[1] - 1, deferred=not options, question=asked)
        with torch.no_grad(), tapped(modules, watch):
            generate(decoder, **options)
        expected = every[:, :, list(asked)][..., COLUMNS].permute(2, 0, 1, 3)
        torch.testing.assert_close(watch.question(), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(watch.stacked(7), eager_rows(twin), atol=1e-5, rtol=0)


def test_without_a_question_there_are_no_rows_of_it(decoder):
    watch = RowWatch(COLUMNS)
    with torch.no_grad(), tapped({decoder.model.layers[0].self_attn: 0}, watch):
        decoder(IDS)
    assert watch.question() is None


def test_rows_of_a_question_hold_no_other_columns():
    build, config = DECODERS["llama"]
    watch = RowWatch(torch.arange(3, 6), question=(7, 8))
    model = build(config).eval()
    with torch.no_grad(), tapped({model.model.layers[0].self_attn: 0}, watch):
        model(IDS)
    (kept,) = watch._layers[0].question
    assert kept.untyped_storage().nbytes() == 4 * kept.numel()


def test_a_question_that_was_not_read_whole_has_no_rows():
    build, config = DECODERS["llama"]
    watch = RowWatch(COLUMNS, question=(7, 8, 30))
    model = build(config).eval()
    with torch.no_grad(), tapped({model.model.layers[0].self_attn: 0}, watch):
        model(IDS)
    assert watch.question() is None
