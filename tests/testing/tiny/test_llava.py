"""The tiny models are real ones: they encode, answer and agree with their processor."""

import numpy as np
import pytest
import torch
from PIL import Image

from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

CHAT = [
    {
        "role": "user",
        "content": [{"type": "image"}, {"type": "text", "text": "Is there a nodule in the left lung?"}],
    }
]


def encode(model):
    processor = tiny_llava_processor(model)
    text = processor.apply_chat_template(CHAT, add_generation_prompt=True)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    return processor(images=Image.fromarray(pixels), text=text, return_tensors="pt")


@pytest.mark.parametrize("vision", ["siglip", "clip"])
@pytest.mark.parametrize(("image_size", "patch_size"), [(28, 7), (32, 16)])
def test_processor_and_model_agree_on_the_image_tokens(vision, image_size, patch_size):
    model = tiny_llava(vision=vision, image_size=image_size, patch_size=patch_size)
    inputs = encode(model)
    assert int((inputs["input_ids"] == model.config.image_token_id).sum()) == model.config.image_seq_length
    assert int((inputs["input_ids"] == 1).sum()) == 0  # no unknown word
    answer = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert answer.shape[1] > inputs["input_ids"].shape[1]


def test_equal_seeds_give_equal_weights_and_leave_the_random_streams_alone():
    witness = torch.nn.Linear(1, 1)
    before = fingerprint(witness)
    first, same, other = tiny_llava(3), tiny_llava(3), tiny_llava(4)
    assert difference(before, fingerprint(witness)) == []
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)


def test_shapes_and_dtype_are_as_asked():
    model = tiny_llava(layers=3, heads=8, kv_heads=4, dtype=torch.bfloat16)
    decoder, vision = model.model.language_model, model.model.vision_tower
    assert len(decoder.layers) == len(vision.encoder.layers) == 3
    assert model.config.text_config.num_attention_heads == vision.config.num_attention_heads == 8
    assert model.config.text_config.num_key_value_heads == 4
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert not model.training


def test_attention_is_neither_uniform_nor_on_one_token():
    model = tiny_llava()
    model.set_attn_implementation("eager")
    for attention in model(**encode(model), output_attentions=True).attentions:
        row = attention[0, :, -1]
        entropy = -(row * row.clamp_min(1e-9).log()).sum(-1).mean() / np.log(row.shape[-1])
        assert 0.2 < entropy < 0.95
