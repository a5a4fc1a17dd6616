import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.image_geometry import source_to_model
from groundviz.models.checkpoints.building.lora import merge_low_rank
from groundviz.models.checkpoints.reading.weights import Weights
from groundviz.models.load import load
from groundviz.record.geometry import cells_in_view
from tests.models.checkpoints.references import FIXTURES, expanded, loaded, references, seen, story, worst

NAME = "llavarad"
FOLDER = FIXTURES / NAME
FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


@pytest.fixture(scope="module")
def rad():
    return loaded(NAME, base="base")


@pytest.fixture(scope="module")
def inputs(rad):
    return rad.inputs(FOLDER / "image.png", story(NAME)["question"])


@pytest.fixture
def copied(tmp_path):
    """A copy of the checkpoint, to be damaged."""
    return shutil.copytree(FOLDER / "checkpoint", tmp_path / "checkpoint")


def changed(file, change):
    """A pickled file of tensors with some of them changed."""
    held = torch.load(file, weights_only=True)
    change(held)
    torch.save(held, file)


def rewritten(file, **entries):
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | entries), "utf-8")


def load_in_float32(folder, **options):
    return load(folder, base=FOLDER / "base", dtype="float32", **options)


def test_the_model_computes_what_the_original_did(rad, inputs):
    reference = references(NAME)
    logits, hidden, attention = seen(rad.model, inputs)
    assert worst(logits, reference["logits"]) < 1e-4
    assert worst(hidden, reference["hidden"]) < 1e-4
    assert worst(attention[:, :, -8:], reference["attn_last8"]) < 1e-5


def test_the_tower_sees_what_the_original_saw(rad, inputs):
    reference, model = references(NAME), rad.model
    with torch.no_grad():
        tower = model.model.vision_tower(
            inputs["pixel_values"], output_hidden_states=True, output_attentions=True
        )
        projected = model.model.multi_modal_projector(tower.hidden_states[-2][:, 1:])
    assert worst(torch.cat(tower.hidden_states), reference["vision_hidden"]) < 1e-4
    assert worst(torch.cat(tower.attentions), reference["vision_attn"]) < 1e-5
    assert worst(tower.hidden_states[-2][:, 1:], reference["vision_selected"]) < 1e-4
    assert worst(projected, reference["projected"]) < 1e-4


def test_it_answers_what_the_original_answered(rad, inputs):
    reference = references(NAME)
    start = reference["input_ids"].shape[1]
    generated = reference["gen_ids"][0, start:].tolist()
    answer = rad.model.generate(**inputs, max_new_tokens=len(generated))[0, inputs["input_ids"].shape[1] :]
    assert answer.tolist() == generated


def test_prompt_and_tokens_are_the_evaluations(rad, inputs, source_image):
    reference = references(NAME)
    prompt = rad.encode([source_image], story(NAME)["question"]).prompt
    image_id = rad.model.config.image_token_id
    assert prompt.text == story(NAME)["prompt"]
    assert inputs["input_ids"][0].tolist() == expanded(reference["input_ids"], image_id, 25)
    question = next(span for span in prompt.spans if span.kind == "question")
    written = rad.processor.tokenizer.decode(prompt.token_ids[question.start : question.stop])
    assert written == story(NAME)["question"]


def test_the_placeholder_can_be_read_and_not_be_generated(rad):
    rows = references(NAME)["logits"].shape[-1]
    assert rad.model.config.image_token_id == rows
    assert rad.model.get_output_embeddings().weight.shape[0] == rows
    assert rad.model.get_input_embeddings().weight[rows].abs().max() == 0


def test_images_are_the_evaluations_to_the_bit(inputs):
    assert torch.equal(inputs["pixel_values"], references(NAME)["pixel_values"])


