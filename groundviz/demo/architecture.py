"""The demo model before training: a native LLaVA of two million weights, its tokenizer and processor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import (
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
)
from transformers.models.llava.processing_llava import LlavaProcessor
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from groundviz.demo.phantoms import SIZE
from groundviz.demo.questions import words
from groundviz.record.types import Bools, Floats

PATCH = 8
CELLS = SIZE // PATCH
WIDTH = 128
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>", "<image>")
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] }} : "
    "{% if message['content'] is string %}{{ message['content'] }} "
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}"
    "{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}assistant :{% endif %}"
)


def build_model(seed: int = 0, *, layers: int = 4) -> LlavaForConditionalGeneration:
    """The untrained model, float32, with weights drawn from `seed`."""
    vocabulary = _vocabulary()
    config = LlavaConfig(
        vision_config=_vision_config(layers),
        text_config=_text_config(layers, vocabulary),
        image_token_index=vocabulary["<image>"],
        image_seq_length=CELLS * CELLS,
        vision_feature_layer=-2,
        vision_feature_select_strategy="full",
    )
    # The caller's random state stays as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
    with torch.no_grad():
        vision_part(model).embeddings.position_embedding.weight.copy_(_positions(CELLS, WIDTH) * 0.25)
    model.generation_config.update(
        bos_token_id=vocabulary["<s>"], eos_token_id=vocabulary["</s>"], pad_token_id=vocabulary["<pad>"]
    )
    model.generation_config.max_new_tokens = 48
    return model


def build_processor() -> LlavaProcessor:
    """The processor of the model: word tokenizer, chat template, and a resize to 112 by 112."""
    side = {"height": SIZE, "width": SIZE}
    return LlavaProcessor(
        image_processor=SiglipImageProcessorPil(size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3),
        tokenizer=_tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        chat_template=CHAT_TEMPLATE,
    )


def cell_shares(mask: Bools) -> Floats:
    """The share of each cell that a mask of a SIZE by SIZE image covers, float32 (CELLS, CELLS)."""
    return np.asarray(mask.reshape(CELLS, PATCH, CELLS, PATCH).mean((1, 3)), dtype=np.float32)


def vision_part(model: LlavaForConditionalGeneration) -> Any:
    """The module that holds the vision tower's embeddings and encoder, wherever transformers keeps it."""
    tower = model.model.vision_tower
    return getattr(tower, "vision_model", tower)


def _vocabulary() -> dict[str, int]:
    return {token: index for index, token in enumerate((*SPECIAL, *words()))}


def _vision_config(layers: int) -> SiglipVisionConfig:
    # One layer more than is used: LLaVA reads the last but one.
    return SiglipVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=layers + 1,
        num_attention_heads=4,
        image_size=SIZE,
        patch_size=PATCH,
        vision_use_head=False,
    )


def _text_config(layers: int, vocabulary: dict[str, int]) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        bos_token_id=vocabulary["<s>"],
        eos_token_id=vocabulary["</s>"],
        pad_token_id=vocabulary["<pad>"],
    )


def _positions(cells: int, width: int) -> torch.Tensor:
    """Two-dimensional sine-cosine codes, (cells * cells, width), row-major."""
    quarter = width // 4
    frequency = torch.exp(-math.log(cells * 4.0) * torch.arange(quarter) / quarter)
    phase = torch.arange(cells)[:, None] * frequency[None, :] * math.pi / 2
    code = torch.cat([phase.sin(), phase.cos()], dim=1)
    by_row = code[:, None, :].expand(cells, cells, -1)
    by_col = code[None, :, :].expand(cells, cells, -1)
    return torch.cat([by_row, by_col], dim=2).reshape(cells * cells, width)


def _tokenizer() -> PreTrainedTokenizerFast:
    pad, unk, bos, eos, image = SPECIAL
    tokenizer = Tokenizer(WordLevel(_vocabulary(), unk_token=unk))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        unk_token=unk,
        bos_token=bos,
        eos_token=eos,
        additional_special_tokens=[image],
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )
