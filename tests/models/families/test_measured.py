"""Families that are data: the modules that are found are those that the architecture names."""

import pytest

from groundviz.models import FAMILIES, resolve
from groundviz.models.families.measured import KNOWN
from groundviz.testing.families import TINY

# Where the layers of the tower, its projector, and the language model are.
MODULES = {
    "gemma3": ("vision_tower.encoder.layers", "multi_modal_projector", "language_model"),
    "idefics3": ("vision_model.encoder.layers", "connector", "text_model"),
    "internvl": ("vision_tower.encoder.layer", "multi_modal_projector", "language_model"),
    "llava_next": ("vision_tower.encoder.layers", "multi_modal_projector", "language_model"),
    "llava_onevision": ("vision_tower.encoder.layers", "multi_modal_projector", "language_model"),
    "mistral3": ("vision_tower.transformer.layers", "multi_modal_projector", "language_model"),
    "paligemma": ("vision_tower.encoder.layers", "multi_modal_projector", "language_model"),
    "pixtral": ("vision_tower.transformer.layers", "multi_modal_projector", "language_model"),
    "qwen2_vl": ("visual.blocks", "visual.merger", "language_model"),
    "qwen2_5_vl": ("visual.blocks", "visual.merger", "language_model"),
    "qwen3_vl": ("visual.blocks", "visual.merger", "language_model"),
}


@pytest.mark.parametrize("name", MODULES)
def test_the_modules_are_those_of_the_architecture(name):
    vlm = resolve(*TINY[name]())
    tower, projector, language = MODULES[name]
    if not hasattr(vlm.model.model, tower.partition(".")[0]):
        pytest.skip("this release of transformers names them otherwise")
    inner, parts = vlm.model.model, vlm.parts()
    text = inner.get_submodule(language)
    layers = list(inner.get_submodule(tower))
    # Layers behind the one that is read reach no answer.
    assert list(parts.vision_layers) == layers[: len(parts.vision_layers)]
    assert len(parts.vision_layers) >= len(layers) - 1
    assert parts.projector in set(inner.get_submodule(projector).modules())
    assert parts.decoder_layers == tuple(text.layers)
    assert parts.decoder_attention == tuple(layer.self_attn for layer in text.layers)
    assert parts.final_norm is text.norm
    assert parts.output_head is vlm.model.lm_head
    assert parts.batches
    assert not parts.opaque


def test_a_family_is_known_by_its_type_alone():
    types = [one for family in KNOWN.values() for one in family.types]
    assert sorted(types) == sorted(set(types))
    assert all(FAMILIES[name] is family for name, family in KNOWN.items())
