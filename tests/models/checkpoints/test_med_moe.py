import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from groundviz import explain
from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints import evaluation_images
from groundviz.models.checkpoints.building.mixture import Mixture
from groundviz.models.checkpoints.published import VICUNA, PublishedProcessor, read_tokenizer
from groundviz.models.checkpoints.routing import replay, routing
from groundviz.models.load import load
from tests.models.checkpoints.references import FIXTURES, expanded, loaded, references, seen, worst

NAMES = ("medmoe_phi", "medmoe_stablelm")
ROWS, PATCHES = 640, 16
QUESTION = "Is there a pleural effusion?"


@pytest.fixture(scope="module")
def processor():
    """With a tokenizer in CodeGen's format, as Phi-2's: the fixtures have none."""
    return PublishedProcessor(
        tokenizer=read_tokenizer(FIXTURES / "sigphi_phi2" / "checkpoint"),
        image_processor=evaluation_images.cropped(56),
        prompt=VICUNA,
        image_tokens=PATCHES,
    )


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def moe(name, processor):
    return loaded(name, processor=processor)


@pytest.fixture(scope="module")
def inputs(moe, name):
    reference, image_id = references(name), moe.model.config.image_token_id
    assert image_id not in reference["input_ids"]
    ids = expanded(reference["input_ids"], image_id, PATCHES)
    return {"input_ids": torch.tensor([ids]), "pixel_values": reference["pixel_values"]}


@pytest.fixture
def copied(tmp_path):
    """A copy of the checkpoint with Phi-2, to be damaged, with a tokenizer of its own."""
    folder = shutil.copytree(FIXTURES / NAMES[0] / "checkpoint", tmp_path / "checkpoint")
    for file in ("tokenizer_config.json", "vocab.json", "merges.txt"):
        shutil.copy(FIXTURES / "sigphi_phi2" / "checkpoint" / file, folder)
    return folder


def rewritten(folder, **entries):
    file = folder / "config.json"
    config = json.loads(file.read_text("utf-8"))
    config["moe"] |= entries
    file.write_text(json.dumps(config), "utf-8")


def changed(folder, change):
    file = folder / "model.safetensors"
    held = load_file(file)
    change(held)
    save_file(held, file)


def test_the_model_computes_what_the_original_did_without_noise(moe, name, inputs):
    reference = references(name)
    logits, hidden, attention = seen(moe.model, inputs)
    assert worst(logits, reference["nonoise.logits"]) < 1e-4
    assert worst(hidden, reference["hidden"]) < 1e-4
    assert worst(attention[:, :, -8:], reference["attn_last8"]) < 1e-5


def test_the_tower_sees_what_the_original_saw(moe, name, inputs):
    with torch.no_grad():
        projected = moe.model.model.get_image_features(pixel_values=inputs["pixel_values"])
    assert worst(torch.stack(list(projected.pooler_output)), references(name)["projected"]) < 1e-4


@pytest.mark.parametrize("run", ["noise1", "noise2"])
def test_the_model_computes_what_the_original_did_with_the_noise_it_drew(moe, name, inputs, run):
    reference = references(name)
    with torch.no_grad(), routing(moe.model, noise=replay(reference[f"{run}.gumbel"])):
        logits = moe.model(**inputs).logits
    assert worst(logits[:, -8:], reference[f"{run}.logits_last8"]) < 1e-4
    # The draws changed something to begin with.
    assert worst(logits, reference["nonoise.logits"]) > 0.1


def test_the_routers_choose_what_the_originals_chose(moe, name, inputs):
    with routing(moe.model) as passes:
        moe.model(**inputs)
    assert [entry.layer for entry in passes] == [0, 2]
    for entry in passes:
        theirs = references(name)[f"gate_logits.{entry.layer}"]
        assert worst(torch.tensor(entry.logits[0]), theirs) < 1e-4
        assert np.array_equal(entry.chosen[0, :, 0], theirs.argmax(-1))


def test_generating_is_deterministic_and_every_step_is_routed(moe, inputs):
    with routing(moe.model) as passes:
        first = moe.model.generate(**inputs, max_new_tokens=4, eos_token_id=None)
    torch.manual_seed(3)
    assert torch.equal(first, moe.model.generate(**inputs, max_new_tokens=4, eos_token_id=None))
    # The prompt in one pass, then token by token.
    assert [entry.chosen.shape[1] for entry in passes] == [39, 39, 1, 1, 1, 1, 1, 1]


def test_mixtures_stand_where_the_config_says(moe):
    layers = moe.model.model.language_model.layers
    assert [isinstance(layer.mlp, Mixture) for layer in layers] == [True, False, True]
    assert [len(layers[k].mlp.experts.branches) for k in (0, 2)] == [4, 4]


def test_the_decoder_is_the_published_one(moe, name):
    text = moe.model.config.text_config
    stable = name == "medmoe_stablelm"
    assert text.model_type == ("stablelm" if stable else "phi")
    assert text.rope_parameters["partial_rotary_factor"] == (0.25 if stable else 0.4)
    assert text.layer_norm_eps == 1e-5
    assert moe.model.get_output_embeddings().bias is None


def test_the_image_is_cropped_although_the_config_says_pad(moe, name):
    config = json.loads((FIXTURES / name / "checkpoint" / "config.json").read_text("utf-8"))
    assert config["image_aspect_ratio"] == "pad"
    made = moe.inputs(FIXTURES / name / "image.png", QUESTION)
    assert torch.equal(made["pixel_values"], references(name)["pixel_values"])


