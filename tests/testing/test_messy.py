"""A messy model has everything a careless borrower could lose, and still answers."""

import pytest
import torch

from groundviz.testing.messy import messy
from groundviz.testing.tiny.llava import tiny_llava


@pytest.mark.parametrize("vision", ["siglip", "clip"])
def test_it_has_one_of_each(vision):
    model = messy(tiny_llava(vision=vision))
    parameters = list(model.parameters())
    assert {parameter.requires_grad for parameter in parameters} == {True, False}
    assert {parameter.grad is None for parameter in parameters} == {True, False}
    assert {module.training for module in model.modules()} == {True, False}
    assert model.config.text_config._attn_implementation == "eager"
    assert model.config.vision_config._attn_implementation == "sdpa"
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight
    assert len(model.model.language_model.layers[0]._forward_hooks) == 3
    assert "forward" in vars(model.model.language_model.layers[1].mlp)


def test_its_training_parts_draw_random_numbers():
    model = messy(tiny_llava())
    inputs = {"input_ids": torch.tensor([[2, *[4] * 16, 20]]), "pixel_values": torch.ones(1, 3, 28, 28)}
    assert not torch.equal(model(**inputs).logits, model(**inputs).logits)
