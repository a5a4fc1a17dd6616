"""Where the question goes if the decoder is not what reads the image: to the encoder, or ahead of the answer.

::

    one decoder            prompt with image ──> answer
    prompt in the encoder  prompt with image ──> encoder;  start ──> answer
    image alone in it               image ──> encoder;  start, question ──> answer
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from groundviz.errors import UnsupportedModel
from groundviz.runtime.passes.forward import PROMPT, REFRAMING, START

# What a processor returns for training alone.
_LABELS = "labels"
_MASKS = {PROMPT: "attention_mask", START: "decoder_attention_mask"}
# Encoders whose decoder starts with the task that the prompt names: `generate` puts nothing ahead of it.
_TASKS_FIRST = frozenset({"donut-swin"})


def for_forward(model: Any, made: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The keyword tensors of a model's forward: of an encoder-decoder with the start of its decoder.

    Args:
        model: The transformers module.
        made: What its processor made of images and text.

    Raises:
        UnsupportedModel: The model takes no question.
    """
    inputs = {name: tensor for name, tensor in made.items() if name != _LABELS}
    if getattr(model.config, "is_encoder_decoder", False):
        _start(model, inputs)
    elif getattr(model.config, "model_type", None) in REFRAMING and PROMPT in inputs:
        _reframe(model, inputs)
    if PROMPT not in inputs and START not in inputs:
        raise UnsupportedModel(
            f"{type(model).__name__} ignores the question: its processor makes no tokens of it, and the "
            "answer depends on the image alone. Expected a model that reads a prompt: take another one."
        )
    return inputs


def _start(model: Any, inputs: dict[str, Tensor]) -> None:
    """Put the start of the decoder into the inputs of an encoder-decoder."""
    if PROMPT in inputs and PROMPT not in inspect.signature(model.forward).parameters:
        # Its encoder reads the image alone.
        for name in (PROMPT, _MASKS[PROMPT]):
            if name in inputs:
                inputs[f"decoder_{name}"] = inputs.pop(name)
    if START not in inputs and PROMPT not in inputs:
        return
    given = inputs.get(START, torch.empty(1, 0, dtype=torch.long))
    encoder = getattr(getattr(model.config, "encoder", None), "model_type", None)
    first = _first_token(model)
    if encoder in _TASKS_FIRST or given[:, :1].eq(first).any():
        return
    inputs[START] = torch.cat([torch.tensor([[first]], dtype=given.dtype), given], dim=1)
    mask = inputs.get(_MASKS[START])
    if mask is not None:
        inputs[_MASKS[START]] = torch.cat([torch.ones_like(mask[:, :1]), mask], dim=1)


def _reframe(model: Any, inputs: dict[str, Tensor]) -> None:
    """Frame the prompt as the model's `generate` does."""
    start = torch.tensor([[model.config.get_text_config().bos_token_id]], dtype=inputs[PROMPT].dtype)
    inputs[PROMPT] = torch.cat([start, inputs[PROMPT][:, 1:-1]], dim=1)
    if _MASKS[PROMPT] in inputs:
        inputs[_MASKS[PROMPT]] = inputs[_MASKS[PROMPT]][:, :-1]


def _first_token(model: Any) -> int:
    """The token that `generate` has the decoder start with."""
    for name in ("decoder_start_token_id", "bos_token_id"):
        first = getattr(model.generation_config, name, None)
        if first is not None:
            return int(first)
    raise UnsupportedModel(
        f"The decoder of {type(model).__name__} starts with no token: expected one in "
        "generation_config.decoder_start_token_id. Set that of the checkpoint."
    )
