"""Where a model that is being loaded goes, and in which numbers."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from groundviz.errors import MissingExtra, UnsupportedModel


def dtype_of(wanted: str | torch.dtype | None) -> torch.dtype | None:
    """The dtype of that name; None for None and for "auto".

    Raises:
        UnsupportedModel: There is none that a model computes in.

    >>> dtype_of("bfloat16")
    torch.bfloat16
    """
    if wanted in (None, "auto"):
        return None
    dtype = getattr(torch, wanted, None) if isinstance(wanted, str) else wanted
    if isinstance(dtype, torch.dtype) and dtype.is_floating_point and dtype.itemsize > 1:
        return dtype
    raise UnsupportedModel(
        f"No model can be loaded in {wanted!r}: expected float32, bfloat16, float16, int8 or int4. For "
        "others, load the model with transformers and quantization_config=..., and explain the live model."
    )


def device_map_of(wanted: str | torch.device | None) -> Any:
    """Where transformers puts the weights while it reads them; None to move the model afterwards.

    Raises:
        MissingExtra: All devices are wanted, and accelerate is not installed.
        UnsupportedModel: There is no such device here.
    """
    spreads = find_spec("accelerate") is not None
    if wanted == "auto" and not spreads:
        raise MissingExtra('device="auto" needs accelerate. Install it with: pip install accelerate')
    if wanted is None or wanted == "auto":
        return wanted
    try:
        device = torch.device(wanted)
        there = device.type == "cpu" or (device.index or 0) < torch.get_device_module(device).device_count()
    except (RuntimeError, TypeError):
        there = False
    if not there:
        raise UnsupportedModel(
            f'There is no device {str(wanted)!r} here. Name one that torch.accelerator finds, or "cpu".'
        )
    return {"": device} if spreads else None
