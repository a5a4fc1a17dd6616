"""What the original code of a paper made of a tiny checkpoint in the paper's layout, and ours beside it."""

import json
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file

from groundviz.models.load import load

FIXTURES = Path(__file__).parent / "fixtures"
IMAGE = -200


@cache
def references(name):
    """Tensors that the original code computed, in float32."""
    return load_file(FIXTURES / name / "reference.safetensors")


@cache
def story(name):
    """Prompt, question and counts of a reference."""
    return json.loads((FIXTURES / name / "reference.json").read_text("utf-8"))


def loaded(name, source="checkpoint", *, base=None, vision=None, **options):
    """The fixture's model in float32, its parts named by their folders in the fixture."""
    parts = {"base": base, "vision": vision}
    folders = {part: FIXTURES / name / folder for part, folder in parts.items() if folder}
    vlm = load(FIXTURES / name / source, **{"dtype": "float32", **folders, **options})
    vlm.model.set_attn_implementation("eager")
    return vlm


def expanded(ids, image_id, count):
    """Token ids in which as many tokens stand for the image as there are patches."""
    ids = ids[0].tolist()
    at = ids.index(IMAGE)
    return [*ids[:at], *[image_id] * count, *ids[at + 1 :]]


def seen(model, inputs):
    """Logits, hidden states (state, position, width) and attention (layer, head, query, key) of one pass."""
    with torch.no_grad():
        output = model(**inputs, output_hidden_states=True, output_attentions=True)
    return output.logits, torch.cat(output.hidden_states), torch.cat(output.attentions)


def worst(ours, theirs):
    """The largest difference."""
    assert ours.shape == theirs.shape
    return float((ours.float() - theirs.float()).abs().max())
