import numpy as np
import pytest
import torch

from groundviz import images, models
from groundviz.models.checkpoints.tinyllava import TinyLlava
from tests.models.checkpoints.originals import Reference, forward, generated, projected

TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=["sigphi_phi35", "sigphi_phi2"])
def loaded(request):
    reference = Reference(request.param)
    return reference, models.load(reference.place / "checkpoint", dtype="float32")


@pytest.fixture(params=["short", "long"])
def asked(request, loaded):
    reference, vlm = loaded
    described = reference.described[request.param]
    return request.param, described, vlm.inputs(reference.image, described["question"])


def test_the_prompt_and_its_tokens_are_the_evaluations(loaded, asked):
    reference, vlm = loaded
    length, described, inputs = asked
    prompt = vlm.encode([images.load(reference.image)], described["question"]).prompt
    assert prompt.text == described["prompt"]
    assert inputs["input_ids"][0].tolist() == reference.ids(f"{length}.input_ids", vlm)
    assert inputs["input_ids"].shape[1] == described["seq_len"]


def test_the_image_is_the_evaluations_bit_for_bit(loaded, asked):
    assert torch.equal(asked[2]["pixel_values"], loaded[0].tensors["pixel_values"])


def test_the_logits_are_the_originals(loaded, asked):
    (reference, vlm), (length, _, inputs) = loaded, asked
    logits = forward(vlm, inputs).logits
    # The long prompt is beyond the positions at which Phi-3.5 changes its rotary factors.
    whole = reference.tensors.get(f"{length}.logits")
    wanted, got = (
        (whole, logits)
        if whole is not None
        else (reference.tensors[f"{length}.logits_last8"], logits[:, -8:])
    )
    assert got.shape == wanted.shape
    assert (got - wanted).abs().max() < TOLERANCE


def test_the_greedy_tokens_are_the_originals(loaded, asked):
    (reference, vlm), (length, _, inputs) = loaded, asked
    wanted = reference.tensors[f"{length}.gen_ids"][0].tolist()
    assert generated(vlm, inputs, len(wanted)) == wanted


def test_attention_in_tower_and_decoder_is_the_originals(loaded):
    reference, vlm = loaded
    eager = models.load(reference.place / "checkpoint", dtype="float32")
    eager.model.set_attn_implementation("eager")
    inputs = vlm.inputs(reference.image, reference.described["short"]["question"])
    rows = torch.stack(forward(eager, inputs, output_attentions=True).attentions)[:, 0, :, -8:]
    assert (rows - reference.tensors["short.attn_last8"]).abs().max() < TOLERANCE
    tower = eager.model.model.vision_tower
    with torch.no_grad():
        seen = tower(reference.tensors["pixel_values"], output_attentions=True).attentions
    assert (torch.stack(seen)[:, 0] - reference.tensors["vision_attn"]).abs().max() < TOLERANCE


def test_the_gradient_of_the_image_is_the_originals(loaded):
    reference, vlm = loaded
    inputs = vlm.inputs(reference.image, reference.described["short"]["question"])
    double = models.load(reference.place / "checkpoint", dtype="float64").model
    pixels = inputs["pixel_values"].double().requires_grad_()
    score = double(**{**inputs, "pixel_values": pixels}).logits[
        0, -1, reference.tensors["short.grad_token"][0]
    ]
    (gradient,) = torch.autograd.grad(score, pixels)
    assert (gradient - reference.tensors["short.grad_pixel"]).abs().max() < 1e-6


def test_the_first_patch_has_no_token_and_the_second_has_the_first(loaded):
    reference, vlm = loaded
    encoded = vlm.encode([images.load(reference.image)], "Is there a pleural effusion?")
    (grid,) = encoded.prompt.grids
    assert (grid.rows, grid.cols) == (4, 4)
    image = np.flatnonzero(encoded.prompt.token_ids == vlm.processor.image_token_id)
    assert grid.positions.tolist() == [-1, *image.tolist()]
    assert not grid.valid[0, 0]
    assert grid.valid.sum() == 15
    # Cells are patches of 14 of 62 model pixels, and the image of 70 by 90 is squashed into these.
    assert grid.to_source == pytest.approx(np.array([[14 * 70 / 62, 0, 0], [0, 14 * 90 / 62, 0]]))


def test_the_image_tokens_carry_the_patches_behind_the_first(loaded):
    reference, vlm = loaded
    pixels = reference.tensors["pixel_values"]
    got = projected(vlm, pixels)
    assert (got - reference.tensors["projected"]).abs().max() < TOLERANCE
    with torch.no_grad():
        patches = vlm.model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-2]
        assert torch.equal(vlm.model.model.multi_modal_projector(patches[:, 1:]), got)


def test_phi_2_keeps_the_bias_of_its_head():
    vlm = models.load(Reference("sigphi_phi2").place / "checkpoint", dtype="float32")
    assert vlm.model.get_output_embeddings().bias.abs().max() > 0
    assert (
        models.load(Reference("sigphi_phi35").place / "checkpoint").model.get_output_embeddings().bias is None
    )


def test_it_says_what_was_loaded_from_where(loaded):
    _, vlm = loaded
    described = vlm.describe()
    for fact in ("layout: tinyllava", "weights: local folder", "stored as: float16", "float32 on cpu"):
        assert fact in described
    assert "squashed" in described
    assert "fixtures" not in described


def test_image_tokens_and_end_tokens_in_a_question_are_text(loaded):
    reference, vlm = loaded
    plain = vlm.inputs(reference.image, "is it x ?")["input_ids"][0].tolist()
    typed = vlm.inputs(reference.image, "is it <image> ?")["input_ids"][0].tolist()
    image = vlm.processor.image_token_id
    assert typed.count(image) == plain.count(image) == 15


def test_each_config_is_known_by_its_type():
    assert TinyLlava().matches({"model_type": "tinyllava"})
    assert not TinyLlava().matches({"model_type": "llava"})
