"""BLIP-2 and InstructBLIP: cells up to the tower, queries in the prompt, a Q-Former between."""

import pytest

from groundviz.errors import PromptError, UnsupportedModel
from groundviz.models.adapter.vlm import VLM
from groundviz.testing.families.blip2 import tiny_blip2, tiny_instructblip
from tests.models.probes import QUESTION, block_error, in_order, noise, ramp_error, share_in_view, sizes

SIZES = sizes((45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77))
BUILDERS = {"blip2": tiny_blip2, "instructblip": tiny_instructblip}


def tiny(name):
    model, processor = BUILDERS[name]()
    return VLM(model=model, processor=processor, family_name="blip2", name="tiny")


@pytest.fixture(scope="module", params=BUILDERS)
def vlm(request):
    return tiny(request.param)


@pytest.mark.parametrize("shape", SIZES)
def test_pixels_lie_where_the_grid_says(vlm, shape):
    assert ramp_error(vlm, shape, patch=4) < 0.2


def test_a_bright_block_lights_its_patch(vlm):
    cells = vlm.encode((noise((45, 31)),), QUESTION).cells
    assert block_error(vlm, (45, 31), cells["vision"], step=7) < 0.25


def test_the_answer_can_look_at_the_queries(vlm):
    encoded = vlm.encode((noise((45, 31)),), QUESTION)
    assert encoded.columns.tolist() == list(range(6))
    assert "language" not in encoded.cells
    [grid] = encoded.prompt.grids
    assert (grid.rows, grid.cols, grid.stage) == (8, 8, "projector")
    assert (grid.positions == -1).all()
    assert share_in_view(encoded, (45, 31)) == 1.0
    assert encoded.prompt.spans[0].kind == "image"


def test_the_default_prompts_are_the_published_ones():
    blip2 = tiny("blip2").encode((noise((45, 31)),), QUESTION).prompt
    assert blip2.text == f"Question: {QUESTION} Answer:"
    assert tiny("instructblip").encode((noise((45, 31)),), QUESTION).prompt.text == QUESTION
    spans = {span.kind: (span.start, span.stop) for span in blip2.spans if span.kind != "template"}
    assert blip2.tokens[slice(*spans["question"])] == ("Is", "there", "a", "nodule", "?")


def test_the_q_former_of_instructblip_reads_the_question():
    vlm = tiny("instructblip")
    inputs = vlm.encode((noise((45, 31)),), QUESTION).inputs
    own = vlm.processor.qformer_tokenizer
    assert own.convert_ids_to_tokens(inputs["qformer_input_ids"][0]) == ["Is", "there", "a", "nodule", "?"]
    other = vlm.encode((noise((45, 31)),), "Is there a </s> nodule?").inputs
    assert own.eos_token_id not in other["qformer_input_ids"][0].tolist()
    assert own.tokenize("</s>") == ["</s>"]


def test_a_command_only_to_the_q_former_is_refused():
    with pytest.raises(PromptError, match="reads as a command"):
        tiny("instructblip").encode((noise((45, 31)),), "Is there a [SEP] nodule?")


def test_one_image_at_a_time(vlm):
    with pytest.raises(PromptError, match="one at a time"):
        vlm.encode((noise((45, 31)), noise((45, 31))), QUESTION)


def test_the_resampler_runs_in_the_order_that_is_stated(vlm):
    encoded = vlm.encode((noise((45, 31)),), QUESTION)
    steps = vlm.parts().resampler
    modules = [module for module, _ in steps]
    assert in_order(vlm, encoded, modules) == modules
    assert [flow.columns for _, flow in steps] == ["latents", "image", "latents"]


def test_another_number_of_queries_is_refused():
    vlm = tiny("blip2")
    vlm.processor.num_query_tokens = 4
    with pytest.raises(UnsupportedModel, match="do not belong together"):
        vlm.encode((noise((45, 31)),), QUESTION)


def test_images_of_another_size_are_refused():
    vlm = tiny("blip2")
    vlm.processor.image_processor.size = {"height": 28, "width": 28}
    with pytest.raises(UnsupportedModel, match="do not belong together"):
        vlm.encode((noise((45, 31)),), QUESTION)


def test_a_language_model_with_an_encoder_is_refused():
    vlm = tiny("blip2")
    vlm.model.config.use_decoder_only_language_model = False
    with pytest.raises(UnsupportedModel, match="T5"):
        vlm.parts()