@pytest.mark.parametrize("shape", [(74, 77), (74, 81), (81, 74), (90, 74)])
def test_an_odd_margin_is_halved_to_even(rad, shape):
    # Shifts of 1.5, 3.5 and 8: the even neighbour, not the smaller one.
    shown = np.arange(shape[0] * shape[1], dtype=np.int64).reshape(shape) % 251
    image = Image.fromarray(shown.astype(np.uint8)).convert("RGB")
    processor = rad.processor.image_processor
    made = processor(images=image, return_tensors="np")["pixel_values"][0, 0]
    to_model, size = source_to_model(processor, shape)
    top, left = (-to_model[:2, 2]).astype(int)
    expected = shown[top : top + 74, left : left + 74] / 255
    mean, std = processor.image_mean[0], processor.image_std[0]
    assert size == (74, 74)
    assert (top, left) == tuple(round((length - 74) / 2) for length in shape)
    assert np.allclose(made, (expected - mean) / std, atol=1e-5)


def test_margins_that_are_cut_off_are_no_part_of_any_cell(rad, source_image):
    (grid,) = rad.encode([source_image], "Is there a nodule?").prompt.grids
    assert (grid.rows, grid.cols) == (5, 5)
    assert cells_in_view(5, 5, grid.to_source, source_image.shape).all()
    # 40 by 56 pixels become 74 by 103, of which columns 14 to 84 are seen: 70 pixels, in five patches.
    left, right = (grid.to_source @ np.array([0.0, col, 1.0]) for col in (0, 5))
    assert left[1] == pytest.approx(14 * 56 / 103, abs=1e-6)
    assert right[1] == pytest.approx(84 * 56 / 103, abs=1e-6)


@pytest.mark.parametrize(("dtype", "key"), [("float32", "merged_q0"), ("float16", "merged_q0_f16")])
def test_the_adapter_is_merged_as_the_original_merges_it(dtype, key):
    merged = (
        loaded(NAME, base="base", dtype=dtype).model.model.language_model.layers[0].self_attn.q_proj.weight
    )
    assert torch.equal(merged, references(NAME)[key])


def test_the_parts_are_what_was_published(rad):
    config = rad.model.config
    # In numbers of this size, an epsilon ten times too large would pass for rounding.
    assert (config.vision_config.model_type, config.vision_config.layer_norm_eps) == ("dinov2", 1e-6)
    assert (config.text_config.model_type, config.text_config.rms_norm_eps) == ("llama", 1e-5)
    assert (config.vision_feature_layer, config.vision_feature_select_strategy) == (-2, "default")


def test_half_precision_leaves_the_rotary_tables_alone(rad):
    half = loaded(NAME, base="base", dtype="float16").model.model.language_model.rotary_emb.inv_freq
    assert torch.equal(half, rad.model.model.language_model.rotary_emb.inv_freq)
    assert half.dtype == torch.float32


def test_every_target_is_adapted_and_nothing_else(rad):
    base, adapter = Weights.at(FOLDER / "base"), Weights.at(FOLDER / "checkpoint" / "adapter_model.bin")
    model = rad.model.state_dict()
    for name in base:
        if name.endswith("inv_freq"):
            continue
        down = f"base_model.model.{name.removesuffix('weight')}lora_A.weight"
        up = down.replace("lora_A", "lora_B")
        stored = base[name].float()
        expected = (
            merge_low_rank(stored, adapter[down], adapter[up], scale=2.0) if down in adapter else stored
        )
        ours = model[name.replace("model.", "model.language_model.", 1)]
        assert torch.equal(ours[: len(expected)], expected), name
    assert len(adapter) == 2 * 7 * 3


def test_a_missing_half_of_a_pair_is_told(copied):
    changed(copied / "adapter_model.bin", lambda held: held.pop(FIRST))
    with pytest.raises(
        UnsupportedModel, match=r"q_proj\.lora_A\.weight is missing, and \(4, 64\) was expected"
    ):
        load_in_float32(copied)


def test_a_wrong_rank_is_told(copied):
    rewritten(copied / "adapter_config.json", r=8)
    with pytest.raises(UnsupportedModel, match=r"is \(4, \d+\), and \(8, \d+\) was expected"):
        load_in_float32(copied)


