"""A tiny InstructBLIP for films, which is shown a still image as a film of four equal frames."""

from __future__ import annotations

from typing import Any

import torch
import transformers as hf
from transformers.feature_extraction_utils import BatchFeature
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.instructblipvideo.processing_instructblipvideo import InstructBlipVideoProcessor

from groundviz.models.loading.still_images import NoFilms
from groundviz.testing.families.blip2 import FRAMING, QUERIES, SIDE, queries, tower
from groundviz.testing.families.still import for_stills
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

FRAMES = 4


def tiny_instructblipvideo(seed: int = 0) -> tuple[Any, Any]:
    """InstructBLIP for films: six tokens for each of four frames; its processor has no chat template.

    The class writes tokens for four frames whatever it is given, and so takes a film of four alone.

    >>> tiny_instructblipvideo()[1].num_query_tokens
    6
    """
    config = hf.InstructBlipVideoConfig(
        vision_config=hf.InstructBlipVideoVisionConfig(**tower()).to_dict(),
        qformer_config=hf.InstructBlipVideoQFormerConfig(**queries()).to_dict(),
        text_config=hf.LlamaConfig(**text_config("<video>")).to_dict(),
        num_query_tokens=QUERIES,
        video_token_index=vocabulary("<video>")["<video>"],
    )
    model = random_model(lambda: hf.InstructBlipVideoForConditionalGeneration(config), seed, "<video>")
    # It is the language model's settings that BLIP generates by.
    model.language_model.generation_config = model.generation_config
    words, own = word_tokenizer("<video>"), word_tokenizer(*FRAMING)
    return model, for_stills(InstructBlipVideoProcessor)(_Film(), words, own, num_query_tokens=QUERIES)


class _Film(NoFilms):
    """Resizes and scales frames as the class does that needs torchvision."""

    model_input_names = ("pixel_values",)

    def __call__(self, images: Any, **settings: Any) -> BatchFeature:
        shown = images if isinstance(images, list) else [images]
        pixels = BlipImageProcessorPil(size={"height": SIDE, "width": SIDE})(shown, return_tensors="pt")
        films = pixels["pixel_values"][:, None].expand(-1, FRAMES, -1, -1, -1)
        return BatchFeature({"pixel_values": films.to(torch.float32).contiguous()})
