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
_GROUP_NORMS = {F.group_norm, torch.group_norm}
_NORM_ARGUMENTS = ("input", "num_groups", "weight", "bias", "eps")
_CHOICES = {torch.argmin, Tensor.argmin, torch.argmax, Tensor.argmax}
_CHOICE_ARGUMENTS = ("input", "dim")
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
        traced: Whether gradients tell what depends on the image; else all does.
        crossed: Values of attention whose queries do not depend on the image: what a resampler or
            cross-attention reads of it.
        resampled: How many rows or columns of features were read between others, at how many even places.
    """

    traced = True

    def __init__(self, *, narrow: bool = False, pooled: bool = False, middle: bool = False) -> None:
        super().__init__()
        self.narrow, self.pooled, self.middle = narrow, pooled, middle
        self.crossed: list[Tensor] = []
        self.resampled: set[tuple[int, int]] = set()
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
            if self._depends(named["input"]):
                return _narrowed(func, named, middle=self.middle)
        if self.narrow and func is F.interpolate and self._depends(args[0]):
            if kwargs.get("mode", "nearest") not in ("nearest", "nearest-exact"):
                kwargs = {**kwargs, "mode": "nearest-exact", "align_corners": None, "antialias": False}
                found = func(*args, **kwargs)
                self.resampled |= set(zip(args[0].shape[2:], found.shape[2:], strict=True))
                return found
        return func(*args, **kwargs)

    def _depends(self, tensor: Any) -> bool:
        """Whether a tensor may depend on the image."""
        return isinstance(tensor, Tensor) and (tensor.requires_grad or not self.traced)

    def _attention(self, given: dict[str, Any]) -> Tensor:
        query: Tensor = given["query"]
        value: Tensor = given["value"]
        if value.ndim == 4 and value.shape[1] != query.shape[1]:
            # Several heads share a value.
            value = value.repeat_interleave(query.shape[1] // value.shape[1], dim=1)
        same = value.shape[-2] == query.shape[-2]
        if same and (query.requires_grad or not value.requires_grad):
            return value
        if self.pooled and self._depends(query) and self._depends(value):
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


class Still(Silenced):
    """As `Silenced`, for passes without gradients that are compared with one another.

    Norms over a whole map of features divide by what they found in the first pass: else every position would
    depend on all others through its mean and deviation.

    Attributes:
        scores: Of the last pass, those of which the best were chosen, (place, choice): where an image is
            written in entries of a codebook, they depend on it smoothly, while its tokens do so in leaps.
        other: bool (place,), where another choice than the best is made; None for nowhere.
    """

    traced = False

    def __init__(self, *, narrow: bool = False, pooled: bool = False) -> None:
        super().__init__(narrow=narrow, pooled=pooled)
        self.scores: list[Tensor] = []
        self.other: Tensor | None = None
        self._moments: list[tuple[Tensor, Tensor]] = []
        self._norms = 0

    def __enter__(self) -> Still:
        """Begin a pass."""
        self._norms = 0
        self.scores = []
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace attention, and norms over whole maps; leave all else."""
        if func in _GROUP_NORMS:
            return self._norm(**dict(zip(_NORM_ARGUMENTS, args, strict=False)) | (kwargs or {}))
        if func in _CHOICES:
            return self._chosen(func, **dict(zip(_CHOICE_ARGUMENTS, args, strict=False)) | (kwargs or {}))
        return super().__torch_function__(func, types, args, kwargs)

    def _chosen(
        self,
        func: Any,
        input: Tensor,
        dim: int | None = None,
        **options: Any,
    ) -> Tensor:
        best: Tensor = func(input, dim, **options)
        if dim is None or not input.is_floating_point():
            return best
        start = sum(map(len, self.scores))
        self.scores.append(input.movedim(dim, -1).flatten(0, -2).float())
        if self.other is None:
            return best
        here = self.other[start : start + best.numel()].to(best.device).reshape(best.shape)
        return torch.where(here, (best + 1) % input.shape[dim], best)

    def _norm(
        self,
        input: Tensor,
        num_groups: int,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
        **_: Any,
    ) -> Tensor:
        grouped = input.reshape(len(input), num_groups, -1)
        if self._norms == len(self._moments):
            variance, mean = torch.var_mean(grouped, dim=-1, keepdim=True, correction=0)
            self._moments.append((mean, (variance + eps).rsqrt()))
        mean, scale = self._moments[self._norms]
        self._norms += 1
        normed = ((grouped - mean) * scale).reshape(input.shape)
        along = (1, -1, *[1] * (input.ndim - 2))
        if weight is not None:
            normed = normed * weight.reshape(along)
        return normed if bias is None else normed + bias.reshape(along)


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


def _narrowed(func: Callable[..., Any], named: dict[str, Any], *, middle: bool) -> Any:
    """A convolution that reads along each axis as many inputs as it steps, or its middle alone."""
    axes, weight = _CONVOLUTIONS[func], named["weight"]
    kernel, stride = weight.shape[2:], _each_axis(named.get("stride", 1), axes)
    if all(k <= s for k, s in zip(kernel, stride, strict=True)):
        return func(**named)
    padding = named.get("padding", 0)
    if isinstance(padding, str):
        padding = tuple((k - 1) // 2 for k in kernel)
    kept: list[Any] = [slice(None)] * 2
    for axis, (k, s, p) in enumerate(zip(kernel, stride, _each_axis(padding, axes), strict=True)):
        if axes == 3 and axis == 0:
            # Time: every frame shows the same image.
            kept.append(slice(None))
            continue
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
