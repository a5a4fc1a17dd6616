"""How each of transformers' attention kernels reads its arguments: which columns a row may attend to.

The same arguments mean different things to different kernels. Without a mask one kernel is causal and
another is not; a sliding window is part of the mask or an argument of its own; the position of a single
row differs. The rules here mirror the kernels, also where they surprise. A form of mask that is not known
is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from groundviz.errors import UnsupportedMethod

_WAY_OUT = 'Load the model with attn_implementation="sdpa", or use a method that needs no attention.'


def sight(
    kernel: str, module: nn.Module, size: tuple[int, int], mask: Any, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields of `Attention` beyond query, key and scaling, for one call of a kernel.

    Args:
        kernel: Its name in transformers' registry.
        module: The attention module that called.
        size: Numbers of queries and of columns.
        mask: The attention mask it was given.
        options: Further keyword arguments of the call.

    Raises:
        UnsupportedMethod: It is not known which columns this kernel makes visible.

    >>> sight("sdpa", nn.Identity(), (3, 3), None, {})
    {'mask': None, 'causal': True}
    >>> sight("eager", nn.Identity(), (3, 3), None, {})
    {'mask': None, 'softcap': None, 'sinks': None}
    """
    _refuse_packed(kernel, mask, options)
    causal = options.get("is_causal")
    if causal is None:
        causal = getattr(module, "is_causal", True)
    causal = bool(causal)
    bias = options.get("position_bias")
    if kernel == "eager":
        seen: dict[str, Any] = {"mask": mask}
    elif kernel == "sdpa":
        # A single row attends to everything before it, so it needs no mask.
        seen = {"mask": mask, "causal": causal and mask is None and size[0] > 1}
    elif "flash" in kernel:
        return _flash(size, mask, causal, options)
    else:
        seen = _unknown(kernel, size, mask, causal, options)
    if bias is not None:
        seen = {"mask": _biased(bias, seen["mask"], causal=seen.get("causal", False))}
    if kernel == "sdpa":
        # Torch's own kernel supports neither soft caps nor sinks.
        return seen
    return seen | _extras(options)


def _flash(size: tuple[int, int], mask: Any, causal: bool, options: Mapping[str, Any]) -> dict[str, Any]:
    """Flash kernels align the last row with the last column, and apply the window themselves."""
    window = options.get("sliding_window")
    if options.get("position_bias") is not None or (window is not None and not causal):
        raise _unreadable("flash", "a window or bias in both directions")
    if mask is not None and mask.ndim != 2:
        raise _unreadable("flash", f"a mask of {mask.ndim} dimensions")
    width = size[1]
    if mask is not None:
        width = mask.shape[1]
    seen = {"mask": mask, "causal": causal, "offset": width - size[0], "window": window}
    return seen | _extras(options)


def _unknown(
    kernel: str, size: tuple[int, int], mask: Any, causal: bool, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Any other kernel can be read only where all conventions agree."""
    if mask is not None:
        if mask.ndim != 4:
            raise _unreadable(kernel, f"a mask of {mask.ndim} dimensions")
        return {"mask": mask}
    window = options.get("sliding_window")
    if causal and (1 < size[0] < size[1] or (window is not None and window < size[1])):
        raise _unreadable(kernel, "no mask where conventions differ")
    return {"mask": None, "causal": causal and size[0] > 1}


def _refuse_packed(kernel: str, mask: Any, options: Mapping[str, Any]) -> None:
    if not (mask is None or isinstance(mask, Tensor)) or kernel.startswith("flex"):
        raise _unreadable(kernel, "a mask in the kernel's own form")
    if options.get("cu_seq_lens_q") is not None or options.get("cache") is not None:
        raise _unreadable(kernel, "several sequences packed into one")


def _biased(bias: Tensor, mask: Tensor | None, *, causal: bool) -> Tensor:
    if mask is None and causal:
        mask = torch.ones(bias.shape[-2:], dtype=torch.bool, device=bias.device).tril()
    if mask is None:
        return bias
    if mask.dtype == torch.bool:
        return bias.masked_fill(~mask, -torch.inf)
    return bias + mask


def _extras(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"softcap": options.get("softcap"), "sinks": options.get("s_aux")}


def _unreadable(kernel: str, found: str) -> UnsupportedMethod:
    return UnsupportedMethod(
        f"Attention cannot be read from the kernel {kernel!r}: it was given {found}, and only masks over "
        f"queries and columns can be read. {_WAY_OUT}"
    )
