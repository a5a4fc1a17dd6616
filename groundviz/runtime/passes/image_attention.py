"""Attention from the answer to the image: gradients of attention weights, and rollout of a resampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from groundviz.runtime.attention.rollout import Rollout
from groundviz.runtime.attention.row_gradients import OwnRowAttention
from groundviz.runtime.attention.tap import tapped
from groundviz.runtime.passes.forward import START, Passes, is_per_token, last_logits, log_probabilities
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
    handler = OwnRowAttention(
        columns=passes.columns,
        # Without the answer's last token, which predicts no other one.
        length=len(ids) - 1,
        count=count,
        kept=[numbers[module] for module in parts.attending],
        cross=[numbers[module] for module in parts.cross_attention],
    )
    with torch.enable_grad(), tapped(numbers, handler):
        logits = _on_prompt_cache(passes, ids, count, cache)
        if logits is None:
            inputs = passes.teacher_forced_inputs(token_ids[:-1])
            logits = last_logits(passes.model, inputs, count)[0]
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

    Arguments as for `answer_on_cache`.
    """
    parts = passes.parts
    if parts.cross_attention or not parts.continues or not text_alone_goes_on(passes.inputs):
        return None
    return answer_on_cache(passes.model, ids, count, cache)


def text_alone_goes_on(inputs: Mapping[str, Tensor]) -> bool:
    """Whether an answer on the prompt's KV cache needs no input but its tokens: the cache says no others."""
    return START not in inputs and all(
        name in TEXT or not is_per_token(tensor, inputs) for name, tensor in inputs.items()
    )


def answer_on_cache(model: Any, ids: Tensor, count: int, cache: Any) -> Tensor | None:
    """Logits (token, vocabulary) of an answer read on a prompt's KV cache; None where the cache is of no use.

    Args:
        model: The transformers module.
        ids: Of prompt and answer.
        count: How many of them are the answer's.
        cache: As a pass over the prompt, or the one that answered, left it.
    """
    start = len(ids) - count - 1
    prefix = prompt_cache(cache, start)
    options = on_cache(model, prefix)
    if prefix is None or options is None:
        return None
    output = model(
        input_ids=ids[None, start:-1],
        attention_mask=torch.ones_like(ids[None, :-1]),
        use_cache=True,
        **options,
    )
    logits: Tensor = output.logits[0]
    return logits
