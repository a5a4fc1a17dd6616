"""What a model can be relied on for: batches that keep apart, answers on a cache, and rows of attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from groundviz.errors import UnsupportedMethod
from groundviz.models.adapter.rounding import most_rounding
from groundviz.models.adapter.unmeasurable import Unmeasurable, attempted
from groundviz.models.measured.wiring import Wiring
from groundviz.runtime.attention.tap import AttentionCall, tapped
from groundviz.runtime.inputs.sites import Parts
from groundviz.runtime.loan.guard import Loan
from groundviz.runtime.passes.forward import PROMPT, last_logits, repeated, teacher_forced_inputs
from groundviz.runtime.passes.image_attention import answer_on_cache, text_alone_goes_on
from groundviz.runtime.passes.kv_cache import cache_of

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
    if not text_alone_goes_on(inputs):
        # The cache is not used then.
        return False
    prompt = inputs[PROMPT]
    ids = torch.cat([prompt[0], torch.tensor(ANSWER, device=prompt.device)])

    def compared() -> tuple[Tensor, Tensor]:
        whole = teacher_forced_inputs(inputs, ANSWER, fill={})
        behind = last_logits(model, whole, len(ANSWER) + 1)[0, :-1]
        found = answer_on_cache(model, ids, len(ANSWER), cache_of(model(**inputs, use_cache=True)))
        if found is None:
            return behind, behind + torch.inf
        return behind, found

    return _agree(model, compared)


def gates_of(
    loan: Loan, parts: Parts, wiring: Wiring, one: Mapping[str, Tensor], other: Mapping[str, Tensor]
) -> tuple[str, ...]:
    """The stages that the whole image passes, in cells, on its way to the language model; none if unknown.

    Some models add earlier layers of their tower to the language model, past the projector; in others a class
    token, which is no cell, goes along.

    Cost: two forward passes, four where the image passes more than the projector.

    Args:
        loan: The loan of the model.
        parts: Its modules.
        wiring: Where its cells are.
        one: The inputs of a prompt.
        other: The same with another image.
    """
    if wiring.projector is None:
        return ()
    places = wiring.projected if wiring.projector_place is None else wiring.projector_place
    cells: dict[nn.Module, int] = {wiring.projector: len(np.unique(places[places >= 0]))}
    if _hold_the_image(loan, cells, one, other):
        return ("projector",)
    if wiring.tower is None or wiring.tower.place is None:
        return ()
    count = len(np.unique(wiring.tower.place[wiring.tower.place >= 0]))
    cells |= dict.fromkeys(parts.vision_layers, count)
    if _hold_the_image(loan, cells, one, other):
        return ("vision", "projector")
    return ()


def _hold_the_image(
    loan: Loan, cells: Mapping[nn.Module, int], one: Mapping[str, Tensor], other: Mapping[str, Tensor]
) -> bool:
    """Whether another image scores as the first one where modules put out what they did of that.

    False where one of them puts out more, or less, than its cells.
    """
    kept: dict[nn.Module, list[Any]] = {module: [] for module in cells}

    def keep(module: nn.Module, args: Any, output: Any) -> None:
        kept[module].append(output)

    def put_back(module: nn.Module, args: Any, output: Any) -> Any:
        return kept[module].pop(0) if kept[module] else output

    def scores(inputs: Mapping[str, Tensor], hook: Callable[..., Any]) -> Tensor:
        handles = [loan.hook(module, hook) for module in cells]
        try:
            return last_logits(loan.model, inputs, 1)
        finally:
            for handle in handles:
                handle.remove()

    def compared() -> tuple[Tensor, Tensor]:
        before = scores(one, keep)
        if any(_positions(kept[module]) != count for module, count in cells.items()):
            raise Unmeasurable("its cells are not all that its modules put out")
        return scores(other, put_back), before

    return _agree(loan.model, compared)


def _positions(outputs: Sequence[Any]) -> int:
    """How many positions the outputs of a module have, over all its calls."""
    tensors = [output[0] if isinstance(output, tuple) else output for output in outputs]
    return sum(tensor.numel() // tensor.shape[-1] for tensor in tensors)


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
