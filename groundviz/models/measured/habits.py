"""What a model can be relied on for: batches that keep apart, answers on a cache, and rows of attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from groundviz.errors import UnsupportedMethod
from groundviz.models.adapter.rounding import most_rounding
from groundviz.models.measured.unmeasurable import Unmeasurable, attempted
from groundviz.runtime.attention.tap import AttentionCall, tapped
from groundviz.runtime.passes.forward import (
    PROMPT,
    START,
    is_per_token,
    last_logits,
    repeated,
    teacher_forced_inputs,
)
from groundviz.runtime.passes.kv_cache import cache_of, on_cache, prompt_cache

# An answer, of any tokens: how the model goes on is compared, not what it means.
ANSWER = (5, 7)


def keeps_batches_apart(
    model: Any, one: Mapping[str, Tensor], other: Mapping[str, Tensor], names: Sequence[str]
) -> bool:
    """Whether two prompts with different images, in one batch, score what each scores alone.

    Some models lay the images of a batch out in another way than one after another.

    Cost: three forward passes.

    Args:
        model: The transformers module, borrowed.
        one: The inputs of a prompt.
        other: The same with another image.
        names: The inputs that hold the image.
    """
    both = {name: repeated(value, 2) for name, value in one.items()}
    both |= {name: torch.cat([one[name], other[name]]) for name in names}

    def compared() -> tuple[Tensor, Tensor]:
        alone = torch.cat([last_logits(model, inputs, 1) for inputs in (one, other)])
        return last_logits(model, both, 1), alone

    return _agree(model, compared)


def goes_on(model: Any, inputs: Mapping[str, Tensor]) -> bool:
    """Whether the model scores an answer on the prompt's KV cache as it does behind the prompt.

    Models that count positions by the place in the image may lose them on the cache.

    Cost: two forward passes, and one over the answer.

    Args:
        model: The transformers module, borrowed.
        inputs: The inputs of a prompt.
    """
    if START in inputs:
        # The cache is that of another decoder than what reads the prompt, and is not used.
        return False
    prompt = inputs[PROMPT]
    if any(is_per_token(value, inputs) for name, value in inputs.items() if name not in _TEXT):
        # The cache is not used for such.
        return False
    ids = torch.cat([prompt[0], torch.tensor(ANSWER, device=prompt.device)])
    start = len(prompt[0]) - 1

    def compared() -> tuple[Tensor, Tensor]:
        whole = teacher_forced_inputs(inputs, ANSWER, fill={})
        behind = last_logits(model, whole, len(ANSWER) + 1)
        cache = prompt_cache(cache_of(model(**inputs, use_cache=True)), start)
        options = on_cache(model, cache)
        if cache is None or options is None:
            return behind, behind + torch.inf
        mask = torch.ones_like(ids[None])
        found = model(input_ids=ids[None, start:], attention_mask=mask, use_cache=True, **options)
        return behind, found.logits

    return _agree(model, compared)


def reads_rows(model: Any, modules: Sequence[nn.Module], inputs: Mapping[str, Tensor]) -> bool:
    """Whether attention rows, as they are read of some modules, times values are what their kernels put out.

    Some add to their scores what the registry is not given.

    Cost: one forward pass.

    Args:
        model: The transformers module, borrowed.
        modules: Its attention modules.
        inputs: The inputs of a prompt.
    """
    apart: list[float] = []

    def compare(call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        output, weights = call.run()
        apart.append(call.misread(output, slice(-1, None)))
        return output, weights

    numbers = {module: number for number, module in enumerate(modules)}
    most = most_rounding(model.dtype)
    try:
        with torch.no_grad(), tapped(numbers, compare):
            last_logits(model, inputs, 1)
    except UnsupportedMethod:
        return False
    return max(apart, default=np.inf) <= most


_TEXT = ("input_ids", "attention_mask")


def _agree(model: Any, compared: Callable[[], tuple[Tensor, Tensor]]) -> bool:
    """Whether two computations of the same scores agree, and neither fails."""
    most = most_rounding(model.dtype)
    try:
        with torch.no_grad():
            one, other = attempted(compared)
    except Unmeasurable:
        return False
    if one.shape != other.shape:
        return False
    apart = float((one - other).abs().max() / other.std().clamp(min=torch.finfo(torch.float32).tiny))
    return apart <= most
