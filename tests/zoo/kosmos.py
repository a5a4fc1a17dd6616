"""Tiny Kosmos-2 and Kosmos-2.5: latents that attend to the image stand where a mask puts them."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, word_tokenizer

SIDE, PATCH, PLACES = 32, 4, 16
# Kosmos-2's processor always writes as many.
LATENTS = 64
CONTROLS = (
    "</doc>",
    "<image>",
    "</image>",
    "</chunk>",
    "</line>",
    "<phrase>",
    "</phrase>",
    "<object>",
    "</object>",
    "</delimiter_of_multi_objects/>",
    "<grounding>",
    *(f"<patch_index_{number:04d}>" for number in range(PLACES)),
)
CONTROLS_2_5 = ("</image>", "<ocr>", "<md>")
PATCHES_2_5, LATENTS_2_5 = 64, 12


def tiny_kosmos_2(seed: int = 0) -> tuple[Any, Any]:
    """Kosmos-2: 64 latents attend to a class token and eight by eight patches; no chat template.

    The processor puts the image before the prompt, which must not mark it. The tokens of the image have
    different ids, which mean nothing: image_embeds_position_mask tells where they are.

    >>> tiny_kosmos_2()[0].config.latent_query_num
    64
    """
    text = hf.Kosmos2TextConfig(**_text(*CONTROLS), tie_word_embeddings=False)
    vision = hf.Kosmos2VisionConfig(**shape(), image_size=SIDE, patch_size=PATCH)
    config = hf.Kosmos2Config(
        text_config=text.to_dict(),
        vision_config=vision.to_dict(),
        latent_query_num=LATENTS,
        tie_word_embeddings=False,
    )
    model = _speaking(random_model(lambda: hf.Kosmos2ForConditionalGeneration(config), seed, *CONTROLS))
    pixels = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    return model, hf.Kosmos2Processor(pixels, word_tokenizer(*CONTROLS), num_patch_index_tokens=PLACES)


def tiny_kosmos_2_5(seed: int = 0) -> tuple[Any, Any]:
    """Kosmos-2.5: twelve latents attend to at most 64 patches of an image of any shape; no chat template.

    The pixels are handed over as flattened_patches, each with its row and its column in front.

    >>> tiny_kosmos_2_5()[1].num_image_tokens
    12
    """
    from transformers.models.kosmos2_5.image_processing_pil_kosmos2_5 import Kosmos2_5ImageProcessorPil

    text = hf.Kosmos2_5TextConfig(**_text(*CONTROLS_2_5), tie_word_embeddings=False)
    vision = hf.Kosmos2_5VisionConfig(
        **shape(), head_dim=8, patch_embed_hidden_size=PATCH * PATCH * 3, max_num_patches=PATCHES_2_5
    )
    config = hf.Kosmos2_5Config(
        text_config=text.to_dict(),
        vision_config=vision.to_dict(),
        latent_query_num=LATENTS_2_5,
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.Kosmos2_5ForConditionalGeneration(config), seed, *CONTROLS_2_5)
    words = word_tokenizer(
        *CONTROLS_2_5,
        image_token="<s>",  # noqa: S106
        boi_token="<image>",  # noqa: S106
        eoi_token="</image>",  # noqa: S106
    )
    square: Any = {"height": PATCH, "width": PATCH}
    pixels = Kosmos2_5ImageProcessorPil(patch_size=square, max_patches=PATCHES_2_5)
    return _speaking(model), _small(hf.Kosmos2_5Processor)(pixels, words, num_image_tokens=LATENTS_2_5)


def _small(processor: Any) -> Any:
    """The class with a smaller number of patches, where it asks its image processor for 4096."""

    def merge(self: Any, *given: Any, **named: Any) -> Any:
        merged = processor._merge_kwargs(self, *given, **named)
        merged["images_kwargs"]["max_patches"] = PATCHES_2_5
        return merged

    return type(processor.__name__, (processor,), {"_merge_kwargs": merge})


def _speaking(model: Any) -> Any:
    """It is the text model's settings that Kosmos generates by."""
    model.text_model.generation_config = model.generation_config
    return model


def _text(*controls: str) -> dict[str, Any]:
    decoder = text_config(*controls)
    kept = ("vocab_size", "max_position_embeddings", "bos_token_id", "eos_token_id", "pad_token_id")
    named = {name: decoder[name] for name in kept}
    return {**named, "embed_dim": 32, "layers": 2, "ffn_dim": 48, "attention_heads": 4}
