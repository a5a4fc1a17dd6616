"""The facts that travel through groundviz: frozen, keyword-only, numpy alone.

Nothing here knows torch, so a saved record opens on a machine without it.
Coordinates are always (row, col). Pixel r covers [r, r + 1), so its centre is r + 0.5;
token cells follow the same rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from groundviz.errors import TargetError
from groundviz.record.goal import Foil as Foil
from groundviz.record.goal import Target as Target
from groundviz.record.messages import Message as Message
from groundviz.record.provenance import Check as Check
from groundviz.record.provenance import Provenance as Provenance
from groundviz.record.provenance import Samples as Samples
from groundviz.record.provenance import Score as Score

# Spelled out, because numpy.typing.NDArray is another kind of object in each version of numpy,
# and records are stored by these types.
Floats = np.ndarray[tuple[Any, ...], np.dtype[np.float32]]
Doubles = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]
Ints = np.ndarray[tuple[Any, ...], np.dtype[np.int64]]
Bools = np.ndarray[tuple[Any, ...], np.dtype[np.bool_]]

# Cells that differ by less than this share of the largest are alike: a few last digits of float32.
ROUNDING = 8 * float(np.finfo(np.float32).eps)

Reduction = Literal["mean", "sum"]
SpanKind = Literal["image", "question", "template"]
Stage = Literal["pixels", "vision", "projector", "language", "cross"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceImage:
    """An image ready to be shown and asked about, without a trace of whose it is.

    Attributes:
        pixels: float32 (rows, cols) or (rows, cols, 3), display space, 0 black to 1 white.
        source: The kind of thing it came from: "png", "jpeg", "dicom", "array", ...
        raw_range: Smallest and largest stored value before display mapping.
        window: DICOM (centre, width) that was applied, or None.
        inverted: Whether low stored values are shown bright.
        spacing_mm: Millimetres per pixel (row, col), or None when unknown; a mere ratio if a note says so.
        notes: What was done to the pixels and what to beware of, in plain words.
        sha256: Of the pixels as shown; equal pixels, equal hash.

    >>> import groundviz
    >>> source_image = groundviz.images.load(np.zeros((4, 6), np.uint8))
    >>> source_image.shape, source_image.source
    ((4, 6), 'array')
    """

    pixels: Floats = field(repr=False)
    source: str
    raw_range: tuple[float, float]
    sha256: str = field(repr=False)
    window: tuple[float, float] | None = None
    inverted: bool = False
    spacing_mm: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """Where each image token of one image sits, in the prompt and in the source image.

    Attributes:
        rows: Number of token rows.
        cols: Number of token columns.
        positions: int (rows * cols,), index into the prompt's tokens; -1 where a cell has no token.
        to_source: float64 (2, 3) affine: [row, col, 1] in cells to [row, col] in source pixels.
        valid: bool (rows, cols), False where a cell has no token or shows no source pixel.
        stage: Which part of the model the cells belong to.
        image: Which of the prompt's source images the cells lie on.
        label: What tells it from other grids of the same image: "overview", "tiles"; empty for one.
    """

    rows: int
    cols: int
    positions: Ints
    to_source: Doubles
    valid: Bools
    stage: Stage
    image: int = 0
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A run of prompt tokens [start, stop) that came from one place."""

    kind: SpanKind
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompt:
    """The exact tokens the model was given, and what each of them stands for.

    Attributes:
        text: The whole prompt before images are expanded.
        question: What was typed: the last turn's text where there are several, or the verbatim prompt.
        token_ids: int (token,).
        tokens: The tokens by their names in the vocabulary.
        spans: What each of them came from.
        grids: The image cells that attention maps lie on.
        offsets: int (token, 2), the characters of `question` that each token wrote; empty for tokens
            that wrote none. None where that is not known.
        messages: The whole conversation, a system prompt first, where more than a question was asked;
            the spans call its other turns "template", like all that stands around the question.
        verbatim: Whether `question` is the prompt itself, put into no chat template.
    """

    text: str
    question: str
    token_ids: Ints
    tokens: tuple[str, ...]
    spans: tuple[Span, ...]
    grids: tuple[Grid, ...]
    offsets: Ints | None = None
    messages: tuple[Message, ...] = ()
    verbatim: bool = False

    @property
    def image_ids(self) -> frozenset[int]:
        """Ids of the tokens that stand for an image."""
        spans = (self.token_ids[span.start : span.stop] for span in self.spans if span.kind == "image")
        return frozenset(int(token) for ids in spans for token in ids)

    @property
    def asked(self) -> tuple[int, ...]:
        """Indices of the question's tokens as `Target.tokens` counts them, ascending: -1 is the last one."""
        spans = (range(span.start, span.stop) for span in self.spans if span.kind == "question")
        return tuple(at - len(self.tokens) for span in spans for at in span)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What the model said, token by token.

    Attributes:
        text: The answer without special tokens.
        token_ids: int (T,), exactly what was generated, end token included.
        tokens: The T tokens as text; special tokens keep their name.
        offsets: int (T, 2), the characters of `text` each token wrote; empty for special tokens.
        logprobs: float32 (T,), natural log of the model's raw (unwarped) probability of each token.
        source: "generated" by the model, or "given" to it.
        finished: Whether the model ended the answer by itself; False where it was cut off by its length,
            None where that is not known, as for a given answer.
    """

    text: str
    token_ids: Ints
    tokens: tuple[str, ...]
    offsets: Ints
    logprobs: Floats
    source: Literal["generated", "given"]
    finished: bool | None = None

    @property
    def spoken(self) -> tuple[int, ...]:
        """Indices of the tokens that wrote a character of the answer."""
        return tuple(int(i) for i in np.flatnonzero(self.offsets[:, 1] > self.offsets[:, 0]))

    @property
    def confidence(self) -> float:
        """Probability of the whole spoken answer: the product over its tokens, 0 to 1."""
        return float(np.exp(self.logprobs[list(self.spoken)].sum(dtype=np.float64)))


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
        checks: What is known about whether to believe it.
        standard_error: float32 like `values`, of each cell, in `unit`, where the method draws at random;
            None where it does not, or where the error of a combined map is not known.
        samples: What the map rests on, where the method counts its steps.

    >>> import groundviz
    >>> explanation = groundviz.explain("demo", np.zeros((112, 112), np.uint8), "Is there a nodule?")
    >>> heatmap = explanation.heatmap("attention")
    >>> heatmap.values.shape, heatmap.unit
    ((14, 14), 'share of attention')
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
    checks: tuple[Check, ...] = ()
    standard_error: Floats | None = None
    samples: Samples | None = None

    @property
    def has_evidence(self) -> bool:
        """Whether any cell differs from another by more than rounding: a constant map points nowhere."""
        seen = self.values[np.isfinite(self.values)].astype(np.float64)
        if not seen.size:
            return False
        return bool(np.ptp(seen) > ROUNDING * np.abs(seen).max())


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
        if self.standard_error is not None and chosen.shape[:3] == (1, 1, 1):
            errors = self._chosen(self.standard_error[entries], layer, head)[0, 0, 0]
        for axis, how in ((2, self.reduce[2]), (1, self.reduce[1]), (0, self.reduce[0])):
            chosen = chosen.mean(axis=axis) if how == "mean" else chosen.sum(axis=axis)
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
        where = " in the question" if target.in_question else ""
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """One question, one answer and every map made of it; what a .gvz file holds.

    Attributes:
        source_images: The images that were asked about, at least one; `Grid.image` counts them from 0.
        prompt: What the model was given.
        answer: What it said.
        targets: The parts of the answer, or of the question, that were asked for, at least one.
        heatmaps: What each method measured, one entry for each grid of cells.
        provenance: What made all this.
        checks: What is known about whether to believe the maps.
        scores: The maps against the truth.
        label: The user's own name for the model or the run, such as "checkpoint A".
        unmeasured: Methods that were asked for and never ran, because the work was interrupted.
    """

    source_images: tuple[SourceImage, ...]
    prompt: Prompt
    answer: Answer
    targets: tuple[Target, ...]
    heatmaps: tuple[Heatmaps, ...]
    provenance: Provenance
    checks: tuple[Check, ...] = ()
    scores: tuple[Score, ...] = ()
    label: str = ""
    unmeasured: tuple[str, ...] = ()

    @property
    def source_image(self) -> SourceImage:
        """The image, the first where there are several."""
        return self.source_images[0]

    @property
    def target(self) -> Target:
        """What was asked for first: what is shown unless another target is named."""
        return self.targets[0]
