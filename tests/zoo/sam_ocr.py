"""Tiny readers of documents whose tower is SAM's: GOT-OCR2, PP-Chart2Table, DeepSeek-OCR 2, Unlimited-OCR."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.sizes import square
from tests.zoo.kit.templates import turns
from tests.zoo.torchvision_stand_in import processing

GOT = ("<|im_start|>", "<|im_end|>", "<img>", "</img>", "<imgpad>")
GOT_SIDE, GOT_PATCH, GOT_TOKENS = 64, 4, 16
PLAIN = turns("<image>\n", "", "", "")


def tiny_got_ocr2(seed: int = 0) -> tuple[Any, Any]:
    """GOT-OCR2: the image becomes a square of 4 by 4 image tokens.

    It has no chat template, as it has none where it is published; its processor writes a prompt itself
    when it is given none. Its image token is <imgpad>. It cuts no tiles unless asked.

    >>> tiny_got_ocr2()[1].image_token
    '<imgpad>'
    """
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    config = hf.GotOcr2Config(
        vision_config=_sam(GOT_SIDE, GOT_PATCH),
        text_config=hf.Qwen2Config(**text_config(*GOT)),
        image_token_index=vocabulary(*GOT)["<imgpad>"],
        image_seq_length=GOT_TOKENS,
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.GotOcr2ForConditionalGeneration(config), seed, *GOT)
    pixels = GotOcr2ImageProcessorPil(size=square(GOT_SIDE))
    processor: Any = hf.GotOcr2Processor(pixels, word_tokenizer(*GOT))
    # It takes the number from here, and has no argument for it.
    processor.num_image_tokens = GOT_TOKENS
    return model, processor


def tiny_pp_chart2table(seed: int = 0) -> tuple[Any, Any]:
    """PP-Chart2Table: GOT-OCR2, with a processor that leaves the image tokens to the chat template.

    So the template writes <imgpad> sixteen times for an image, and a prompt must, too.

    >>> tiny_pp_chart2table()[1].chat_template.count("<imgpad>")
    16
    """
    from transformers.models.pp_chart2table.image_processing_pil_pp_chart2table import (
        PPChart2TableImageProcessorPil,
    )

    config: Any = hf.PPChart2TableConfig(
        vision_config=_sam(GOT_SIDE, GOT_PATCH),
        text_config=hf.Qwen2Config(**text_config(*GOT)),
        image_token_index=vocabulary(*GOT)["<imgpad>"],
        image_seq_length=GOT_TOKENS,
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.GotOcr2ForConditionalGeneration(config), seed, *GOT)
    template = turns(
        "<img>" + "<imgpad>" * GOT_TOKENS + "</img>\n",
        "<|im_start|>{{ message['role'] }}\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
    )
    pixels = PPChart2TableImageProcessorPil(size=square(GOT_SIDE))
    return model, hf.PPChart2TableProcessor(pixels, word_tokenizer(*GOT), chat_template=template)


def tiny_deepseek_ocr2(seed: int = 0) -> tuple[Any, Any]:
    """DeepSeek-OCR 2: image tokens are learned queries that read all of a tile, one after the other.

    Two tiles of 144 queries each come first, in pixel_values_local; then the whole image, of 256;
    then a separator. The numbers of queries are written in the model's code.

    >>> tiny_deepseek_ocr2()[0].model.vision_tower.query_768_resolution.num_embeddings
    144
    """
    from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import (
        DeepseekOcr2ImageProcessorPil,
    )

    tile, whole, patch = 48, 64, 1
    encoder = {**shape(), "num_key_value_heads": 2, "vocab_size": 8}
    config = hf.DeepseekOcr2Config(
        vision_config={"sam_config": _shrinking_sam(whole, patch), "encoder_config": encoder},
        text_config=_experts(),
        image_token_id=vocabulary()["<image>"],
    )
    model = random_model(lambda: hf.DeepseekOcr2ForConditionalGeneration(config), seed)
    pixels = DeepseekOcr2ImageProcessorPil(size=square(whole), tile_size=tile)
    processor: Any = hf.DeepseekOcr2Processor(pixels, word_tokenizer(), patch_size=patch, chat_template=PLAIN)
    # The processor's own numbers win over the image processor's; six tiles would be too many tokens.
    processor.images_kwargs = {**processor.images_kwargs, "max_patches": 2}
    return model, processor


def tiny_unlimited_ocr(seed: int = 0) -> tuple[Any, Any]:
    """Unlimited-OCR: two to six tiles of 4 by 4 image tokens in pixel_values_local, then the whole image.

    The whole image is 6 by 6 image tokens. A newline stands behind each row of the tiles together,
    and of the whole image. The answer attends to the prompt and its own last words.

    >>> tiny_unlimited_ocr()[0].config.text_config.layer_types
    ['reference_sliding_attention', 'reference_sliding_attention']
    """
    tile, whole, patch = 32, 48, 2
    encoder = {**shape(), "image_size": whole // 4, "patch_size": patch}
    config = hf.UnlimitedOcrConfig(
        vision_config={"sam_config": _shrinking_sam(whole, patch), "encoder_config": encoder},
        text_config={**_experts(), "sliding_window": 64},
        image_token_id=vocabulary()["<image>"],
    )
    model = random_model(lambda: hf.UnlimitedOcrForConditionalGeneration(config), seed)
    module = processing("unlimited_ocr.image_processing_unlimited_ocr")
    pixels = module.UnlimitedOcrImageProcessor(size=square(whole), tile_size=tile, max_patches=6)
    processor = hf.UnlimitedOcrProcessor(pixels, word_tokenizer(), patch_size=patch, chat_template=PLAIN)
    return model, processor


def _sam(side: int, patch: int) -> dict[str, Any]:
    """SAM's tower: the first layer attends within windows, the second to everything."""
    return {
        "hidden_size": 16,
        "output_channels": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": side,
        "patch_size": patch,
        "window_size": 4,
        "global_attn_indexes": [1],
        "mlp_dim": 24,
    }


def _shrinking_sam(side: int, patch: int) -> dict[str, Any]:
    """SAM's tower with a neck that makes one cell of four by four."""
    return {**_sam(side, patch), "downsample_channels": [16, 16]}


def _experts() -> dict[str, Any]:
    """A decoder whose second layer asks two of four experts."""
    return {
        **text_config(),
        "mlp_layer_types": ["dense", "sparse"],
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
    }