def test_a_pair_for_another_module_is_told(copied):
    def add(held):
        for name in [FIRST, FIRST.replace("lora_A", "lora_B")]:
            held[name.replace("layers.0", "layers.7")] = held[name]

    changed(copied / "adapter_model.bin", add)
    with pytest.raises(UnsupportedModel, match=r"2 without a place in the model: .*layers\.7\.self_attn"):
        load_in_float32(copied)


def test_another_kind_of_adapter_is_refused(copied):
    rewritten(copied / "adapter_config.json", use_dora=True)
    with pytest.raises(UnsupportedModel, match="use_dora=True"):
        load_in_float32(copied)


@pytest.mark.parametrize(
    ("file", "inside", "name"),
    [
        ("adapter_model.bin", None, "base_model.model.model.norm.weight"),
        ("non_lora_trainables.bin", None, "base_model.model.model.mm_projector.4.weight"),
        ("biomedclipcxr_518_checkpoint.pt", "state_dict", "module.visual.trunk.reg_token"),
    ],
)
def test_a_tensor_that_nobody_asked_for_is_told(copied, file, inside, name):
    def add(held):
        (held[inside] if inside else held)[name] = torch.zeros(1)

    changed(copied / file, add)
    with pytest.raises(UnsupportedModel, match=f"1 without a place in the model: {name}"):
        load_in_float32(copied)


@pytest.mark.parametrize("lost", ["blocks.1.ls2.gamma", "blocks.2.attn.qkv.bias", "pos_embed"])
def test_a_tensor_that_the_tower_lacks_is_told(copied, lost):
    file = copied / "biomedclipcxr_518_checkpoint.pt"
    changed(file, lambda held: held["state_dict"].pop(f"module.visual.trunk.{lost}"))
    with pytest.raises(UnsupportedModel, match=r"missing: model\.vision_tower\."):
        load_in_float32(copied)


def test_a_training_file_without_a_tower_is_told(copied):
    def strip(held):
        held["state_dict"] = {"module.logit_scale": torch.zeros(())}

    changed(copied / "biomedclipcxr_518_checkpoint.pt", strip)
    with pytest.raises(UnsupportedModel, match="holds no tower"):
        load_in_float32(copied)


@pytest.mark.parametrize("name", ["../base/pytorch_model-00001-of-00002.bin", ".", ""])
def test_a_tower_file_in_another_folder_is_not_read(copied, name):
    rewritten(copied / "config.json", mm_vision_tower_checkpoint=name)
    with pytest.raises(UnsupportedModel, match="outside its own folder"):
        load_in_float32(copied)


def test_a_missing_settings_file_is_told(copied):
    (copied / "biomedclipcxr_518.json").unlink()
    with pytest.raises(UnsupportedModel, match="settings file of the checkpoint is missing"):
        load_in_float32(copied)


def test_the_base_must_be_given():
    with pytest.raises(UnsupportedModel, match=r'load\(\.\.\., base="lmsys/vicuna-7b-v1\.5"\)'):
        load(FOLDER / "checkpoint")


def test_the_base_must_be_the_one_that_was_adapted():
    with pytest.raises(
        UnsupportedModel, match=r"k_proj\.lora_B\.weight is \(64, 4\), and \(32, 4\) was expected"
    ):
        load(FOLDER / "checkpoint", base=FIXTURES / "llavamed15" / "checkpoint")


def test_another_tower_is_refused():
    with pytest.raises(UnsupportedModel, match=r"vision was given, and .* no use for it"):
        load(FOLDER / "checkpoint", base=FOLDER / "base", vision=FIXTURES / "medmoe_phi" / "hub_clip")


def test_its_own_words_say_where_it_came_from(rad):
    told = rad.describe()
    assert "layout: llava_rad" in told
    assert "LoRA into the language model from base=" in told
    assert "74 by 74 pixels in patches of 14, 25 tokens" in told
    assert str(FIXTURES) not in told
