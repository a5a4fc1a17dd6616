"""A tiny Idefics: gated layers attend across to the image; the processor writes its tokens."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.words import random_model, text_config, word_tokenizer

SIDE, PATCH, LATENTS = 32, 4, 6
# As published, these tokens are the last of the vocabulary, and have embeddings of their own.
CONTROLS = ("<fake_token_around_image>", "<image_of_idefics>")


def tiny_idefics(seed: int = 0, *, resampler: bool = True) -> tuple[Any, Any]:
    """Idefics: six latents attend to eight by eight patches and a class token; no chat template.

    The processor puts the image's tokens where the image stands among the prompt's parts: before the
    text, if image and text are handed over apart. The image may also stand in a list of parts.

    Args:
        seed: Of the weights.
        resampler: Whether there are latents. Without them, the text attends to the patches.

    >>> tiny_idefics()[0].config.cross_layer_interval
    2
    """
    from transformers.models.idefics.image_processing_pil_idefics import IdeficsImageProcessorPil

    decoder = text_config(*CONTROLS)
    del decoder["num_key_value_heads"]
    config = hf.IdeficsConfig(
        **decoder,
        cross_layer_interval=2,
        use_resampler=resampler,
        vision_config={
            "embed_dim": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": SIDE,
            "patch_size": PATCH,
        },
        perceiver_config={
            "use_resampler": resampler,
            "resampler_n_latents": LATENTS,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 8,
        },
    )
    model = random_model(lambda: hf.IdeficsForVisionText2Text(config), seed, *CONTROLS)
    pixels = IdeficsImageProcessorPil(image_size=SIDE)
    return model, hf.IdeficsProcessor(pixels, word_tokenizer(*CONTROLS), image_size=SIDE)
