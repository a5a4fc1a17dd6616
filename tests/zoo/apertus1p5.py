"""A tiny Apertus 1.5: an image becomes entries of a codebook, which are words of the vocabulary."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.torchvision_stand_in import processing

CODES, SOUNDS, FACTOR = 64, 16, 8
NAMED = {
    "image_token": "<|image|>",
    "audio_token": "<|audio|>",
    "boi_token": "<|img_start|>",
    "eoi_token": "<|img_end|>",
    "image_wrapper_token": "<|img_token_start|>",
    "eol_token": "<|img_end_of_row|>",
    "boa_token": "<|audio_start|>",
    "eoa_token": "<|audio_end|>",
}
CONTROLS = ("<|user_start|>", "<|user_end|>", "<|assistant_start|>", "<|assistant_end|>", *NAMED.values())
TEMPLATE = (
    "<s>{% for message in messages %}<|user_start|>"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|image|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|user_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant_start|>{% endif %}"
)


def tiny_apertus1p5(seed: int = 0) -> tuple[Any, Any]:
    """Apertus 1.5: there is no gradient through the codes, and a token between the rows of an image.

    >>> tiny_apertus1p5()[0].config.vision_config.spatial_scale_factor
    8
    """
    ids = vocabulary(*CONTROLS)
    shape = text_config(*CONTROLS)
    known = shape["vocab_size"]
    turning = {
        "rope_type": "llama3",
        "rope_theta": 10_000.0,
        "factor": 8.0,
        "original_max_position_embeddings": 512,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
    }
    config = hf.Apertus1p5Config(
        text_config={
            **shape,
            "vocab_size": known + CODES + SOUNDS,
            "output_vocab_size": known,
            "rope_parameters": turning,
        },
        # The norms of the tower have 32 groups, so that it cannot be any narrower.
        vision_config={
            "codebook_size": CODES,
            "embed_dim": 16,
            "latent_channels": 16,
            "base_channels": 32,
            "channel_multiplier": [1, 1, 1, 1],
            "num_res_blocks": 1,
            "attn_resolutions": [8],
            "resolution": 64,
        },
        audio_config={
            "num_filters": 4,
            "upsampling_ratios": [2, 2],
            "num_lstm_layers": 1,
            "hidden_size": 16,
            "codebook_dim": 16,
            "codebook_size": SOUNDS,
        },
        image_token_id=ids["<|image|>"],
        audio_token_id=ids["<|audio|>"],
        image_token_offset=known,
        audio_token_offset=known + CODES,
    )
    model = random_model(lambda: hf.Apertus1p5ForConditionalGeneration(config), seed, *CONTROLS)
    pixels = processing("apertus1p5.image_processing_apertus1p5").Apertus1p5ImageProcessor(
        spatial_factor=FACTOR, size={"min_pixels": 32 * 32, "max_pixels": 64 * 64}
    )
    processor = hf.Apertus1p5Processor(
        image_processor=pixels,
        feature_extractor=hf.WavTokenizerFeatureExtractor(hop_length=4),
        tokenizer=word_tokenizer(*CONTROLS, **NAMED),
        chat_template=TEMPLATE,
    )
    return model, processor
