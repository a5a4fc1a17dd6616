"""Raw maps on the token grid: one, and all that a method measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from groundviz.cards import card
from groundviz.errors import TargetError
from groundviz.record.parts import brief
from groundviz.record.parts.arrays import Floats
from groundviz.record.parts.goal import Target
from groundviz.record.parts.image import Grid
from groundviz.record.parts.provenance import Samples

# Cells that differ by less than this share of the largest are alike: a few last digits of float32.
ROUNDING = 8 * float(np.finfo(np.float32).eps)

Reduction = Literal["mean", "sum"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heatmap:
    """One raw map on the token grid.

    Attributes:
        values: float32 (rows, cols) of the grid, in `unit`; NaN where a cell has no token.
            Never normalised, clipped, blurred or upsampled.
        grid: Where the cells sit, and in which source image.
        target: The part of the answer, or of the question, that the map belongs to.
        method: Registered name of the method.
        unit: What a value counts.
        signed: Whether values below zero mean "against" rather than "nothing".
        layer: One layer of the model, or None when aggregated over layers.
        head: One attention head, or None when aggregated over heads.
        params: What the method was run with.
        standard_error: float32 like `values`, of each cell, in `unit`, where the method draws at random;
            None where it does not, or where the error of a combined map is not known.
        samples: What the map rests on, where the method counts its steps.

    >>> import groundviz
    >>> explanation = groundviz.explain("demo", np.zeros((112, 112), np.uint8), "Is there a nodule?")
    >>> heatmap = explanation.heatmap("attention")
    >>> heatmap.shape, heatmap.unit
    ((14, 14), 'share of attention')
    >>> bool(np.asarray(heatmap).sum() == heatmap.values.sum())
    True
    """

    values: Floats
    grid: Grid
    target: Target
    method: str
    unit: str
    signed: bool
    layer: int | None = None
    head: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    standard_error: Floats | None = None
    samples: Samples | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def has_evidence(self) -> bool:
        """Whether any cell differs from another by more than rounding: a constant map points nowhere."""
        seen = self.values[np.isfinite(self.values)].astype(np.float64)
        if not seen.size:
            return False
        return bool(np.ptp(seen) > ROUNDING * np.abs(seen).max())

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """The raw values, so that numpy and matplotlib take a map as they take an array.

        Args:
            dtype: As what to give them; as they are when None.
            copy: True always copies, None only where the dtype asks for it, as numpy 2 means it. False
                never copies: numpy 2 raises a ValueError where it would have to, numpy 1 copies.
        """
        # Both versions of numpy understand this call, and each by its own rule.
        return np.array(self.values, dtype=dtype, copy=cast(bool, copy))

    def __repr__(self) -> str:
        of = f"{self.method} of {brief.quoted(self.target.text)}"
        layer = head = ""
        if self.layer is not None:
            layer = f"layer {self.layer}"
        if self.head is not None:
            head = f"head {self.head}"
        shape = f"{brief.size(self.shape)} cells"
        return brief.line(
            "Heatmap", of, _place(self.grid), layer, head, shape, self.unit, brief.span(self.values)
        )

    def _repr_html_(self) -> str | None:
        return card(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heatmaps:
    """Everything one method measured in one explanation, raw.

    Attributes:
        values: float32 (target, layer, head, row, col) in `unit`; NaN where a cell has no token.
        targets: What each entry of axis 0 is about: single answer tokens where a method measures
            each, then single tokens of the question where it measures those, too, and the targets
            that were asked for.
        layers: Model-layer index of each entry of axis 1; empty where layers are not told apart.
        reduce: How (tokens, layers, heads) combine into one map: "mean" or "sum" each.
        method: Registered name of the method.
        unit: What a value counts.
        signed: Whether values below zero mean "against".
        grid: Where the cells sit.
        params: What the method was run with.
        standard_error: float32 of the shape of `values`, in `unit`, where the method draws at random.
        samples: What the maps rest on, where the method counts its steps.
    """

    values: Floats
    targets: tuple[Target, ...]
    layers: tuple[int, ...]
    reduce: tuple[Reduction, Reduction, Reduction]
    method: str
    unit: str
    signed: bool
    grid: Grid
    params: Mapping[str, Any] = field(default_factory=dict)
    standard_error: Floats | None = None
    samples: Samples | None = None

    def __repr__(self) -> str:
        targets, layers, heads = (
            brief.counted(len(self.targets), "target"),
            brief.counted(len(self.layers), "layer"),
            brief.counted(self.values.shape[2], "head"),
        )
        cells = f"{brief.size((self.grid.rows, self.grid.cols))} cells"
        return brief.line(
            "Heatmaps", self.method, _place(self.grid), targets, layers, heads, cells, self.unit
        )

    def has(self, target: Target) -> bool:
        """Whether `target` was measured, itself or token by token."""
        measured = {one.scalar for one in self.targets}
        return target.scalar in measured or (
            target.foil is None and all(((token,), None) in measured for token in target.tokens)
        )

    def at(self, target: Target, *, layer: int | None = None, head: int | None = None) -> Heatmap:
        """The map of one target, aggregated over layers and heads unless one is named.

        A target that was not measured as a whole is put together from its tokens. The standard error goes
        along where one measured entry is the whole map: the draws behind several entries are shared, so
        that the error of their sum or mean cannot be told from theirs.

        Raises:
            TargetError: The target, or a token, layer or head of that index, was not measured.
        """
        entries = self._entries(target)
        chosen = self._chosen(self.values[entries], layer, head)
        errors = None
        # A sum of entries has an error of its own only where it is a sum of one.
        if self.standard_error is not None and chosen.shape[:3] == (1, 1, 1):
            errors = self._chosen(self.standard_error[entries], layer, head)[0, 0, 0]
        # Heads first, then layers, then tokens: the last axis first, so that the others keep their numbers.
        for axis in (2, 1, 0):
            if self.reduce[axis] == "mean":
                chosen = chosen.mean(axis=axis)
            else:
                chosen = chosen.sum(axis=axis)
        return Heatmap(
            values=chosen.astype(np.float32),
            grid=self.grid,
            target=target,
            method=self.method,
            unit=self.unit,
            signed=self.signed,
            layer=layer,
            head=head,
            params=self.params,
            standard_error=errors,
            samples=self.samples,
        )

    def _chosen(self, values: Floats, layer: int | None, head: int | None) -> Floats:
        """The part (target, layer, head, row, col) of some values that is of one layer and head, if named."""
        if layer is not None:
            at = self._index("layer", layer, self.layers)
            values = values[:, at : at + 1]
        if head is not None:
            self._index("head", head, tuple(range(values.shape[2])))
            values = values[:, :, head : head + 1]
        return values

    def _entries(self, target: Target) -> list[int]:
        measured = [one.scalar for one in self.targets]
        if target.scalar in measured:
            return [measured.index(target.scalar)]
        if self.has(target):
            return [measured.index(((token,), None)) for token in target.tokens]
        known = ", ".join(repr(one.text) for one in self.targets)
        where = ""
        if target.in_question:
            where = " in the question"
        raise TargetError(
            f"{self.method} has no map for {target.text!r}{where}: it measured [{known}]. "
            "Name one of these, or explain again with the target you want."
        )

    def _index(self, what: str, wanted: int, measured: tuple[int, ...]) -> int:
        if wanted not in measured:
            raise TargetError(
                f"{self.method} has no map for {what} {wanted}: it measured {list(measured)}. "
                "Name one of these."
            )
        return measured.index(wanted)


def _place(grid: Grid) -> str:
    """Which image and tile a map lies on, in a few words; empty for the first image as a whole."""
    if not grid.image and not grid.label:
        return ""
    return f"image {grid.image} {grid.label}".strip()
