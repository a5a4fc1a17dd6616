"""BLIP-2 and InstructBLIP: cells up to the tower, queries in the prompt, a Q-Former between."""

import numpy as np
import pytest
import torch

from groundviz.errors import PromptError, UnsupportedModel
from groundviz.models.blip2 import Blip2
from groundviz.models.vlm import VLM
from groundviz.testing.adapters import check_adapter
from groundviz.testing.families.blip2 import tiny_blip2, tiny_instructblip
from tests.models.probes import QUESTION, block_error, check_path, noise, ramp_error, share_in_view

SIZES = [(45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77)]
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


def test_cells_stay_where_they_are_said_to_be_through_the_model(vlm):
    encoded = vlm.encode((noise((45, 31)),), QUESTION)
    assert "language" not in encoded.cells
    check_path(vlm, encoded)


def test_the_answer_can_look_at_the_queries(vlm):
    encoded = vlm.encode((noise((45, 31)),), QUESTION)
    assert encoded.columns.tolist() == list(range(6))
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


def test_the_resampler_runs_in_the_order_that_is_said(vlm):
    encoded = vlm.encode((noise((45, 31)),), QUESTION)
    ran = []
    steps = vlm.parts().resampler
    handles = [
        module.register_forward_pre_hook(lambda module, args, kwargs: ran.append(module), with_kwargs=True)
        for module, _ in steps
    ]
    with torch.no_grad():
        vlm.model(**encoded.inputs)
    for handle in handles:
        handle.remove()
    assert ran == [module for module, _ in steps]
    assert [flow.columns for _, flow in steps] == ["latents", "image", "latents"]


def test_the_adapter_keeps_its_promises(vlm):
    check_adapter(vlm, noise((45, 31)))


def test_the_forward_is_the_first_step_of_generate(vlm):
    inputs = vlm.encode((noise((45, 31)),), QUESTION).inputs
    with torch.no_grad():
        logits = vlm.model(**inputs).logits[0, -1]
        made = vlm.model.generate(**inputs, output_logits=True, return_dict_in_generate=True)
    assert torch.allclose(made.logits[0][0], logits, atol=1e-5)
    assert made.sequences[0, : inputs["input_ids"].shape[1]].tolist() == inputs["input_ids"][0].tolist()


def test_another_number_of_queries_is_refused():
    vlm = tiny("blip2")
    vlm.processor.num_query_tokens = 4
    with pytest.raises(UnsupportedModel, match="do not belong together"):
        vlm.encode((noise((45, 31)),), QUESTION)


def test_pictures_of_another_size_are_refused():
    vlm = tiny("blip2")
    vlm.processor.image_processor.size = {"height": 28, "width": 28}
    with pytest.raises(UnsupportedModel, match="do not belong together"):
        vlm.encode((noise((45, 31)),), QUESTION)


def test_a_language_model_with_an_encoder_is_refused():
    vlm = tiny("blip2")
    vlm.model.config.use_decoder_only_language_model = False
    with pytest.raises(UnsupportedModel, match="T5"):
        vlm.parts()


def test_the_final_norm_and_the_head_give_the_logits(vlm):
    encoded, parts = vlm.encode((noise((45, 31)),), QUESTION), vlm.parts()
    seen = []
    handle = parts.decoder_layers[-1].register_forward_hook(
        lambda module, args, output: seen.append(output[0] if isinstance(output, tuple) else output)
    )
    with torch.no_grad():
        logits = vlm.model(**encoded.inputs).logits
        handle.remove()
        again = parts.output_head(parts.final_norm(seen[0]))
    assert np.allclose(again, logits, atol=1e-5)


def test_the_family_is_known_by_its_config(vlm):
    assert Blip2().matches(vlm.model.config)
    assert not Blip2().matches(vlm.model.config.text_config)
