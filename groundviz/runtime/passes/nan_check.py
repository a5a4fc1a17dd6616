"""The first part of a model whose output is not finite; searched only when its logits are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from groundviz.errors import NumericalError
from groundviz.runtime.loan.guard import Loan


def where_not_finite(loan: Loan, run: Callable[[], object]) -> str:
    """One sentence on the first part of the model that puts out NaN or infinity.

    Args:
        loan: Of the borrowed model.
        run: Makes one forward pass.
    """
    found: list[tuple[str, nn.Module]] = []
    names = {module: name for name, module in loan.model.named_modules()}

    def see(module: nn.Module, args: Any, output: Any) -> None:
        if not found and not all(torch.isfinite(tensor).all() for tensor in _tensors(output)):
            found.append((names[module], module))

    # Hooks of inner modules are called first, so the innermost one is found.
    handles = [loan.hook(module, see) for module in names]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        return "Every part of the model puts out finite numbers by itself."
    name, part = found[0]
    why = "its weights are finite"
    if _has_broken_weights(part):
        why = "its weights hold NaN or infinity"
    return f"The first part whose output is not finite is {name!r}: {why}."


def scores_not_finite(where: str) -> NumericalError:
    """The error of an answer that has no probability; `where` as `where_not_finite` gives it."""
    return NumericalError(
        "The model's scores are not finite: at least one answer token has log-probability NaN or infinity. "
        f"{where} Check its weights, or load it in bfloat16 or float32."
    )


@contextmanager
def sampling(where: Callable[[], str]) -> Iterator[None]:
    """Replace torch's refusal to sample from scores that are not finite by an error that says where.

    Raises:
        NumericalError: Sampling failed for that reason.
    """
    try:
        yield
    except RuntimeError as error:
        if "probability tensor" not in str(error):
            raise
        raise scores_not_finite(where()) from None


def _has_broken_weights(module: nn.Module) -> bool:
    for weight in module.parameters():
        # Weights on the meta device are loaded when they are needed; they hold no numbers here.
        readable = weight.is_floating_point() and not weight.is_meta
        if readable and not torch.isfinite(weight.float()).all():
            return True
    return False


def _tensors(output: Any) -> Iterator[Tensor]:
    """All floating-point tensors in an output."""
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, list | tuple):
        for part in output:
            yield from _tensors(part)
    elif isinstance(output, dict):
        yield from _tensors(list(output.values()))
