"""A model as it comes out of somebody's training script, for tests that must leave it so."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn
from transformers import LlavaForConditionalGeneration

Model = TypeVar("Model", bound=LlavaForConditionalGeneration)


def messy(model: Model) -> Model:
    """The same model with hooks, gradients, frozen and training parts and settings of its user's.

    Among them: forward hooks of every kind in a set order, some of them wrapped into the instance's
    `forward` as offloading libraries do; the vision tower in training mode with dropout, the rest
    in eval mode; every third parameter frozen, gradients on some of the others; eager attention in
    the decoder only; tied embeddings; attributes on modules, parameters and configs.

    >>> from groundviz.testing.tiny.llava import tiny_llava
    >>> model = messy(tiny_llava())
    >>> model.training, model.model.vision_tower.training
    (False, True)
    """
    decoder, vision = model.model.language_model, model.model.vision_tower
    model.set_attn_implementation({"text_config": "eager", "vision_config": "sdpa"})
    model.lm_head.weight = decoder.embed_tokens.weight
    vision.train()
    for layer in vision.encoder.layers:
        layer.self_attn.dropout = 0.5
    _add_hooks(decoder.layers[0])
    _patch_forward(decoder.layers[1].mlp)
    _set_gradients(model)
    _add_attributes(model)
    return model


def _add_hooks(layer: nn.Module) -> None:
    layer.register_forward_hook(lambda module, args, output: None)
    layer.register_forward_hook(lambda module, args, kwargs, output: None, with_kwargs=True)
    layer.register_forward_hook(lambda module, args, output: None, prepend=True, always_call=True)
    layer.register_forward_pre_hook(lambda module, args: None)
    layer.register_full_backward_hook(lambda module, before, after: None)
    layer.register_state_dict_post_hook(lambda module, state, prefix, metadata: None)


def _patch_forward(module: Any) -> None:
    module._user_forward = module.forward
    module.forward = partial(_call_user_forward, module)


def _call_user_forward(module: Any, *args: Any, **kwargs: Any) -> Any:
    return module._user_forward(*args, **kwargs)


def _set_gradients(model: nn.Module) -> None:
    for number, parameter in enumerate(model.parameters()):
        parameter.requires_grad = number % 3 > 0
        if number % 3 == 1:
            parameter.grad = torch.full_like(parameter, 0.5)
        if number % 3 == 2:
            parameter.register_hook(lambda grad: grad)


def _add_attributes(model: Any) -> None:
    model.user_history = [{"epoch": 1, "losses": [0.5, 0.25]}]
    model.user_tags = {"frozen", "draft"}
    model.config.user_notes = {"task": {"name": "report"}}
    model.lm_head.weight.user_name = "tied"
    model.register_buffer("user_buffer", torch.arange(3), persistent=False)
