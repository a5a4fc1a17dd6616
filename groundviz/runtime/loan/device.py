"""Where a model computes, and its inputs brought there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def home(model: Any) -> torch.device:
    """The device a model computes on; where weights are offloaded, they are elsewhere until needed."""
    for module in model.modules():
        device = getattr(getattr(module, "_hf_hook", None), "execution_device", None)
        if device is not None:
            return torch.device(device)
    return torch.device(model.device)


def on_device(model: Any, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inputs where the model computes, images in its dtype."""
    device = home(model)
    return {
        name: tensor.to(device, model.dtype if tensor.is_floating_point() else None)
        for name, tensor in inputs.items()
    }
