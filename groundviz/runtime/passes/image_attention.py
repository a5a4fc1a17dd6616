"""How an answer looks at the image: rows of attention, their gradients, and what they come to on cells."""

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


def own_gradients(passes: Passes, token_ids: Sequence[int], cache: Any) -> tuple[Tensor, Tensor]:
    """Attention to the image, and how each token's log-probability changes with it.

    Args:
        passes: The lent model with its prompt.
        token_ids: What the model is made to say.
        cache: Keys and values of the prompt, if they are known: then only the answer's tokens run.

    Returns:
        Two float32 (token, layer, head, column): the shares, and nats per share.
    """
    modules, looking = passes.parts.decoder_attention, set(passes.parts.looking)
    prompt = passes.inputs["input_ids"][0]
    ids = torch.cat([prompt, torch.tensor(list(token_ids), dtype=prompt.dtype, device=prompt.device)])
    count, length = len(token_ids), len(ids) - 1
    handler = OwnRowAttention(
        columns=passes.columns,
        length=length,
        count=count,
        kept=[number for number, module in enumerate(modules) if module in looking],
        cross=[number for number, module in enumerate(modules) if module in passes.parts.cross_attention],
    )
    with torch.enable_grad(), tapped({module: number for number, module in enumerate(modules)}, handler):
        logits = _continued(passes, ids, count, cache)
        if logits is None:
            logits = last_logits(passes.model, passes.saying(token_ids[:-1]), count)[0]
        return handler.gradients(log_probabilities(logits, ids[-count:]))


def handed_on(passes: Passes) -> Tensor | None:
    """How much of each image token came from each cell, float32 (image token, cell).

    Attention rollout through the resampler that summarises the image. None where an image token
    is a cell. Costs one forward pass.
    """
    resampler = passes.parts.resampler
    if not resampler:
        return None
    handler = Rollout({number: flow for number, (_, flow) in enumerate(resampler)})
    with torch.no_grad(), tapped({module: number for number, (module, _) in enumerate(resampler)}, handler):
        last_logits(passes.model, passes.inputs, 1)
    tokens = len(passes.columns)
    starts = torch.eye(tokens, device=passes.columns.device)
    return handler.of({"latents": starts})["image"][:, passes.index["projector"]]


def bounds_logits(passes: Passes) -> bool:
    """Whether the model bounds its logits as its config says; some releases and wrappers do not.

    Costs one forward pass.
    """
    seen: list[Tensor] = []
    handle = passes.loan.hook(passes.parts.output_head, lambda module, args, output: seen.append(output))
    try:
        with torch.no_grad():
            logits = last_logits(passes.model, passes.inputs, 1)
    finally:
        handle.remove()
    return not torch.allclose(logits.float(), seen[-1][:, -1:].float())


def _continued(passes: Passes, ids: Tensor, count: int, cache: Any) -> Tensor | None:
    """Logits (token, vocabulary) of an answer said on the prompt's cache; None where that cannot be done."""
    start, inputs = len(ids) - count - 1, passes.inputs
    further = [name for name, one in inputs.items() if is_per_token(one, inputs) and name not in TEXT]
    if further or passes.parts.cross_attention:
        return None
    prefix = prompt_cache(cache, start)
    held = on_cache(passes.model, prefix)
    if prefix is None or held is None:
        return None
    output = passes.model(
        input_ids=ids[None, start:-1],
        attention_mask=torch.ones_like(ids[None, :-1]),
        use_cache=True,
        **held,
    )
    logits: Tensor = output.logits[0]
    return logits
