"""Attention of the question's own tokens, kept while the prompt is read, in every family."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from groundviz import images, models
from groundviz.runtime import borrow
from groundviz.runtime.attention.tap import tapped
from groundviz.runtime.passes.forward import last_logits
from groundviz.testing.families import TINY
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support.chosen_rows import GradientRows
from tests.support.kinds import EVERY_KIND

pytestmark = pytest.mark.filterwarnings("ignore:`hidden_state` is deprecated:FutureWarning")
SOURCE_IMAGE = images.load(np.random.default_rng(3).random((61, 37), dtype=np.float32))
QUESTION = "Is there a nodule?"
ANSWER = "left lung nodule"
# Each of the ways in which decoding can go, and its cache be kept.
DECODING = {
    "static cache": {"cache_implementation": "static"},
    "beams": {"num_beams": 3},
    "sampled beams": {"num_beams": 2, "do_sample": True},
    "sampled": {"do_sample": True, "temperature": 0.4},
}


@pytest.fixture(params=EVERY_KIND, scope="module")
def vlm(request):
    model, processor = TINY[request.param]()
    model.generation_config.max_new_tokens = 3
    return models.resolve(model, processor)


def positions(prompt):
    return [len(prompt.tokens) + index for index in prompt.asked]


def by_whole_pass(live):
    """Rows of the question's tokens, from a full pass over the prompt that computes attention itself."""
    passes = live._passes
    handler = GradientRows(torch.tensor(positions(live.prompt)), passes.columns)
    numbers = {module: number for number, module in enumerate(passes.parts.attending)}
    with torch.enable_grad(), tapped(numbers, handler):
        scalar = last_logits(passes.model, passes.inputs, 1)[0].sum()
        shares, _ = handler.gradients(scalar)
    return shares.detach()


@pytest.mark.parametrize("given", [None, ANSWER])
def test_rows_of_the_question_are_those_of_a_whole_pass(vlm, given):
    with borrow(vlm) as live:
        live.answer(live.encode(SOURCE_IMAGE, QUESTION), given=given)
        expected, found = by_whole_pass(live), live._question
        assert len(found) == len(live.prompt.asked) > 0
        torch.testing.assert_close(found.float(), expected, atol=2e-6, rtol=0)
        shares = live.question_attention()
    assert shares.dtype == np.float32
    assert shares.shape == (len(expected), *live.attention().shape[1:])
    np.testing.assert_allclose(shares, live._on_cells(expected), atol=2e-6)


@pytest.mark.parametrize("kind", ["llava", "gemma3", "qwen2_vl", "mllama", "blip2"])
def test_rows_of_the_question_equal_eager_attention(kind):
    """What transformers itself puts out with its eager kernel."""
    model, processor = TINY[kind]()
    vlm = models.resolve(model, processor)
    with borrow(vlm) as live:
        prompt = live.encode(SOURCE_IMAGE, QUESTION)
        live.answer(prompt, given=ANSWER)
        found, columns, inputs = live._question, live._passes.columns, live._passes.inputs
        attending = [live._parts.decoder_attention.index(module) for module in live._parts.attending]
        crossing = bool(live._parts.cross_attention)
    twin = copy.deepcopy(model)
    twin.set_attn_implementation("eager")
    with torch.no_grad():
        output = twin(**inputs, output_attentions=True)
    every = getattr(output, "language_model_outputs", output).attentions
    for place, layer in enumerate(attending):
        rows = every[layer][0][:, positions(prompt)][..., columns].permute(1, 0, 2)
        torch.testing.assert_close(found[:, place], rows, atol=1e-5, rtol=0)
    assert crossing == (kind == "mllama")


@pytest.mark.parametrize("options", DECODING.values(), ids=DECODING)
def test_however_decoding_goes_the_rows_are_the_same(options):
    model = tiny_llava()
    model.generation_config.update(max_new_tokens=4, **options)
    with borrow(models.resolve(model, tiny_llava_processor(model))) as live:
        live.answer(live.encode(SOURCE_IMAGE, QUESTION))
        expected = by_whole_pass(live)
        torch.testing.assert_close(live._question, expected, atol=2e-6, rtol=0)
        assert live.attention().shape[0] == len(live._passes.answer_ids)


def test_a_prompt_read_in_parts_gives_the_rows_of_one_read_whole():
    """Of the answer, too; releases of transformers differ in what such a prompt knows of its image."""
    model = tiny_llava()
    model.generation_config.update(max_new_tokens=4)
    vlm = models.resolve(model, tiny_llava_processor(model))
    encoded = vlm.encode((SOURCE_IMAGE,), QUESTION)
    found = {}
    for size in (None, 5, 1):
        model.generation_config.prefill_chunk_size = size
        with borrow(vlm) as live:
            live.encode(SOURCE_IMAGE, QUESTION)
            inputs = {name: one for name, one in encoded.inputs.items() if name != "pixel_values"}
            live._passes = replace(live._passes, inputs=inputs)
            live.answer(live.prompt)
            found[size] = live.attention(), live.question_attention()
    for size in (5, 1):
        for one, whole in zip(found[size], found[None], strict=True):
            np.testing.assert_allclose(one, whole, atol=2e-6)


def test_in_bfloat16_rows_are_float32():
    model = tiny_llava(dtype=torch.bfloat16)
    model.generation_config.max_new_tokens = 2
    with borrow(models.resolve(model, tiny_llava_processor(model))) as live:
        live.answer(live.encode(SOURCE_IMAGE, QUESTION))
        shares = live.question_attention()
        assert live._question.dtype == torch.float32
    assert (shares.sum(-1) <= 1 + 1e-6).all()
    assert (shares > 0).any()


def test_a_question_before_the_image_saw_nothing_of_it():
    model = tiny_llava()
    processor = tiny_llava_processor(model)
    processor.chat_template = "{{ messages[0]['content'][1]['text'] }} <image> assistant :"
    with borrow(models.resolve(model, processor)) as live:
        prompt = live.encode(SOURCE_IMAGE, QUESTION)
        live.answer(prompt, given=ANSWER)
        assert positions(prompt)[-1] < prompt.grids[0].positions.min()
        assert (live.question_attention() == 0).all()
        assert (live.attention() > 0).any()


def test_a_question_of_which_no_token_is_known_has_no_rows(tiny, source_image):
    with borrow(tiny) as live:
        live.prompt = replace(live.encode(source_image, QUESTION), spans=())
        live.answer(live.prompt, given=ANSWER)
        assert live.question_attention().shape == (0, *live.attention().shape[1:])
