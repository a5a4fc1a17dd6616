"""Silences attention: while it lasts, every position of a model sees itself alone.

What remains of a vision tower (patch embedding, MLPs, merging, pooling, reordering, the projector) passes
each image token its own part of the image alone, through any number of layers and without naming a module.
Works on the calling thread only; nothing of the model or of torch is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_SOFTMAX = {F.softmax, torch.softmax, Tensor.softmax}
_PRODUCTS = {torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm}
_CONVOLUTIONS = {
    F.conv1d: 1,
    F.conv2d: 2,
    F.conv3d: 3,
    torch.conv1d: 1,
    torch.conv2d: 2,
    torch.conv3d: 3,
}
_ATTENTION_ARGUMENTS = ("query", "key", "value", "attn_mask")
_CONVOLUTION_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")


class Silenced(TorchFunctionMode):
    """A `with` block in which every position sees itself alone.

    Attention returns each query's own value. Where queries and keys differ in number it returns zeros.

    Attributes:
        narrow: Whether overlapping convolutions read as many inputs as they step, and smooth resampling
            takes the nearest: their outputs then each have inputs of their own.
        middle: Whether these read the middle of what they read alone, from which it is told where that lies.
        pooled: Whether attention from queries that depend on the image to another number of keys, as that of
            a pooling, returns the mean of the values instead.
        crossed: Values of attention whose queries do not depend on the image: what a resampler or
            cross-attention reads of it.
    """

    def __init__(self, *, narrow: bool = False, pooled: bool = False, middle: bool = False) -> None:
        super().__init__()
        self.narrow, self.pooled, self.middle = narrow, pooled, middle
        self.crossed: list[Tensor] = []
        # Attention weights that were replaced by zeros: what they are multiplied with are values.
        self._emptied: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace attention, and with `narrow` what overlaps; leave all else."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return self._attention(dict(zip(_ATTENTION_ARGUMENTS, args, strict=False)) | kwargs)
        if func is F.multi_head_attention_forward:
            return self._whole_attention(func, args, kwargs)
        if func in _SOFTMAX:
            weights = self._weights(args[0], _dimension(args, kwargs), kwargs.get("dtype"))
            if weights is not None:
                return weights
        if func in _PRODUCTS and self._emptied:
            self._note_values(*args[:2])
        if self.narrow and func in _CONVOLUTIONS:
            named = dict(zip(_CONVOLUTION_ARGUMENTS, args, strict=False)) | kwargs
            return _narrowed(func, named, middle=self.middle)
        if self.narrow and func is F.interpolate and _depends(args[0]):
            kwargs = {**kwargs, "mode": "nearest", "align_corners": None, "antialias": False}
        return func(*args, **kwargs)

    def _attention(self, given: dict[str, Any]) -> Tensor:
        query: Tensor = given["query"]
        value: Tensor = given["value"]
        if value.ndim == 4 and value.shape[1] != query.shape[1]:
            # Several heads share a value.
            value = value.repeat_interleave(query.shape[1] // value.shape[1], dim=1)
        same = value.shape[-2] == query.shape[-2]
        if same and (query.requires_grad or not value.requires_grad):
            return value
        if self.pooled and query.requires_grad and value.requires_grad:
            # Queries that are made of their keys pool them.
            return _mean_of_allowed(value, given.get("attn_mask"), query)
        if value.requires_grad:
            self.crossed.append(value)
        return value.new_zeros(*query.shape[:-1], value.shape[-1])

    def _weights(self, scores: Tensor, dimension: int, dtype: Any) -> Tensor | None:
        """The identity in place of a softmax over a square of queries and keys, zeros over an oblong."""
        if scores.ndim < 3 or dimension not in (-1, scores.ndim - 1):
            return None
        queries, keys = scores.shape[-2:]
        if queries == keys:
            own = torch.eye(keys, dtype=dtype or scores.dtype, device=scores.device)
            return own.expand(scores.shape)
        if scores.ndim < 4:
            # Shares of something else, such as experts or visual words.
            return None
        emptied = torch.zeros_like(scores, dtype=dtype)
        self._emptied.append(emptied)
        return emptied

    def _note_values(self, weights: Tensor, value: Tensor) -> None:
        if not value.requires_grad:
            return
        for emptied in self._emptied:
            if weights is emptied or (weights.shape == emptied.shape and not weights.any()):
                self.crossed.append(value)
                return

    def _whole_attention(self, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """`nn.MultiheadAttention`, whose own calls no mode sees: projections around its values alone."""
        names = ("query", "key", "value", "embed_dim_to_check", "num_heads", "in_proj_weight", "in_proj_bias")
        more = ("bias_k", "bias_v", "add_zero_attn", "dropout_p", "out_proj_weight", "out_proj_bias")
        given = dict(zip((*names, *more), args, strict=False)) | kwargs
        query, value, width = given["query"], given["value"], given["embed_dim_to_check"]
        if given.get("use_separate_proj_weight"):
            weight = given["v_proj_weight"]
        else:
            weight = given["in_proj_weight"][2 * width :]
        bias = given["in_proj_bias"]
        if bias is not None:
            bias = bias[2 * width :]
        projected = F.linear(value, weight, bias)
        # The position is the first axis here.
        if len(query) != len(value) or (value.requires_grad and not query.requires_grad):
            if projected.requires_grad:
                self.crossed.append(projected.transpose(0, 1))
            projected = projected.new_zeros(*query.shape[:-1], width)
        return F.linear(projected, given["out_proj_weight"], given["out_proj_bias"]), None


def _mean_of_allowed(value: Tensor, mask: Tensor | None, query: Tensor) -> Tensor:
    """The mean of the values that each query may attend to."""
    shape = (*query.shape[:-1], value.shape[-2])
    if mask is None:
        weights = value.new_ones(shape)
    elif mask.dtype == torch.bool:
        weights = mask.to(value).expand(shape)
    else:
        weights = (mask == 0).to(value).expand(shape)
    return weights / weights.sum(dim=-1, keepdim=True).clamp(min=1) @ value


def _dimension(args: Sequence[Any], kwargs: dict[str, Any]) -> int:
    if len(args) > 1 and isinstance(args[1], int):
        return args[1]
    return int(kwargs.get("dim", -1))


def _depends(tensor: Any) -> bool:
    return isinstance(tensor, Tensor) and tensor.requires_grad


def _narrowed(func: Callable[..., Any], named: dict[str, Any], *, middle: bool) -> Any:
    """A convolution that reads along each axis as many inputs as it steps, or its middle alone."""
    axes, weight = _CONVOLUTIONS[func], named["weight"]
    kernel, stride = weight.shape[2:], _each_axis(named.get("stride", 1), axes)
    if not _depends(named["input"]) or all(k <= s for k, s in zip(kernel, stride, strict=True)):
        return func(**named)
    padding = named.get("padding", 0)
    if isinstance(padding, str):
        padding = tuple((k - 1) // 2 for k in kernel)
    kept: list[Any] = [slice(None)] * 2
    for k, s, p in zip(kernel, stride, _each_axis(padding, axes), strict=True):
        spare = max(0, k - s)
        start = min(p, spare) if p else spare // 2
        # Inputs that are a step long fill the image without gaps, but need not be around the middle.
        part = slice(start, start + min(s, k))
        if middle and k > s:
            part = slice((k - 1) // 2, k // 2 + 1)
        kept.append(part)
    mask = torch.zeros_like(weight)
    mask[tuple(kept)] = 1
    return func(**{**named, "weight": weight * mask})


def _each_axis(value: Any, axes: int) -> tuple[int, ...]:
    if value is None:
        return (1,) * axes
    if isinstance(value, int):
        return (value,) * axes
    return tuple(value) if len(value) == axes else tuple(value) * axes
