"""Tiny models with a Pixtral tower: LightOnOCR and Mistral Large 4."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

from groundviz.testing.families.towers import pixtral
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.experts import latent_experts
from tests.zoo.kit.templates import chatml, turns
from tests.zoo.torchvision_stand_in import processing

LONGEST, PATCH, MERGED = 48, 4, 2
OCR_NAMED = {
    "image_token": "<|image_pad|>",
    "image_break_token": "<|vision_pad|>",
    "image_end_token": "<|vision_end|>",
}
OCR_CONTROLS = ("<|im_start|>", "<|im_end|>", *OCR_NAMED.values())
CONTROLS = ("[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]")


def tiny_lighton_ocr(seed: int = 0) -> tuple[Any, Any]:
    """LightOnOCR: image tokens of 2 by 2 patches of 4 by 4 pixels, with nothing between the rows.

    >>> tiny_lighton_ocr()[0].config.spatial_merge_size
    2
    """
    config = hf.LightOnOcrConfig(
        text_config=hf.Qwen3Config(**text_config(*OCR_CONTROLS), head_dim=8),
        vision_config=pixtral(LONGEST, PATCH),
        image_token_id=vocabulary(*OCR_CONTROLS)["<|image_pad|>"],
        spatial_merge_size=MERGED,
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.LightOnOcrForConditionalGeneration(config), seed, *OCR_CONTROLS)
    pixels = PixtralImageProcessorPil(
        size={"longest_edge": LONGEST}, patch_size={"height": PATCH * MERGED, "width": PATCH * MERGED}
    )
    processor = hf.LightOnOcrProcessor(
        pixels,
        word_tokenizer(*OCR_CONTROLS, **OCR_NAMED),
        patch_size=PATCH,
        spatial_merge_size=MERGED,
        chat_template=chatml("<|image_pad|>"),
    )
    return model, processor


def tiny_mistral_large4(seed: int = 0) -> tuple[Any, Any]:
    """Mistral Large 4: latent attention to the positions that an indexer picks, and experts.

    Its first layer turns its keys by their place and is dense, its second does not and has experts.

    >>> tiny_mistral_large4()[0].config.text_config.mlp_layer_types
    ['dense', 'sparse']
    """
    latent = latent_experts(n_group=1, topk_group=1)
    del latent["q_lora_rank"]
    text = {
        **text_config(*CONTROLS),
        **latent,
        "no_rope_layers": [1, 0],
        # It picks all positions of a short prompt, as the real one does: with fewer, which ones is random.
        "index_topk": 1024,
        "index_head_dim": 8,
        "index_n_heads": 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
    }
    config = hf.MistralLarge4Config(
        text_config=text,
        vision_config=pixtral(LONGEST, PATCH),
        image_token_index=vocabulary(*CONTROLS)["[IMG]"],
        spatial_merge_size=MERGED,
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.MistralLarge4ForConditionalGeneration(config), seed, *CONTROLS)
    pixels = PixtralImageProcessorPil(
        size={"longest_edge": LONGEST}, patch_size={"height": PATCH, "width": PATCH}
    )
    processor = processing("pixtral.processing_pixtral").PixtralProcessor(
        pixels,
        word_tokenizer(*CONTROLS),
        patch_size=PATCH,
        spatial_merge_size=MERGED,
        chat_template=turns("[IMG]", first="{{ bos_token }}", before="[INST]", after="[/INST]", asked=""),
    )
    return model, processor
