"""A tiny Step 3.7: crops of the image, then the whole; two convolutions make the image tokens of a view."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.templates import chatml
from tests.zoo.torchvision_stand_in import processing

WHOLE, CROP, PATCH = 48, 32, 2
CONTROLS = (
    "<|im_start|>",
    "<|im_end|>",
    "<im_patch>",
    "<im_start>",
    "<im_end>",
    "<patch_start>",
    "<patch_end>",
    "<patch_newline>",
)


def tiny_step3p7(seed: int = 0) -> tuple[Any, Any]:
    """Step 3.7: 4 by 4 image tokens for a crop, and 6 by 6 for the whole, which comes last.

    The crops are `pixel_values_local`, the whole is `pixel_values`; an image no longer than 48 pixels is
    cropped only if it is long and narrow.

    >>> tiny_step3p7()[1].num_patch_feature_size
    16
    """
    text = {
        **text_config(*CONTROLS),
        "head_dim": 8,
        "layer_types": ["sliding_attention", "full_attention"],
        "mlp_layer_types": ["dense", "sparse"],
        "sliding_window": 64,
        "num_sliding_attention_heads": 8,
        "moe_intermediate_size": 16,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "share_expert_dim": 16,
    }
    config = hf.Step3p7Config(
        text_config=text,
        vision_config={
            **shape(),
            "mlp_ratio": 1.5,
            "image_size": WHOLE,
            "patch_size": PATCH,
            "max_position_embeddings": (WHOLE // PATCH) ** 2,
        },
        image_token_id=vocabulary(*CONTROLS)["<im_patch>"],
    )
    model = random_model(lambda: hf.Step3p7ForConditionalGeneration(config), seed, *CONTROLS)
    pixels = processing("step3p7.image_processing_step3p7").Step3p7ImageProcessor(
        size={"height": WHOLE, "width": WHOLE}, patch_size=CROP, vision_patch_size=PATCH
    )
    template = chatml("<im_patch>", first="{{ bos_token }}")
    return model, hf.Step3p7Processor(pixels, word_tokenizer(*CONTROLS), chat_template=template)
