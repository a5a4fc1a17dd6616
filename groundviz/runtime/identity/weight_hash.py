"""A hash of all numbers that a model's answers depend on, to tell two models apart."""

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

# By model: its state when it was hashed, and the hash. An entry ends with its model.
_KNOWN: WeakKeyDictionary[nn.Module, tuple[object, str]] = WeakKeyDictionary()
_TURN = fork_safe_lock()


def weights_fingerprint(model: nn.Module) -> str:
    """A hash of all that a model computes with: each weight and stored buffer, and the adapters in use.

    The scales of packed weights are part of it, and so are weights that accelerate keeps on disk. Adapters
    that are not in use are no part of it: with its adapters off, a model has the hash it had without them.

    Cost: all weights are read once, at about a gigabyte a second on each of several threads. They are read
    again only after they changed, by torch's own count of changes and by `sampled_fingerprint`.
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
    """By name of each adapter in use, a hash of its weights and its scale.

    A name that may be a path is replaced by "adapter" and its number.
    """
    fingerprints = {}
    for number, (name, held) in enumerate(active_adapters(model).items(), 1):
        if not re.fullmatch(r"[\w.+-]{1,80}", name):
            name = f"adapter {number}"
        fingerprints[name] = _hashed(sorted(held.items()))
    return fingerprints


def sampled_fingerprint(model: nn.Module) -> str:
    """A hash of every weight's name, shape and dtype and of evenly spread samples of its numbers.

    It takes a moment, and misses a change of a few numbers. Records of the first version contain it.
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
    """A value that changes with the model; only a few numbers written through `.data` escape it."""
    counted = []
    for tensor in (*model.parameters(), *model.buffers()):
        # Addresses and not identities: during a loan stand-ins replace the parameters.
        address, version = 0, 0
        if not (tensor.is_meta or hasattr(tensor, "__tensor_flatten__")):
            address = tensor.data_ptr()
        if not tensor.is_inference():
            version = tensor._version
        counted.append((address, version))
    settings = {}
    for name, held in active_adapters(model).items():
        settings[name] = {key: value for key, value in held.items() if isinstance(value, str)}
    return sampled_fingerprint(model), settings, tuple(counted)


def _stored(model: nn.Module) -> Iterator[tuple[str, object]]:
    """The entries of a model's state dict without adapters; a tensor with two names has the first."""
    left_out = adapter_tensors(model)
    for name, module in model.named_modules():
        held: dict[str, Any] = {}
        prefix = f"{name}." if name else ""
        # Not state_dict(), which would call the user's hooks.
        module._save_to_state_dict(held, prefix, True)
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
                # One block alone is not worth a change of threads.
                hashed = pool.map if len(blocks) > 1 else map
                for block_hash in hashed(_block_hash, blocks):
                    digest.update(block_hash)
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
    elif isinstance(value, Tensor | str | int | float | torch.dtype):
        yield name, value
    else:
        yield name, type(value)


def _scale(value: Tensor) -> object:
    if value.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return value.q_scale(), value.q_zero_point()
    return value.q_per_channel_scales().tolist(), value.q_per_channel_zero_points().tolist()


def _blocks(tensor: Tensor) -> Iterator[Tensor]:
    if tensor.is_meta or tensor.layout != torch.strided:
        return
    flat = tensor.detach().reshape(-1).view(torch.uint8)
    yield from (flat[start : start + BLOCK_BYTES] for start in range(0, len(flat), BLOCK_BYTES))


def _block_hash(block: Tensor) -> bytes:
    numbers: Any = block.cpu().numpy()
    return hashlib.sha256(numbers).digest()
