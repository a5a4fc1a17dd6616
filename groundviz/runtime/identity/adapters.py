"""Adapters (LoRA and others) that peft or transformers have put into a model's layers.

Neither library is imported. A layer with adapters is recognised by its attributes `adapter_layer_names`
and `active_adapters`, in a live peft model and after transformers' own `model.load_adapter` alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any

from torch import Tensor, nn

Held = dict[str, Tensor | str]


def layers_with_adapters(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Each part of a model that holds adapters, with its name."""
    for name, module in model.named_modules():
        if getattr(module, "adapter_layer_names", None) and hasattr(module, "active_adapters"):
            yield name, module


def active_adapters(model: nn.Module) -> dict[str, Held]:
    """The adapters in use, each with its tensors and settings, in the order of their use.

    A merged adapter is in use; one that is switched off is not.
    """
    found: dict[str, Held] = {}
    for name, layer in layers_with_adapters(model):
        for adapter in _in_use(layer):
            if held := held_by(layer, adapter):
                own = {f"{without_wrappers(name)}.{key}": value for key, value in held.items()}
                found.setdefault(adapter, {}).update(own)
    return found


def adapter_tensors(model: nn.Module) -> set[int]:
    """The identities of all adapters' tensors, whether in use or not."""
    found = set()
    for _, layer in layers_with_adapters(model):
        for adapter in _known(layer):
            held = held_by(layer, adapter).values()
            found |= {id(value) for value in held if isinstance(value, Tensor)}
    return found


def held_by(layer: Any, adapter: str) -> Held:
    """One adapter's tensors in a layer, and its settings there, such as the scale."""
    held: Held = {}
    for attribute in layer.adapter_layer_names:
        part = _table(layer, attribute).get(adapter)
        if isinstance(part, Tensor):
            held[attribute] = part
        elif isinstance(part, nn.Module):
            held |= {f"{attribute}.{key}": value for key, value in _tensors(part)}
    if not held:
        return {}
    for attribute in getattr(layer, "other_param_names", ()):
        setting = _table(layer, attribute).get(adapter)
        if isinstance(setting, bool | int | float | str):
            held[attribute] = repr(setting)
    return held


def without_wrappers(name: str) -> str:
    """The name that a part has in the model without adapters.

    >>> without_wrappers("layers.0.q_proj.base_layer.weight")
    'layers.0.q_proj.weight'
    """
    return ".".join(part for part in name.split(".") if part not in ("base_layer", "original_module"))


def _tensors(part: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from part.named_parameters()
    yield from part.named_buffers()


def _table(layer: Any, attribute: str) -> Mapping[str, Any]:
    """An attribute of a layer that maps adapters to values; its name may be a dotted path."""
    try:
        found = attrgetter(attribute)(layer)
    except AttributeError:
        return {}
    # Torch's ModuleDict and ParameterDict are no Mapping, but have its items.
    if hasattr(found, "items"):
        return dict(found.items())
    return {}


def _known(layer: Any) -> set[str]:
    return {name for attribute in layer.adapter_layer_names for name in _table(layer, attribute)}


def _in_use(layer: Any) -> tuple[str, ...]:
    if getattr(layer, "disable_adapters", False):
        return ()
    return tuple(getattr(layer, "merged_adapters", None) or layer.active_adapters)
