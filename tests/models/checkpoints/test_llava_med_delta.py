import json
import shutil

import pytest
import torch

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.llava_med_delta import add_base
from groundviz.models.checkpoints.reading.weights import Weights
from groundviz.models.load import load
from tests.models.checkpoints.references import FIXTURES, loaded, references, seen, story, worst

NAME = "llavamed10"
FOLDER = FIXTURES / NAME
PARTS = {"base": FOLDER / "base", "vision": FOLDER / "hub_clip", "dtype": "float32"}


@pytest.fixture(scope="module")
def med():
    return loaded(NAME, "delta", base="base", vision="hub_clip")


@pytest.fixture(scope="module")
def inputs(med):
    return med.inputs(FOLDER / "image.png", story(NAME)["question"])


@pytest.fixture
def copied(tmp_path):
    """Copies of the difference and of its base, to be damaged."""
    return {part: shutil.copytree(FOLDER / part, tmp_path / part) for part in ("delta", "base")}


def changed(folder, name, change):
    """A pickled checkpoint of which one tensor is changed, or taken away where `change` gives None."""
    index = folder / "pytorch_model.bin.index.json"
    listed = json.loads(index.read_text("utf-8"))
    file = folder / listed["weight_map"].get(name, "pytorch_model-00004-of-00004.bin")
    held = torch.load(file, weights_only=True)
    made = change(held.pop(name, None))
    listed["weight_map"].pop(name, None)
    if made is not None:
        held[name], listed["weight_map"][name] = made, file.name
    torch.save(held, file)
    index.write_text(json.dumps(listed), "utf-8")


def test_the_model_computes_what_the_original_did(med, inputs):
    reference = references(NAME)
    logits, hidden, attention = seen(med.model, inputs)
    assert worst(logits, reference["logits"]) < 1e-4
    assert worst(hidden, reference["hidden"]) < 1e-4
    assert worst(attention[:, :, -8:], reference["attn_last8"]) < 1e-5


def test_it_answers_what_the_original_answered(med, inputs):
    reference = references(NAME)["gen_ids"][0].tolist()
    # Old versions of transformers give the prompt back as well.
    start = inputs["input_ids"].shape[1]
    made = med.model.generate(**inputs, max_new_tokens=len(reference) - start)
    assert made[0].tolist() == reference


def test_prompt_and_tokens_are_the_evaluations(med, inputs, source_image):
    assert med.encode([source_image], story(NAME)["question"]).prompt.text == story(NAME)["prompt"].replace(
        "<im_patch>" * 16, "<im_patch>"
    )
    assert torch.equal(inputs["input_ids"], references(NAME)["input_ids"])


def test_the_newline_before_the_image_is_lost_as_it_was_then(med, source_image):
    prompt = med.encode([source_image], "Is there a nodule?").prompt
    first = int(prompt.grids[0].positions.min())
    assert prompt.tokens[first - 1] == "<im_start>"
    assert prompt.tokens[first - 2] == "?"
    assert "?\n<im_start>" in prompt.text
    assert prompt.tokens[first + 16] == "<im_end>"


def test_the_image_stands_behind_the_question(med, source_image):
    spans = [span.kind for span in med.encode([source_image], "Is there a nodule?").prompt.spans]
    assert spans == ["template", "question", "template", "image", "template"]


def test_images_are_the_evaluations_to_the_bit(inputs):
    assert torch.equal(inputs["pixel_values"], references(NAME)["pixel_values"])


def test_the_difference_is_undone_in_the_precision_it_was_taken_in(med):
    base, delta = Weights.at(FOLDER / "base"), Weights.at(FOLDER / "delta")
    name = "layers.1.mlp.up_proj.weight"
    whole = med.model.model.language_model.get_parameter(name)
    assert torch.equal(whole, (base[f"model.{name}"] + delta[f"model.{name}"]).float())
    # In float32 it would be another model, if by a little.
    assert not torch.equal(whole, base[f"model.{name}"].float() + delta[f"model.{name}"].float())


