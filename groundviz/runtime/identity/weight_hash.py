"""What tells two models apart: a hash of every number that takes part in an answer."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from groundviz.forking import fork_safe_lock
from groundviz.runtime.identity.adapters import active_adapters, adapter_tensors, without_wrappers

SAMPLES_PER_TENSOR = 256
BLOCK_BYTES = 16 << 20
MOST_THREADS = 8
DIGITS = 16

# By model: the state it was in when all of it was read, and the hash. An entry goes when its model does.
_KNOWN: WeakKeyDictionary[nn.Module, tuple[object, str]] = WeakKeyDictionary()
_TURN = fork_safe_lock()


def weights_fingerprint(model: nn.Module) -> str:
    """A hash of all that a model computes with: each weight and stored buffer, and the adapters in use.

    Numbers that a packed weight is unpacked with count, and so do weights that accelerate keeps on disk.
    Adapters that are not in use do not: with its adapters off, a model is the one it was without them.

    Cost: all weights are read once, at about a gigabyte a second on each of several threads; then again only
    after they changed, which is seen from torch's own count of changes and from `sampled_fingerprint`.
    """
    state = _state(model)
    with _TURN:
        known = _KNOWN.get(model)
    if known is not None and known[0] == state:
        return known[1]
    used = [(f"adapter {name}", value) for name, value in adapter_fingerprints(model).items()]
    found = _hashed([*_stored(model), *used])
    with _TURN:
        _KNOWN[model] = state, found
    return found


def adapter_fingerprints(model: nn.Module) -> dict[str, str]:
    """By name of each adapter that takes part in an answer, a hash of its weights and its scale.

    A name that may be a path is replaced by "adapter" and its number.
    """
    adapters = active_adapters(model)
    return {
        name if re.fullmatch(r"[\w.+-]{1,80}", name) else f"adapter {number}": _hashed(sorted(held.items()))
        for number, (name, held) in enumerate(adapters.items(), 1)
    }


def sampled_fingerprint(model: nn.Module) -> str:
    """A hash of every weight's name, shape and dtype and of evenly spread samples of its numbers.

    It takes a moment, and misses a change of a few numbers. Records made before all numbers were read
    hold this one.
    """
    digest = hashlib.sha256()
    for name, weight in model.named_parameters():
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        flat = weight.detach().reshape(-1)
        step = max(1, flat.numel() // SAMPLES_PER_TENSOR)
        if flat.device.type != "meta":
            digest.update(flat[::step].cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:DIGITS]


def _state(model: nn.Module) -> object:
    """What changes when a model does, unless a few numbers are written to `.data`, which nobody counts."""
    counted = [
        # Not which object it is: while a model is borrowed, others stand in for its parameters.
        (one.data_ptr() if _has_numbers(one) else 0, 0 if one.is_inference() else one._version)
        for one in (*model.parameters(), *model.buffers())
    ]
    return sampled_fingerprint(model), _adapter_settings(model), tuple(counted)


def _adapter_settings(model: nn.Module) -> object:
    return {
        name: {key: value for key, value in held.items() if isinstance(value, str)}
        for name, held in active_adapters(model).items()
    }


def _stored(model: nn.Module) -> Iterator[tuple[str, object]]:
    """What a model would be saved as, without its adapters; a tensor with two names has the first."""
    left_out = adapter_tensors(model)
    for name, module in model.named_modules():
        held: dict[str, Any] = {}
        # Not state_dict(): hooks on that are somebody's code.
        module._save_to_state_dict(held, f"{name}." if name else "", True)
        for key, value in held.items():
            if id(value) not in left_out:
                left_out.add(id(value))
                yield without_wrappers(key), _kept_elsewhere(module, key, value)


def _kept_elsewhere(module: Any, key: str, value: object) -> object:
    """The numbers of a tensor that accelerate keeps in memory or on disk until they are needed."""
    if not isinstance(value, Tensor) or not value.is_meta:
        return value
    hook = getattr(module, "_hf_hook", None)
    for one in getattr(hook, "hooks", (hook,)):
        kept = getattr(one, "weights_map", None)
        own = key.rpartition(".")[2]
        if isinstance(kept, Mapping) and own in kept:
            return kept[own]
    return value


def _hashed(held: Iterable[tuple[str, object]]) -> str:
    digest = hashlib.sha256()
    # Hashing and copying let other threads run, so blocks are read side by side.
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        for name, value in held:
            for part, plain in _plain(name, value):
                if not isinstance(plain, Tensor):
                    digest.update(f"{part} {plain!r}".encode())
                    continue
                digest.update(f"{part} {tuple(plain.shape)} {plain.dtype}".encode())
                blocks = list(_blocks(plain))
                hashes = map(_block_hash, blocks) if len(blocks) < 2 else pool.map(_block_hash, blocks)
                for one in hashes:
                    digest.update(one)
    return digest.hexdigest()[:DIGITS]


def _plain(name: str, value: object) -> Iterator[tuple[str, object]]:
    """A value as tensors of plain numbers, and as settings."""
    if isinstance(value, tuple | list):
        for number, one in enumerate(value):
            yield from _plain(f"{name}.{number}", one)
    elif isinstance(value, Tensor) and value.is_quantized:
        yield f"{name}.numbers", value.int_repr()
        yield f"{name}.scale", str(value.qscheme()) + repr(_scale(value))
    elif hasattr(value, "__tensor_flatten__"):
        # torchao's packed weights, and tensors spread over devices: made of several tensors.
        for inner in value.__tensor_flatten__()[0]:
            yield from _plain(f"{name}.{inner}", getattr(value, inner))
    else:
        yield name, value if isinstance(value, Tensor | str | int | float | torch.dtype) else type(value)


def _scale(value: Tensor) -> object:
    if value.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return value.q_scale(), value.q_zero_point()
    return value.q_per_channel_scales().tolist(), value.q_per_channel_zero_points().tolist()


def _has_numbers(tensor: Tensor) -> bool:
    return not (tensor.is_meta or hasattr(tensor, "__tensor_flatten__"))


def _blocks(tensor: Tensor) -> Iterator[Tensor]:
    if tensor.is_meta or tensor.layout != torch.strided:
        return
    flat = tensor.detach().reshape(-1).view(torch.uint8)
    yield from (flat[start : start + BLOCK_BYTES] for start in range(0, len(flat), BLOCK_BYTES))


def _block_hash(block: Tensor) -> bytes:
    numbers: Any = block.cpu().numpy()
    return hashlib.sha256(numbers).digest()
