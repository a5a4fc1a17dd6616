import numpy as np
import pytest
import torch
from PIL import Image

from groundviz import images, models
from groundviz.errors import UnsupportedModel
from tests.models.checkpoints.originals import Reference, forward, generated, projected, rewritten

TOLERANCE = 1e-4
REFERENCE = Reference("llavamed15")
CHECKPOINT, TOWER = REFERENCE.place / "checkpoint", REFERENCE.place / "hub_clip"


@pytest.fixture(scope="module", params=["ckpt_tower", "hub_tower"])
def loaded(request):
    vision = TOWER if request.param == "hub_tower" else None
    return request.param, models.load(CHECKPOINT, vision=vision, dtype="float32")


@pytest.fixture
def inputs(loaded):
    """The evaluation's own inputs; its image lies one pixel off, by the toss of a coin."""
    made = loaded[1].inputs(REFERENCE.image, REFERENCE.described["question"])
    return {**made, "pixel_values": REFERENCE.tensors["pixel_values"]}


def test_the_prompt_and_its_tokens_are_the_evaluations(loaded, inputs):
    vlm = loaded[1]
    prompt = vlm.encode([images.load(REFERENCE.image)], REFERENCE.described["question"]).prompt
    assert prompt.text == REFERENCE.described["prompt"]
    assert inputs["input_ids"][0].tolist() == REFERENCE.ids("input_ids", vlm)


def test_the_logits_are_the_originals_and_as_wide(loaded, inputs):
    tower, vlm = loaded
    logits = forward(vlm, inputs).logits
    wanted = REFERENCE.tensors[f"{tower}.logits"]
    assert logits.shape == wanted.shape
    assert (logits - wanted).abs().max() < TOLERANCE


def test_the_projected_patches_are_the_originals(loaded, inputs):
    tower, vlm = loaded
    got = projected(vlm, inputs["pixel_values"])
    assert (got - REFERENCE.tensors[f"{tower}.projected"]).abs().max() < TOLERANCE


def test_the_greedy_tokens_are_the_originals_but_for_their_start_token(loaded, inputs):
    tower, vlm = loaded
    start, *wanted = REFERENCE.tensors[f"{tower}.gen_ids"][0].tolist()
    assert start == vlm.processor.tokenizer.bos_token_id
    assert generated(vlm, inputs, len(wanted)) == wanted


def test_the_two_towers_are_two_models():
    own, hub = (models.load(CHECKPOINT, vision=vision, dtype="float32") for vision in (None, TOWER))
    made = own.inputs(REFERENCE.image, REFERENCE.described["question"])
    assert (forward(own, made).logits - forward(hub, made).logits).abs().max() > 1
    assert "the checkpoint's own" in own.describe()
    assert "from vision" in hub.describe()


def test_the_image_is_padded_with_the_mean_colour(loaded):
    canvas = Image.new("RGB", (90, 90), (122, 116, 104))
    # 19 rows of margin: 9 above and 10 below, where the evaluation's coin may put 10 above.
    for above, same in ((9, True), (10, False)):
        canvas.paste((122, 116, 104), (0, 0, 90, 90))
        canvas.paste(REFERENCE.image, (0, above))
        wanted = loaded[1].inputs(canvas, "x")["pixel_values"]
        made = loaded[1].inputs(REFERENCE.image, "x")["pixel_values"]
        assert torch.equal(made, wanted) == same
        assert torch.equal(REFERENCE.tensors["pixel_values"], wanted) != same


def test_margins_are_no_part_of_the_image(loaded):
    source_image = images.load(REFERENCE.image)
    (grid,) = loaded[1].encode([source_image], "Is it?").prompt.grids
    assert source_image.shape == (71, 90)
    scale = 90 / 56
    assert grid.to_source == pytest.approx(np.array([[14 * scale, 0, -9], [0, 14 * scale, 0]]))
    assert (grid.positions >= 0).all()


def test_nothing_can_be_asked_that_stands_for_an_image(loaded):
    vlm = loaded[1]
    assert vlm.processor.image_token_id == 480
    assert vlm.model.get_input_embeddings().weight.shape[0] == 481
    assert vlm.model.get_input_embeddings().weight[480].abs().max() == 0
    assert vlm.model.get_output_embeddings().weight.shape[0] == 480


def test_a_checkpoint_without_a_tower_asks_for_one(tmp_path):
    place = rewritten(CHECKPOINT, tmp_path, without="model.vision_tower.")
    with pytest.raises(UnsupportedModel, match=r"'openai/clip-vit-large-patch14-336'.*vision=\.\.\."):
        models.load(place)
    vlm = models.load(place, vision=TOWER, dtype="float32")
    made = vlm.inputs(REFERENCE.image, REFERENCE.described["question"])
    made["pixel_values"] = REFERENCE.tensors["pixel_values"]
    assert (forward(vlm, made).logits - REFERENCE.tensors["hub_tower.logits"]).abs().max() < TOLERANCE


def test_a_tower_that_is_no_clip_is_refused():
    with pytest.raises(UnsupportedModel, match="no CLIP"):
        models.load(CHECKPOINT, vision=Reference("sigphi_phi2").place / "checkpoint")


def test_a_tower_that_is_not_there_is_refused_without_its_path(tmp_path):
    with pytest.raises(UnsupportedModel, match="given as vision") as caught:
        models.load(CHECKPOINT, vision=tmp_path / "ZZPHI" / "tower")
    assert "ZZPHI" not in str(caught.value)


def test_it_is_loaded_as_it_is_stored():
    vlm = models.load(CHECKPOINT)
    assert {one.dtype for one in vlm.model.parameters()} == {torch.bfloat16}
    assert "stored as: bfloat16" in vlm.describe()


def test_attention_has_no_window_and_its_rotary_angles_have_their_base(loaded):
    text = loaded[1].model.config.text_config
    assert text.sliding_window is None
    assert text.rope_parameters["rope_theta"] == 1e6
    assert not hasattr(text, "mm_vision_tower")


def test_tables_that_every_version_computes_itself_may_lie_in_the_file(tmp_path):
    changed = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)}
    tower = "model.vision_tower.vision_tower.vision_model.embeddings.position_ids"
    place = rewritten(CHECKPOINT, tmp_path, changed=changed | {tower: torch.arange(17)})
    for vision in (None, TOWER):
        assert models.load(place, vision=vision).family_name == "llava"