def test_prompt_and_tokens_are_the_evaluations(moe, source_image):
    prompt = moe.encode([source_image], QUESTION).prompt
    assert prompt.text.startswith("A chat between a curious user and an artificial intelligence assistant. ")
    assert prompt.text.endswith(f"questions. USER: <image>\n{QUESTION} ASSISTANT:")
    tokenizer, (before, after) = moe.processor.tokenizer, prompt.text.split("<image>")
    image = [moe.model.config.image_token_id] * PATCHES
    assert prompt.token_ids.tolist() == [*tokenizer(before).input_ids, *image, *tokenizer(after).input_ids]


def test_an_explanation_is_as_deterministic_as_the_model(moe, source_image):
    maps = [
        explain(moe, source_image.pixels, QUESTION, answer="no", methods=["attention"])
        .record.heatmaps[0]
        .values
        for _ in range(2)
    ]
    assert np.array_equal(*maps, equal_nan=True)


def test_another_tower_takes_the_place_of_its_own(moe, name, inputs, processor):
    other = loaded(name, processor=processor, vision="../medmoe_phi/hub_clip")
    theirs = load_file(FIXTURES / "medmoe_phi" / "hub_clip" / "model.safetensors")
    ours = other.model.model.vision_tower.get_parameter("embeddings.class_embedding")
    assert torch.equal(ours, theirs["vision_model.embeddings.class_embedding"])
    assert worst(seen(other.model, inputs)[0], references(name)["nonoise.logits"]) > 0.1
    assert "from vision=" in other.describe()
    assert "the checkpoint's own" in moe.describe()


def test_a_base_has_no_place_in_it(copied):
    with pytest.raises(UnsupportedModel, match=r"base was given, and .* Leave base out"):
        load(copied, base=copied)


def test_its_own_tokenizer_is_read(copied, source_image):
    vlm = load(copied, dtype="float32")
    tokenizer = vlm.processor.tokenizer
    assert vlm.model.config.image_token_id == len(tokenizer) - 1 < ROWS
    assert vlm.model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert len(vlm.encode([source_image], QUESTION).prompt.grids[0].positions) == PATCHES


def test_a_tokenizer_that_is_code_is_not_run_and_another_can_be_given(copied, processor):
    described = {
        "tokenizer_class": "Arcade100kTokenizer",
        "auto_map": {"AutoTokenizer": ["tokenization_arcade100k.Arcade100kTokenizer", None]},
    }
    (copied / "tokenizer_config.json").write_text(json.dumps(described), "utf-8")
    (copied / "vocab.json").unlink()
    (copied / "merges.txt").unlink()
    (copied / "tokenization_arcade100k.py").write_text("raise SystemExit('this was run')", "utf-8")
    with pytest.raises(UnsupportedModel, match=r"tokenizer .* cannot be read .* pass processor="):
        load(copied)
    assert load(copied, processor=processor).processor is processor


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"use_residual": True}, "use_residual=True"),
        ({"top_k_experts": 3}, "top_k_experts=3"),
        ({"num_experts": [4, 4, 4]}, "contradicts itself"),
        ({"num_experts": [3]}, "without a place in the model"),
        ({"moe_layers_idx": [0, 1]}, "without a place in the model"),
        ({"moe_layers_idx": [0, 9]}, r"layers 0, 9 of 3 have some"),
        ({"num_experts": [1]}, "visit 2 experts of 1"),
        ({"num_experts": [10**9]}, "asks for 1000000000 layers or experts"),
        ({"num_experts": 4}, r"cannot be put together \(TypeError\)"),
    ],
)
def test_mixtures_that_nobody_published_are_refused(copied, entries, message):
    rewritten(copied, **entries)
    with pytest.raises(UnsupportedModel, match=message):
        load(copied)


def test_a_head_with_a_bias_keeps_it(copied):
    bias = torch.arange(ROWS, dtype=torch.float16)
    changed(copied, lambda held: held.update({"lm_head.bias": bias}))
    assert torch.equal(load(copied).model.get_output_embeddings().bias, bias)


def test_one_count_of_experts_stands_for_all_layers(copied):
    rewritten(copied, num_experts=[4])
    assert load(copied).model.config.mixtures == {"0": 4, "2": 4}


@pytest.mark.parametrize(
    "lost",
    [
        "mlp.deepspeed_moe.gate.wg.bias",
        "mlp.meta_moe.fc1.weight",
        "mlp.deepspeed_moe.experts.deepspeed_experts.3.fc2.bias",
    ],
)
def test_a_missing_part_of_a_mixture_is_told(copied, lost):
    changed(copied, lambda held: held.pop(f"model.layers.2.{lost}"))
    with pytest.raises(UnsupportedModel, match=r"1 missing: model\.language_model\.layers\.2\.mlp\."):
        load(copied)


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.mlp.deepspeed_moe.coefficient.weight",
        "model.image_tower.image_tower.vision_model.new",
        "odd",
    ],
)
def test_a_tensor_that_nobody_asked_for_is_told(copied, name):
    changed(copied, lambda held: held.update({name: torch.zeros(1)}))
    with pytest.raises(UnsupportedModel, match="1 without a place in the model"):
        load(copied)