def test_rows_that_the_base_lacks_are_the_differences_own(med):
    delta = Weights.at(FOLDER / "delta")
    for ours, name in (
        (med.model.get_input_embeddings(), "model.embed_tokens.weight"),
        (med.model.get_output_embeddings(), "lm_head.weight"),
    ):
        assert torch.equal(ours.weight[-4:], delta[name][-4:].float())


def test_a_bigger_base_cannot_be_added():
    with pytest.raises(RuntimeError):
        add_base(torch.zeros(2, 2), torch.zeros(3, 2))


def test_tokens_come_from_the_tokenizer_and_not_from_the_config(med):
    config = json.loads((FOLDER / "delta" / "config.json").read_text("utf-8"))
    assert (config["bos_token_id"], config["eos_token_id"]) == (0, 1)
    settings = med.model.generation_config
    assert (settings.bos_token_id, settings.eos_token_id) == (1, 2)
    assert med.model.config.image_token_id == story(NAME)["im_patch"]


@pytest.mark.parametrize("pieces", [["▁###"], ["##", "#"], ["#", "<0x23>", "#"]])
def test_it_stops_at_the_separator_however_that_is_spelled(med, inputs, pieces):
    spelled = med.processor.tokenizer.convert_tokens_to_ids(pieces)
    start = inputs["input_ids"].shape[1]

    def insist(ids, scores):
        following = [*spelled, 3][ids.shape[1] - start]
        return torch.full_like(scores, -1e9).index_fill(1, torch.tensor([following]), 0.0)

    made = med.model.generate(**inputs, logits_processor=[insist])
    assert made[0, start:].tolist() == spelled


def test_the_parts_are_what_was_published(med):
    config = med.model.config
    # In numbers of this size, an epsilon ten times too large would pass for rounding.
    assert (config.vision_config.hidden_act, config.vision_config.layer_norm_eps) == ("quick_gelu", 1e-5)
    assert (config.text_config.model_type, config.text_config.rms_norm_eps) == ("llama", 1e-6)
    assert (config.vision_feature_layer, config.vision_feature_select_strategy) == (-2, "default")


def test_the_projector_is_one_layer(med):
    names = [name for name, _ in med.model.model.multi_modal_projector.named_parameters()]
    assert names == ["weight", "bias"]


@pytest.mark.parametrize("part", ["base", "vision"])
def test_both_other_parts_must_be_given(part):
    given = {name: folder for name, folder in PARTS.items() if name != part}
    with pytest.raises(UnsupportedModel, match=rf"load\(\.\.\., {part}=\.\.\.\)"):
        load(FOLDER / "delta", **given)


def test_a_tensor_that_the_base_lacks_is_told(copied):
    changed(copied["base"], "model.layers.1.mlp.up_proj.weight", lambda _: None)
    with pytest.raises(UnsupportedModel, match=r"its model\.layers\.1\.mlp\.up_proj\.weight is missing"):
        load(copied["delta"], **{**PARTS, "base": copied["base"]})


def test_a_base_of_another_shape_is_told(copied):
    changed(copied["base"], "model.norm.weight", lambda weight: weight[:32].clone())
    with pytest.raises(
        UnsupportedModel, match=r"its model\.norm\.weight is \(32,\), and the difference .* \(64,\)"
    ):
        load(copied["delta"], **{**PARTS, "base": copied["base"]})


@pytest.mark.parametrize("part", ["delta", "base"])
def test_a_tensor_that_nobody_asked_for_is_told(copied, part):
    changed(copied[part], "model.extra.weight", lambda _: torch.zeros(1))
    with pytest.raises(UnsupportedModel, match=r"1 without a place in the model: model\.extra\.weight"):
        load(copied["delta"], **{**PARTS, "base": copied["base"]})


def test_a_projector_that_lacks_its_bias_is_told(copied):
    changed(copied["delta"], "model.mm_projector.bias", lambda _: None)
    with pytest.raises(UnsupportedModel, match=r"1 missing: model\.multi_modal_projector\.bias"):
        load(copied["delta"], **PARTS)
