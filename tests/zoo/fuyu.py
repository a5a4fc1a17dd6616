"""A tiny Fuyu: no tower, the pixels of a patch are projected straight into the decoder."""

from __future__ import annotations

from typing import Any

import torch
import transformers as hf
from transformers.models.fuyu.image_processing_pil_fuyu import FuyuImageProcessorPil

from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

PATCH, SIDE = 8, 64
CONTROLS = ("|SPEAKER|", "|NEWLINE|", "<0x00>", "<0x01>", "<0x02>", "<0x03>", "<0x04>")


def tiny_fuyu(seed: int = 0) -> tuple[Any, Any]:
    """Fuyu has no chat template: its processor puts the image before the text, with a token after each row.

    An image that is larger than 64 by 64 pixels is shrunk to fit, a smaller one keeps its size.

    >>> tiny_fuyu()[1].image_token
    '|SPEAKER|'
    """
    shape = text_config(*CONTROLS)
    del shape["num_key_value_heads"]
    config = hf.FuyuConfig(
        text_config={"model_type": "persimmon", **shape, "hidden_act": "relu2", "qk_layernorm": True},
        patch_size=PATCH,
        image_token_id=vocabulary(*CONTROLS)["|SPEAKER|"],
    )
    model = random_model(lambda: hf.FuyuForCausalLM(config), seed, *CONTROLS)
    size: dict[str, Any] = {"height": SIDE, "width": SIDE}
    patch: dict[str, Any] = {"patch_size": {"height": PATCH, "width": PATCH}}
    return model, hf.FuyuProcessor(_Patches(size=size, **patch), _underscored(word_tokenizer(*CONTROLS)))


class _Patches(FuyuImageProcessorPil):
    """The processor hands over tensors, and this image processor cuts arrays alone."""

    def patchify_image(self, image: Any, patch_size: Any = None) -> Any:
        return torch.from_numpy(super().patchify_image(image.numpy(), patch_size=patch_size))


class _Underscored(hf.PreTrainedTokenizerFast):
    """The published tokenizer begins an image with an underscore, which the processor cuts off."""

    def __call__(self, text: Any, **named: Any) -> Any:
        return super().__call__("_ " * text.startswith(CONTROLS[0]) + text, **named)


def _underscored(words: Any) -> Any:
    kind: Any = _Underscored
    named = {name: getattr(words, name) for name in ("pad_token", "unk_token", "bos_token", "eos_token")}
    return kind(tokenizer_object=words.backend_tokenizer, **named)
