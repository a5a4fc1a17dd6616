"""A tiny UDOP: patches and words in one encoder, and a decoder."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.layoutlmv3.image_processing_pil_layoutlmv3 import LayoutLMv3ImageProcessorPil

from groundviz.testing.families.words import random_model
from groundviz.testing.tiny.llava import VOCABULARY

SIDE, PATCH = 32, 4


def tiny_udop(seed: int = 0) -> tuple[Any, Any]:
    """UDOP has no chat template: the question is followed by the words that were read in the image.

    A patch that a word stands on is added to the word, and has no token of its own. The words of the question
    have no box and take the first patch; boxes in the tokenizer's thousandths mostly take the last ones.

    >>> tiny_udop()[0].config.patch_size
    4
    """
    start: dict[str, Any] = {"decoder_start_token_id": VOCABULARY["<pad>"]}
    config = hf.UdopConfig(
        vocab_size=len(VOCABULARY),
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        image_size=SIDE,
        patch_size=PATCH,
        max_2d_position_embeddings=64,
        pad_token_id=VOCABULARY["<pad>"],
        eos_token_id=VOCABULARY["</s>"],
        **start,
    )
    model = random_model(lambda: hf.UdopForConditionalGeneration(config), seed)
    words = hf.UdopTokenizer(vocab=[(token, 0.0) for token in _pieces()])
    return model, hf.UdopProcessor(_Read(size={"height": SIDE, "width": SIDE}), words)


def _pieces() -> list[str]:
    """The words as sentencepiece writes them, at their own places in the vocabulary."""
    return [token if token.startswith("<") and len(token) > 1 else f"▁{token}" for token in VOCABULARY]


class _Read(LayoutLMv3ImageProcessorPil):
    """Finds two words in the corner of every image; the class asks Tesseract, another program."""

    def _preprocess(self, *given: Any, **settings: Any) -> Any:
        data = super()._preprocess(*given, **{**settings, "apply_ocr": False})
        count = len(data["pixel_values"])
        data["words"] = [["left", "lung"]] * count
        data["boxes"] = [[[0, 0, 100, 100], [130, 0, 240, 100]]] * count
        return data
