"""The device that a model computes on, and its inputs moved there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def home(model: Any) -> torch.device:
    """The device a model computes on."""
    for module in model.modules():
        # Offloaded weights are elsewhere until they are needed; accelerate's hook knows the device.
        device = getattr(getattr(module, "_hf_hook", None), "execution_device", None)
        if device is not None:
            return torch.device(device)
    return torch.device(model.device)


def on_device(model: Any, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Inputs on the model's device, images in its dtype."""
    device = home(model)
    moved = {}
    for name, tensor in inputs.items():
        if not isinstance(tensor, Tensor):
            moved[name] = tensor
        elif tensor.is_floating_point():
            moved[name] = tensor.to(device, model.dtype)
        else:
            moved[name] = tensor.to(device)
    return moved
