"""Attention from the answer to the image: gradients of attention weights, and rollout of a resampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from groundviz.runtime.attention.rollout import Rollout
from groundviz.runtime.attention.row_gradients import OwnRowAttention
from groundviz.runtime.attention.tap import tapped
from groundviz.runtime.passes.forward import Passes, is_per_token, last_logits, log_probabilities
from groundviz.runtime.passes.kv_cache import on_cache, prompt_cache

# Inputs that a pass over the answer alone, on the prompt's cache, can do without.
TEXT = {"input_ids", "attention_mask"}


def own_row_gradients(passes: Passes, token_ids: Sequence[int], cache: Any) -> tuple[Tensor, Tensor]:
    """Attention to the image, and the gradient of each token's log-probability with respect to it.

    Args:
        passes: The borrowed model with its prompt.
        token_ids: Of the answer, which is teacher-forced.
        cache: The prompt's KV cache, if there is one: then only the answer's tokens run.

    Returns:
        Two float32 (token, layer, head, column): attention weights, and nats per unit of weight.
    """
    parts = passes.parts
    numbers = {module: number for number, module in enumerate(parts.decoder_attention)}
    prompt = passes.inputs["input_ids"][0]
    answer = torch.tensor(list(token_ids), dtype=prompt.dtype, device=prompt.device)
    ids, count = torch.cat([prompt, answer]), len(token_ids)

    def watch() -> OwnRowAttention:
        return OwnRowAttention(
            columns=passes.columns,
            # Without the answer's last token, which predicts no other one.
            length=len(ids) - 1,
            count=count,
            kept=[numbers[module] for module in parts.attending],
            cross=[numbers[module] for module in parts.cross_attention],
        )

    if parts.continues:
        handler = watch()
        with torch.enable_grad(), tapped(numbers, handler):
            logits = _on_prompt_cache(passes, ids, count, cache)
            if logits is not None:
                return handler.gradients(log_probabilities(logits, ids[-count:]))
    handler = watch()
    with torch.enable_grad(), tapped(numbers, handler):
        logits = last_logits(passes.model, passes.teacher_forced_inputs(token_ids[:-1]), count)[0]
        return handler.gradients(log_probabilities(logits, ids[-count:]))


def resampler_rollout(passes: Passes) -> Tensor | None:
    """Attention rollout through a resampler, from image tokens to cells: float32 (image token, cell).

    None where the model has no resampler, so that each image token is a cell. Costs one forward pass.
    """
    resampler = passes.parts.resampler
    if not resampler:
        return None
    numbers, flows = {}, {}
    for number, (module, flow) in enumerate(resampler):
        numbers[module], flows[number] = number, flow
    handler = Rollout(flows)
    with torch.no_grad(), tapped(numbers, handler):
        last_logits(passes.model, passes.inputs, 1)
    each_token = torch.eye(len(passes.columns), device=passes.columns.device)
    return handler.of({"latents": each_token})["image"][:, passes.index["projector"]]


def bounds_logits(passes: Passes) -> bool:
    """Whether the model applies the logit soft cap of its config; some releases and wrappers do not.

    Costs one forward pass.
    """
    # What the output head puts out is not bounded yet.
    seen: list[Tensor] = []
    handle = passes.loan.hook(passes.parts.output_head, lambda module, args, output: seen.append(output))
    try:
        with torch.no_grad():
            logits = last_logits(passes.model, passes.inputs, 1)
    finally:
        handle.remove()
    return not torch.allclose(logits.float(), seen[-1][:, -1:].float())


def _on_prompt_cache(passes: Passes, ids: Tensor, count: int, cache: Any) -> Tensor | None:
    """Logits (token, vocabulary) of an answer read on the prompt's KV cache; None where that is impossible.

    Args:
        passes: The borrowed model with its prompt.
        ids: Of prompt and answer.
        count: How many of them are the answer's.
        cache: As the pass that answered left it.
    """
    if passes.parts.cross_attention:
        return None
    for name, tensor in passes.inputs.items():
        # The cache does not say how such inputs go on.
        if is_per_token(tensor, passes.inputs) and name not in TEXT:
            return None
    start = len(ids) - count - 1
    prefix = prompt_cache(cache, start)
    options = on_cache(passes.model, prefix)
    if prefix is None or options is None:
        return None
    output = passes.model(
        input_ids=ids[None, start:-1],
        attention_mask=torch.ones_like(ids[None, :-1]),
        use_cache=True,
        **options,
    )
    logits: Tensor = output.logits[0]
    return logits
