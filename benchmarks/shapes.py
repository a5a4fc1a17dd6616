"""LLaVA models of stated shapes with random weights, made on the device they run on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Phi3Config,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
)
from transformers.models.llava.processing_llava import LlavaProcessor
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from groundviz.models import VLM, resolve

QUESTION = " ".join(f"word{i}" for i in range(50))
ANSWER = " ".join(f"word{100 + i}" for i in range(64))


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a model: `side` by `side` image tokens, and the widths and depths of its parts."""

    name: str
    side: int
    text: type[LlamaConfig] | type[Phi3Config] = LlamaConfig
    width: int = 512
    inner: int = 1408
    layers: int = 6
    heads: int = 8
    kv_heads: int = 4
    vocabulary: int = 4000
    vision_width: int = 64
    vision_layers: int = 2
    patch: int = 14


LLAVA_RAD = Shape(
    name="LLaVA-Rad (7B)", side=37, width=4096, inner=11008, layers=32, heads=32, kv_heads=32,
    vocabulary=32000, vision_width=768, vision_layers=12,
)  # fmt: skip
SIGPHI_MED = Shape(
    name="SigPhi-Med (4.2B)", side=27, text=Phi3Config, width=3072, inner=8192, layers=32, heads=32,
    kv_heads=32, vocabulary=32064, vision_width=1152, vision_layers=27,
)  # fmt: skip


def smallest(name: str = "toy", *, side: int = 4) -> Shape:
    """A model that only shows that the code runs."""
    return Shape(
        name=name,
        side=side,
        layers=1,
        width=64,
        inner=96,
        heads=4,
        kv_heads=2,
        vocabulary=400,
        vision_layers=2,
    )


def build(shape: Shape, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> VLM:
    """A model of that shape with the processor that fits it; weights are drawn from seed 0."""
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = LlavaForConditionalGeneration(_config(shape)).eval()
    finally:
        torch.set_default_dtype(before)
    # Nothing may end an answer early.
    model.generation_config.update(max_new_tokens=64, min_new_tokens=64, pad_token_id=0, eos_token_id=3)
    return resolve(model, _processor(shape))


def _config(shape: Shape) -> LlavaConfig:
    vision = SiglipVisionConfig(
        hidden_size=shape.vision_width,
        intermediate_size=4 * shape.vision_width,
        num_hidden_layers=shape.vision_layers,
        num_attention_heads=max(1, shape.vision_width // 64),
        image_size=shape.side * shape.patch,
        patch_size=shape.patch,
        vision_use_head=False,
    )
    text = shape.text(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=4096,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=4,
        image_seq_length=shape.side**2,
        vision_feature_layer=-2,
        vision_feature_select_strategy="full",
    )


def _processor(shape: Shape) -> Any:
    special = ["<pad>", "<unk>", "<s>", "</s>", "<image>"]
    words = {token: i for i, token in enumerate(special)}
    words |= {f"word{i - len(words)}": i for i in range(len(words), shape.vocabulary)}
    tokens = Tokenizer(WordLevel(words, unk_token=special[1]))
    tokens.pre_tokenizer = Whitespace()
    size = {"height": shape.side * shape.patch, "width": shape.side * shape.patch}
    return LlavaProcessor(
        image_processor=SiglipImageProcessorPil(size=size),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=tokens,
            pad_token=special[0],
            unk_token=special[1],
            bos_token=special[2],
            eos_token=special[3],
            additional_special_tokens=special[4:],
        ),
        patch_size=shape.patch,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        chat_template="{% for m in messages %}<s><image> {{ m['content'][1]['text'] }} word0{% endfor %}",
    )
