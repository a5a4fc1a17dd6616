"""Weights of 8 or 4 bits: the language model's layers, packed by bitsandbytes while they are read.

The vision tower, the projector, the embeddings and the output head stay in the model's own numbers:
they are a small part of the whole, and LLaVA's own loader leaves the tower as it is too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, BitsAndBytesConfig

from groundviz.errors import MissingExtra, UnsupportedModel

BITS = {"int8": 8, "int4": 4}
NEEDED = ("accelerate", "bitsandbytes")


def bits_of(wanted: str | torch.dtype | None) -> int | None:
    """How many bits a weight is to have, 8 or 4; None for a dtype that a model computes in.

    Raises:
        MissingExtra: What packs weights is not installed.

    >>> bits_of("bfloat16") is None
    True
    """
    bits = BITS.get(str(wanted).removeprefix("torch."))
    missing = [name for name in NEEDED if find_spec(name) is None]
    if bits and missing:
        raise MissingExtra(
            f"Weights of {bits} bits need {' and '.join(missing)}. "
            f"Install with: pip install {' '.join(missing)}"
        )
    return bits


def check_unpacked(config: Mapping[str, Any]) -> None:
    """Stop what cannot be packed.

    Raises:
        UnsupportedModel: A checkpoint's config.json says that its weights are packed already.
    """
    if "quantization_config" in config:
        raise UnsupportedModel(
            "The checkpoint's weights are packed already, as its config says, and dtype asks to pack them. "
            "Leave dtype out."
        )


def describe_packing(bits: int) -> str:
    """What is quantised, and how, in plain words."""
    return f"the language model's layers, to {bits} bits by bitsandbytes"


def packing(bits: int, model: nn.Module, dtype: torch.dtype | None) -> BitsAndBytesConfig:
    """What transformers must be told to pack a model's decoder layers while it reads them.

    Four bits are nf4 with packed scales, as in Dettmers et al. (2023), https://arxiv.org/abs/2305.14314;
    eight are LLM.int8, Dettmers et al. (2022), https://arxiv.org/abs/2208.07339.

    Args:
        bits: 8 or 4.
        model: The model, which may be on the meta device.
        dtype: What it computes in; float32 when None.

    >>> from groundviz.testing.tiny.llava import tiny_llava
    >>> sorted(packing(8, tiny_llava(), None).llm_int8_skip_modules)
    ['lm_head', 'model.multi_modal_projector', 'model.vision_tower']
    """
    kept = list(_kept(model, bits)) or None
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        llm_int8_skip_modules=kept,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def packing_at(source: Any, revision: str, bits: int, dtype: torch.dtype | None) -> BitsAndBytesConfig:
    """The same for a checkpoint in transformers' own format, in the dtype it is stored in when None."""
    config = AutoConfig.from_pretrained(source, trust_remote_code=False, revision=revision)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config, trust_remote_code=False)
    return packing(bits, model, dtype or config.dtype)


def _kept(model: Any, bits: int) -> Iterator[str]:
    """Names of the largest parts outside the decoder layers, where these are known, and of odd sizes."""
    packed = _decoder_layers(model)
    yield from _outside(packed, model, "") if packed else ()
    for name, layer in model.named_modules():
        if bits == 4 and isinstance(layer, nn.Linear) and (layer.in_features % 64 or layer.out_features % 32):
            # The kernel of CPUs takes whole blocks of weights.
            yield name


def _decoder_layers(model: Any) -> set[nn.Module]:
    """The layers of the language model: as many as its config states; none where they are not found."""
    if not hasattr(model, "get_decoder"):
        return set()
    count = getattr(model.config.get_text_config(decoder=True), "num_hidden_layers", None)
    for module in model.get_decoder().modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return set(module)
    return set()


def _outside(packed: set[nn.Module], module: nn.Module, name: str) -> Iterator[str]:
    inside = set(module.modules())
    if module in packed or not any(isinstance(one, nn.Linear) for one in inside):
        return
    if inside.isdisjoint(packed):
        yield name
        return
    for child_name, child in module.named_children():
        yield from _outside(packed, child, f"{name}.{child_name}".removeprefix("."))
