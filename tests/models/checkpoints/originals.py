"""A paper's tiny checkpoint with everything that lies beside it, and changed copies of it."""

import json
import shutil
from dataclasses import dataclass
from functools import cached_property

import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.models.checkpoints.references import FIXTURES, expanded


@dataclass(frozen=True)
class Reference:
    """One fixture."""

    name: str

    @property
    def place(self):
        return FIXTURES / self.name

    @cached_property
    def tensors(self):
        return load_file(self.place / "reference.safetensors")

    @cached_property
    def described(self):
        return json.loads((self.place / "reference.json").read_text("utf-8"))

    @property
    def image(self):
        return Image.open(self.place / "image.png").convert("RGB")

    def ids(self, name, vlm):
        """The reference's token ids, with the model's image tokens for its mark."""
        return expanded(self.tensors[name], vlm.processor.image_token_id, vlm.processor.image_tokens)


def forward(vlm, inputs, **options):
    """One forward without gradients."""
    with torch.no_grad():
        return vlm.model(**inputs, **options)


def generated(vlm, inputs, count):
    """The first greedy tokens behind a prompt."""
    made = vlm.model.generate(**inputs, max_new_tokens=count, min_new_tokens=count, do_sample=False)
    return made[0, inputs["input_ids"].shape[1] :].tolist()


def projected(vlm, pixels):
    """What enters the language model in place of the image tokens."""
    with torch.no_grad():
        return torch.stack(vlm.model.get_image_features(pixel_values=pixels).pooler_output)


def rewritten(folder, place, *, without="", changed=None, **config):
    """A copy of a checkpoint in one file, with some tensors left out or changed, and a changed config.

    Args:
        folder: The checkpoint.
        place: An empty folder.
        without: Beginning of the names of tensors to leave out; none when empty.
        changed: Tensors by name, instead of or beside its own.
        config: Entries of its config.json to change.
    """
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    kept = {name: one for name, one in tensors.items() if not (without and name.startswith(without))}
    for file in folder.glob("*"):
        if file.suffix in (".json", ".txt", ".model") and "index" not in file.name:
            shutil.copy(file, place)
    described = json.loads((folder / "config.json").read_text("utf-8")) | config
    (place / "config.json").write_text(json.dumps(described), "utf-8")
    save_file(kept | (changed or {}), place / "model.safetensors")
    return place
