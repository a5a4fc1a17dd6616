"""A tiny BLIP: a captioner whose text attends across to the patches of a square tower."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.framing import framed

SIDE, PATCH = 32, 4
CONTROLS = ("[CLS]", "[SEP]", "[DEC]")


def tiny_blip(seed: int = 0) -> tuple[Any, Any]:
    """BLIP: no image tokens, and no chat template; the prompt is the start of a caption.

    Its processor frames the prompt by [CLS] and [SEP]. `generate` puts [DEC] in place of the first and
    drops the last; the model's own `forward` does neither.

    >>> len(tiny_blip()[1].tokenizer("there is").input_ids)
    4
    """
    ids, decoder = vocabulary(*CONTROLS), text_config(*CONTROLS)
    del decoder["num_key_value_heads"]
    named = {"bos_token_id": ids["[DEC]"], "sep_token_id": ids["</s>"]}
    text = hf.BlipTextConfig(**{**decoder, **named}, encoder_hidden_size=16, tie_word_embeddings=False)
    vision = hf.BlipVisionConfig(**shape(), image_size=SIDE, patch_size=PATCH)
    config = hf.BlipConfig(text_config=text, vision_config=vision, tie_word_embeddings=False)
    model = random_model(lambda: _captioner(config), seed, *CONTROLS)
    # It is the decoder's settings that BLIP generates by.
    model.text_decoder.generation_config = model.generation_config
    words = framed(word_tokenizer(*CONTROLS), "[CLS]", "[SEP]")
    return model, hf.BlipProcessor(BlipImageProcessorPil(size={"height": SIDE, "width": SIDE}), words)


def _captioner(config: Any) -> Any:
    model: Any = hf.BlipForConditionalGeneration(config)
    # BLIP itself does not tell where its output embeddings are.
    model.get_output_embeddings = model.text_decoder.get_output_embeddings
    return model
