"""The provenance of a record: versions, weights, device; without paths, host or user."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from groundviz.record.types import Provenance
from groundviz.runtime.identity.weight_hash import adapter_fingerprints, weights_fingerprint
from groundviz.runtime.loan.device import home

PACKAGES = ("groundviz", "torch", "transformers", "numpy")


def describe_run(vlm: Any, *, seed: int, seconds: float) -> Provenance:
    """Everything about a run that is needed to repeat it."""
    model = vlm.model
    device = home(model).type
    peak_bytes = None
    if device == "cuda":
        peak_bytes = torch.cuda.max_memory_allocated()
    text_config = model.config.get_text_config()
    return Provenance(
        model=vlm.name,
        revision=vlm.revision,
        family=vlm.family_name,
        weights=weights_fingerprint(model),
        dtype=str(model.dtype).removeprefix("torch."),
        device=device,
        attention=str(text_config._attn_implementation),
        seed=seed,
        seconds=round(seconds, 3),
        peak_bytes=peak_bytes,
        sources=dict(vlm.sources),
        adapters=adapter_fingerprints(model),
        versions={"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    )


@lru_cache
def _version(package: str) -> str:
    """The installed version, which this process has imported: it is read from the disk once."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
