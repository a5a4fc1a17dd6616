"""Whether a model, and what surrounds it, is exactly as it was.

The fingerprint shares no code with the guard that it checks. It walks the model in its own way, hashes the
numbers in the weights, and covers classes, registries and the state of the process as well.
"""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AttentionInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

Fingerprint = dict[str, str]

_PLAIN = (str, bytes, int, float, complex, bool, type(None), torch.dtype, torch.device)


def fingerprint(model: nn.Module) -> Fingerprint:
    """Everything about a model that a loan must leave alone, as readable name to short value.

    Per module: attributes, `training`, hooks and their order, functions on the instance, the
    class and its `forward`. Per parameter and buffer: identity, address, dtype, `requires_grad`,
    `.grad`, attributes and a hash of the numbers. All configs with their private fields. The
    attention registries. Random streams, torch's modes and the Ctrl-C handler.

    Two fingerprints compare objects by identity, so both must come from one process, while the
    model is alive. Reading a model of several GB takes a few seconds per GB.

    >>> model = nn.Linear(2, 1)
    >>> before = fingerprint(model)
    >>> model.weight.requires_grad = False
    >>> difference(before, fingerprint(model))
    ["parameter 'weight' requires_grad: True -> False"]
    """
    seen: Fingerprint = {}
    for name, module in model.named_modules():
        seen.update((f"module {name!r} {what}", value) for what, value in _module(module))
    named = {"parameter": model.named_parameters, "buffer": model.named_buffers}
    for kind, tensors in named.items():
        for name, tensor in tensors(remove_duplicate=False):
            seen.update((f"{kind} {name!r} {what}", value) for what, value in _tensor(tensor))
    seen.update(_configs(model))
    seen.update(_attention(model))
    seen.update(_process())
    return seen


def difference(before: Fingerprint, after: Fingerprint) -> list[str]:
    """One line for everything that two fingerprints do not share; empty when they are equal.

    >>> difference({"a": "1", "b": "2"}, {"b": "3", "c": "4"})
    ['a: 1 -> (gone)', 'b: 2 -> 3', 'c: (new) -> 4']
    """
    return [
        f"{key}: {before.get(key, '(new)')} -> {after.get(key, '(gone)')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _module(module: nn.Module) -> Iterator[tuple[str, str]]:
    kind = type(module)
    yield "class", f"{kind.__qualname__} {id(kind)} forward {id(kind.forward)} call {id(kind.__call__)}"
    for name, value in vars(module).items():
        yield name, _describe(value)


def _tensor(tensor: torch.Tensor) -> Iterator[tuple[str, str]]:
    # A tensor on the meta device has no memory.
    address = "none"
    if not tensor.is_meta:
        address = str(tensor.data_ptr())
    yield "object", f"{id(tensor)} at {address} {tensor.dtype} {tuple(tensor.shape)} {tensor.device}"
    yield "requires_grad", str(tensor.requires_grad)
    yield "attributes", _describe(vars(tensor))
    yield "numbers", _numbers(tensor)
    if tensor.is_leaf and tensor.grad is not None:
        yield "grad", f"{id(tensor.grad)} {_numbers(tensor.grad)}"


def _numbers(tensor: torch.Tensor) -> str:
    if tensor.is_meta:
        return "none"
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return blake2b(flat.view(torch.uint8).numpy().tobytes(), digest_size=8).hexdigest()


def _configs(model: nn.Module) -> Iterator[tuple[str, str]]:
    waiting: list[tuple[str, Any]] = []
    owners: list[tuple[str, Any]] = [(f"module {name!r}", one) for name, one in model.named_modules()]
    owners += [(f"parameter {name!r}", one) for name, one in model.named_parameters()]
    for owner, held in owners:
        waiting += [(f"{owner} {attribute}", value) for attribute, value in vars(held).items()]
    # Configs may hold each other in a circle.
    seen: set[int] = set()
    while waiting:
        name, value = waiting.pop()
        if not _is_config(value) or id(value) in seen:
            continue
        seen.add(id(value))
        for field, inside in vars(value).items():
            yield f"config {name}.{field}", _describe(inside)
            waiting.append((f"{name}.{field}", inside))


def _is_config(value: object) -> bool:
    # Configs have to_dict, the state of quantised weights has as_dict.
    return hasattr(value, "__dict__") and any(hasattr(type(value), name) for name in ("to_dict", "as_dict"))


def _describe(value: Any) -> str:
    """Plain values as they print, containers by their content and identity, other objects by identity."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_describe(key)}: {_describe(one)}" for key, one in value.items())
    elif isinstance(value, (list, tuple)):
        inside = ", ".join(map(_describe, value))
    elif isinstance(value, (set, frozenset)):
        inside = ", ".join(sorted(map(_describe, value)))
    else:
        return f"{type(value).__name__} {id(value)}"
    if isinstance(value, tuple):
        # Without identity: tuples cannot change, and libraries make equal ones anew.
        return f"({inside})"
    return f"{type(value).__name__} {id(value)} [{inside}]"


def _attention(model: nn.Module) -> Iterator[tuple[str, str]]:
    yield "attention functions", _describe(AttentionInterface._global_mapping)
    files = sorted({type(module).__module__ for module in model.modules()})
    found = {name: getattr(sys.modules.get(name), "ALL_ATTENTION_FUNCTIONS", None) for name in files}
    for name, registry in {"transformers": ALL_ATTENTION_FUNCTIONS, **found}.items():
        if registry is not None:
            yield f"attention functions of {name}", f"{id(registry)} {_describe(registry._local_mapping)}"


def _process() -> Iterator[tuple[str, str]]:
    cuda = []
    # Asking for the state would start CUDA.
    if torch.cuda.is_initialized():
        cuda = torch.cuda.get_rng_state_all()
    yield "random python", _digest(repr(random.getstate()))
    yield "random numpy", _digest(repr([np.asarray(part).tolist() for part in np.random.get_state()]))
    yield "random torch", _numbers(torch.default_generator.get_state())
    yield "random cuda", " ".join(map(_numbers, cuda))
    yield "default dtype", str(torch.get_default_dtype())
    yield "default device", str(torch.get_default_device())
    yield "grad enabled", str(torch.is_grad_enabled())
    yield "inference mode", str(torch.is_inference_mode_enabled())
    yield "autocast", str([torch.is_autocast_enabled(kind) for kind in ("cpu", "cuda")])
    yield "deterministic", str(torch.are_deterministic_algorithms_enabled())
    yield "ctrl-c", _describe(signal.getsignal(signal.SIGINT))


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()
