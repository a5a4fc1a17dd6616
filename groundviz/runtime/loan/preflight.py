"""Refuses models that cannot compute with their weights, and layers through which no gradient passes.

Such models would give empty or wrong maps: weights are not loaded, torch cannot multiply them, or a layer
drops the gradient without an error. The usual case is a quantised layer: the gradient then flows through
the residual connections alone, and the map does not show that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from groundviz.errors import UnsupportedMethod, UnsupportedModel
from groundviz.runtime.loan.guard import Loan

# What to do instead; whoever knows the methods adds their names.
GRADIENT_FREE = "a method that needs no gradients"


def refuse_unusable(model: nn.Module) -> None:
    """Refuse a model that cannot run at all.

    Raises:
        UnsupportedModel: Weights are not loaded, or have a dtype that layers cannot compute with.
    """
    for module in model.modules():
        # A library that loads weights when they are needed leaves its hook on the module.
        if any(weight.is_meta for weight in _own(module)) and not hasattr(module, "_hf_hook"):
            raise UnsupportedModel(
                f"The model's weights are not loaded: those of a {type(module).__name__} are on the meta "
                "device, which holds no numbers. Load them, for example with from_pretrained."
            )
        for weight in _own(module):
            if weight.is_floating_point() and weight.itemsize == 1 and _plain(module):
                raise UnsupportedModel(
                    f"The model cannot compute with its weights: those of a {type(module).__name__} are "
                    f"{weight.dtype}, a format for storage. Load the model in bfloat16 or float32, or "
                    "quantise it with a library that brings its own layers."
                )


def watch_gradients(loan: Loan) -> Callable[[], None]:
    """Let every layer that may drop a gradient raise UnsupportedMethod when a gradient is needed.

    Passes without gradients are unchanged. It ends with the loan, or earlier by calling what is returned.
    """
    ends = ExitStack()
    for module in loan.model.modules():
        made_in_inference = [weight for weight in _own(module) if weight.is_inference()]
        if made_in_inference:
            # Such a weight cannot be frozen: it requires a gradient wherever gradients are enabled.
            asks = any(weight.requires_grad for weight in made_in_inference)
            ends.callback(loan.wrap(module, partial(_refuse_inference, asks)))
        elif "Linear" in type(module).__name__ and not _plain(module):
            ends.callback(loan.wrap(module, partial(_refuse_cut, type(module).__name__)))
    return ends.close


def _own(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters(recurse=False)
    yield from module.buffers(recurse=False)


def _plain(module: nn.Module) -> bool:
    """Whether a module is one of torch's own, and not a library's layer with its own kind of weights."""
    return type(module).__module__.startswith("torch.nn.modules.")


def _asked(args: tuple[Any, ...], options: dict[str, Any]) -> bool:
    given = (*args, *options.values())
    return torch.is_grad_enabled() and any(isinstance(one, Tensor) and one.requires_grad for one in given)


def _refuse_inference(asks: bool, forward: Callable[..., Any], *args: Any, **options: Any) -> Any:
    if _asked(args, options) or (asks and torch.is_grad_enabled()):
        raise UnsupportedMethod(
            "The model cannot be differentiated: its weights were made inside torch.inference_mode(), and "
            f"torch keeps no gradients beside them. Load the model outside of it, or use {GRADIENT_FREE}.",
            lacks="gradients",
        )
    return forward(*args, **options)


def _refuse_cut(layer: str, forward: Callable[..., Any], *args: Any, **options: Any) -> Any:
    output = forward(*args, **options)
    # Torch marks operations that it cannot differentiate, or leaves them out of the graph.
    if _asked(args, options) and (not output.requires_grad or "NotImplemented" in output.grad_fn.name()):
        raise UnsupportedMethod(
            f"The model cannot be differentiated: its quantised layer {layer} has no gradient, so a map "
            "would show the paths around it alone. Load the model in bfloat16 or float32, or use "
            f"{GRADIENT_FREE}.",
            lacks="gradients",
        )
    return output
