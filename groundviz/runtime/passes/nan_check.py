"""Where in a model numbers stop being finite: asked only once something else has shown that they do."""

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
        loan: The lent model.
        run: Makes one forward pass.
    """
    found: list[tuple[str, nn.Module]] = []
    names = {module: name for name, module in loan.model.named_modules()}

    def see(module: nn.Module, args: Any, output: Any) -> None:
        if not found and not all(torch.isfinite(tensor).all() for tensor in _tensors(output)):
            found.append((names[module], module))

    # Hooks of inner modules are called first, so what is found is the innermost.
    handles = [loan.hook(module, see) for module in names]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return _sentence(*found[0]) if found else "Every part of the model puts out finite numbers by itself."


def scores_not_finite(where: str) -> NumericalError:
    """The error of an answer that has no probability; `where` as `where_not_finite` gives it."""
    return NumericalError(
        "The model's scores are not finite: at least one answer token has log-probability NaN or infinity. "
        f"{where} Check its weights, or load it in bfloat16 or float32."
    )


@contextmanager
def sampling(where: Callable[[], str]) -> Iterator[None]:
    """Have torch's refusal to sample from scores that are not finite be the error that says where.

    Raises:
        NumericalError: Sampling failed for that reason.
    """
    try:
        yield
    except RuntimeError as error:
        if "probability tensor" not in str(error):
            raise
        raise scores_not_finite(where()) from None


def _sentence(name: str, module: nn.Module) -> str:
    weights = [weight for weight in module.parameters() if weight.is_floating_point()]
    poor = not all(torch.isfinite(weight.float()).all() for weight in weights if not weight.is_meta)
    why = "its weights hold NaN or infinity" if poor else "its weights are finite"
    return f"The first part whose output is not finite is {name!r}: {why}."


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield from [output] if output.is_floating_point() else []
    elif isinstance(output, list | tuple):
        for part in output:
            yield from _tensors(part)
    elif isinstance(output, dict):
        yield from _tensors(list(output.values()))
