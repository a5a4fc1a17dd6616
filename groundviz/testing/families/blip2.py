"""Tiny BLIP-2 and InstructBLIP: six queries summarise eight by eight patches in a Q-Former."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.blip_2.processing_blip_2 import Blip2Processor
from transformers.models.instructblip.processing_instructblip import InstructBlipProcessor

from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

SIDE, PATCH, QUERIES = 32, 4, 6
FRAMING = ("[CLS]", "[SEP]")


def tiny_blip2(seed: int = 0) -> tuple[Any, Any]:
    """BLIP-2 with an OPT; its Q-Former attends to the image in every second layer.

    >>> tiny_blip2()[1].num_query_tokens
    6
    """
    decoder = text_config()
    text = hf.OPTConfig(
        vocab_size=decoder["vocab_size"],
        hidden_size=decoder["hidden_size"],
        ffn_dim=decoder["intermediate_size"],
        num_hidden_layers=decoder["num_hidden_layers"],
        num_attention_heads=decoder["num_attention_heads"],
        max_position_embeddings=decoder["max_position_embeddings"],
        word_embed_proj_dim=decoder["hidden_size"],
        bos_token_id=decoder["bos_token_id"],
        eos_token_id=decoder["eos_token_id"],
        pad_token_id=decoder["pad_token_id"],
    )
    config = hf.Blip2Config(
        vision_config=hf.Blip2VisionConfig(**tower()).to_dict(),
        qformer_config=hf.Blip2QFormerConfig(**queries()).to_dict(),
        text_config=text.to_dict(),
        num_query_tokens=QUERIES,
        image_token_index=vocabulary()["<image>"],
    )
    model = _speaking(random_model(lambda: hf.Blip2ForConditionalGeneration(config), seed))
    return model, Blip2Processor(_pixels(), word_tokenizer(), num_query_tokens=QUERIES)


def tiny_instructblip(seed: int = 0) -> tuple[Any, Any]:
    """InstructBLIP with a Llama; its Q-Former reads the question too, in tokens of its own.

    >>> tiny_instructblip()[1].qformer_tokenizer.tokenize("[CLS] is there")
    ['[CLS]', 'is', 'there']
    """
    config = hf.InstructBlipConfig(
        vision_config=hf.InstructBlipVisionConfig(**tower()).to_dict(),
        qformer_config=hf.InstructBlipQFormerConfig(**queries()).to_dict(),
        text_config=hf.LlamaConfig(**text_config()).to_dict(),
        num_query_tokens=QUERIES,
        image_token_index=vocabulary()["<image>"],
    )
    model = _speaking(random_model(lambda: hf.InstructBlipForConditionalGeneration(config), seed))
    own = word_tokenizer(*FRAMING)
    return model, InstructBlipProcessor(_pixels(), word_tokenizer(), own, num_query_tokens=QUERIES)


def _speaking(model: Any) -> Any:
    """It is the language model's settings that BLIP generates by."""
    model.language_model.generation_config = model.generation_config
    return model


def _pixels() -> Any:
    return BlipImageProcessorPil(size={"height": SIDE, "width": SIDE})


def tower() -> dict[str, Any]:
    """The shape of a tower of two layers.

    >>> tower()["patch_size"]
    4
    """
    return {**shape(), "image_size": SIDE, "patch_size": PATCH}


def queries() -> dict[str, Any]:
    """The shape of a Q-Former that reads the image in every second layer.

    >>> queries()["cross_attention_frequency"]
    2
    """
    return {
        **shape(),
        "vocab_size": len(vocabulary(*FRAMING)),
        "cross_attention_frequency": 2,
        "encoder_hidden_size": 16,
    }
