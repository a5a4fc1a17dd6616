"""What made a record: versions, weights, device. No path, no host, no user."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from groundviz.runtime.placement import home
from groundviz.types import Provenance

PACKAGES = ("groundviz", "torch", "transformers", "numpy")
SAMPLES_PER_TENSOR = 256


def describe_run(vlm: Any, *, seed: int, seconds: float) -> Provenance:
    """Everything about a run that is needed to make it again."""
    model = vlm.model
    text_config = model.config.get_text_config()
    return Provenance(
        model=vlm.name,
        revision=vlm.revision,
        family=vlm.family_name,
        weights=weights_fingerprint(model),
        dtype=str(model.dtype).removeprefix("torch."),
        device=home(model).type,
        attention=str(text_config._attn_implementation),
        seed=seed,
        seconds=round(seconds, 3),
        peak_bytes=torch.cuda.max_memory_allocated() if home(model).type == "cuda" else None,
        sources=dict(vlm.sources),
        versions={"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    )


def weights_fingerprint(model: torch.nn.Module) -> str:
    """A hash of every weight's name, shape and dtype and of evenly spread samples of its numbers.

    It tells two checkpoints apart in a moment; it is no proof that two models are bit-identical.
    """
    digest = hashlib.sha256()
    for name, weight in model.named_parameters():
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        flat = weight.detach().reshape(-1)
        step = max(1, flat.numel() // SAMPLES_PER_TENSOR)
        if flat.device.type != "meta":
            digest.update(flat[::step].cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
