"""The adapter of any model whose image becomes tokens of its prompt: everything is measured on the model.

The prompt is the processor's own chat template; whatever tensors the processor returns go into the model.
What cannot be measured is told by name, and the model is then a closed box, which perturbation methods alone
explain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from groundviz.errors import GroundvizError, ImageError, PromptError
from groundviz.models.adapter.modules import no_parts
from groundviz.models.adapter.probe_images import QUESTION
from groundviz.models.adapter.vlm import FAMILIES, MEASURED, UNKNOWN, VLM
from groundviz.models.families.black_box import FALLBACK, unread_pixels
from groundviz.models.measured.anatomy import parts_of_measured
from groundviz.models.measured.geometry import cells_of, pixels_alone
from groundviz.models.measured.habits import goes_on, keeps_batches_apart, reads_rows
from groundviz.models.measured.layout import Block, blocks_of
from groundviz.models.measured.ramps import blank_image, read_ramps
from groundviz.models.measured.unmeasurable import Unmeasurable, attempted
from groundviz.models.measured.wiring import Wiring, layers_of_text, trace
from groundviz.models.prompting.encode import Asked, finish, read_prompt
from groundviz.models.prompting.markers import marker_of
from groundviz.record.conversation import Asking, Verbatim
from groundviz.record.types import Ints, SourceImage
from groundviz.runtime.inputs.encoded import Cells, Encoded
from groundviz.runtime.inputs.sites import Parts
from groundviz.runtime.loan.device import on_device
from groundviz.runtime.loan.holding import held
from groundviz.runtime.passes.forward import is_per_token

# What an image is shown as while a model's modules are found: several image tokens of any model.
USUAL = ((96, 128),)

# How many shapes of images are kept of each model.
MOST_KEPT = 16

K = TypeVar("K")
V = TypeVar("V")
Shapes = tuple[tuple[int, int], ...]


@dataclass(slots=True, eq=False)
class _Known:
    """What has been measured of a model with one processor.

    Attributes:
        setting: The state of the processor.
        marker: What a prompt written by hand has for an image.
        parts: The modules that methods read.
        placed: Whether its image tokens have places.
        ramps: By the shapes of the source images: the names of the image inputs, and how pixels lie in them.
        wirings: By the shapes of the inputs: what feeds what.
        together: How many images in one prompt the model has been seen to take.
    """

    setting: str
    marker: str = ""
    parts: Parts | None = None
    placed: bool = True
    ramps: dict[Shapes, tuple[tuple[str, ...], list[Block]]] = field(default_factory=dict)
    wirings: dict[str, Wiring] = field(default_factory=dict)
    together: set[int] = field(default_factory=set)


# An entry goes with its model.
_KNOWN: WeakKeyDictionary[nn.Module, _Known] = WeakKeyDictionary()


class Measured:
    """The adapter of every model that has no family of its own."""

    says = "Any other model whose image becomes tokens of its prompt: its geometry is measured."
    classes = "any"
    checkpoints: tuple[str, ...] = ()

    def matches(self, config: Any) -> bool:
        """Never: it is what remains when no family matches."""
        return False

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images in the model's own chat template, and measure where they are.

        Cost: at a new shape of images five encodings, a pass through the vision tower and four backward
        passes of it, seven where it merges patches; at one seen before, nothing.
        """
        known = _known(vlm)
        if known.parts is None or known.parts.unknown:
            return FAMILIES[UNKNOWN].encode(vlm, source_images, question)
        try:
            return self._measured(vlm, known, source_images, question)
        except Unmeasurable as why:
            shapes = " and ".join(f"{rows} by {cols}" for rows, cols in (one.shape for one in source_images))
            raise ImageError(
                f"Images of {shapes} pixels cannot be placed in this model: {why}. Crop or scale the image "
                "to a more usual shape."
            ) from None

    def _measured(
        self, vlm: VLM, known: _Known, source_images: tuple[SourceImage, ...], question: Asking
    ) -> Encoded:
        asked = _ask(vlm, known, source_images, question)
        names, blocks = _ramps(vlm, known, asked.shapes)
        if not known.placed:
            _refuse_together(vlm, known, asked)
            pixels = pixels_alone(blocks, asked.shapes) or unread_pixels(asked.shapes)
            nothing = np.empty(0, dtype=np.int64)
            encoded = finish(vlm, asked, image=nothing, grids=(), cells={"pixels": pixels}, columns=nothing)
            return replace(encoded, image_inputs=names)
        wiring, positions = _wiring(vlm, known, asked, names)
        cells = {"pixels": unread_pixels(asked.shapes), **cells_of(blocks, wiring, asked.shapes)}
        cells["language"] = _at(cells["language"], positions)
        for stage in _elsewhere(known.parts, wiring):
            cells.pop(stage, None)
        if "projector" in cells:
            cells["projector"] = replace(cells["projector"], grids=cells["language"].grids)
        return replace(finish(vlm, asked, cells=cells), image_inputs=names)

    def parts(self, model: Any) -> Parts:
        """What was found when the model was measured."""
        known = _KNOWN.get(model)
        if known is None or known.parts is None:
            return FAMILIES[UNKNOWN].parts(model)
        return known.parts

    def measured_parts(self, vlm: VLM) -> Parts:
        """The modules that methods read, measured now if they have not been."""
        _known(vlm)
        return self.parts(vlm.model)


def _known(vlm: VLM) -> _Known:
    """What is known of a model; at first its modules are found, and whether its image tokens have places."""
    setting = f"{id(vlm.processor)} {getattr(vlm.processor, 'image_processor', None)!r}"
    known = _KNOWN.get(vlm.model)
    if known is None or known.setting != setting:
        known = _KNOWN[vlm.model] = _Known(setting)
    if known.parts is None:
        known.parts = _found(vlm, known)
    return known


def _found(vlm: VLM, known: _Known) -> Parts:
    """The modules of a model; none, and why, where it cannot be measured."""
    if not getattr(vlm.processor, "chat_template", None):
        # What a template writes need not be the image token, so it is not counted.
        known.marker = marker_of(vlm.processor)
    try:
        return _measured_parts(vlm, known)
    except Unmeasurable as why:
        closed = FAMILIES[UNKNOWN].parts(vlm.model)
        return replace(closed, unknown=f"This model cannot be measured: {why}.")


def _measured_parts(vlm: VLM, known: _Known) -> Parts:
    try:
        asked = _ask(vlm, known, [blank_image(shape) for shape in USUAL], QUESTION)
    except GroundvizError:
        raise
    except Exception as error:
        raise Unmeasurable(f"its processor fails ({type(error).__name__})") from error
    names, blocks = _ramps(vlm, known, asked.shapes)
    inputs = on_device(vlm.model, asked.inputs)
    try:
        wiring, _ = _wiring(vlm, known, asked, names)
        cells_of(blocks, wiring, asked.shapes)
    except Unmeasurable as why:
        reason = str(why)
    else:
        return _with_habits(vlm, known, parts_of_measured(vlm.model, wiring.layers, wiring), inputs, names)
    known.placed = False
    try:
        with held(vlm.model) as loan:
            layers, reached = layers_of_text(loan, inputs, names)
    except Unmeasurable as why:
        # Pixels can still be hidden, and differentiated.
        return _with_habits(vlm, known, no_parts(opaque=_OPAQUE.format(why)), inputs, names)
    if not reached:
        reason = (
            "its text reads the image through cross-attention, or through discrete codes without gradients"
        )
    parts = parts_of_measured(vlm.model, layers, None, _OPAQUE.format(reason))
    return _with_habits(vlm, known, parts, inputs, names)


def _with_habits(
    vlm: VLM, known: _Known, parts: Parts, inputs: Mapping[str, Tensor], names: Sequence[str]
) -> Parts:
    other = _ask(vlm, known, [blank_image(shape, bright=True) for shape in USUAL], QUESTION).inputs
    with held(vlm.model):
        apart = keeps_batches_apart(vlm.model, inputs, on_device(vlm.model, other), names)
        continues = goes_on(vlm.model, inputs)
        unread = parts.attending and not reads_rows(vlm.model, parts.attending, inputs)
    if unread:
        parts = replace(parts, opaque=_OTHERWISE.format(type(parts.attending[0]).__name__))
    return replace(parts, batches=apart, continues=continues)


_OTHERWISE = (
    "Attention rows of {} cannot be read: what they make of the values is not what its kernel puts out. Use "
    "a method that reads no attention, such as occlusion or integrated_gradients."
)
_OPAQUE = (
    "No image token of this model belongs to one place of the image: {}. Use a method that reads no "
    "attention, such as occlusion or integrated_gradients."
)


def _ask(vlm: VLM, known: _Known, source_images: Sequence[SourceImage], question: Asking) -> Asked:
    marker = known.marker
    if isinstance(question, Verbatim):
        marker = str(getattr(vlm.processor, "image_token", "") or "")
    return read_prompt(vlm, source_images, question, FALLBACK, marker=marker)


def _ramps(vlm: VLM, known: _Known, shapes: Shapes) -> tuple[tuple[str, ...], list[Block]]:
    """The names of the image inputs, and how the pixels of images of these shapes lie in them."""
    if shapes not in known.ramps:
        shown = read_ramps(lambda images: _ask(vlm, known, images, QUESTION).inputs, shapes)
        _keep(known.ramps, shapes, (tuple(one.name for one in shown), blocks_of(shown, shapes)))
    return known.ramps[shapes]


def _refuse_together(vlm: VLM, known: _Known, asked: Asked) -> None:
    """Stop several images that the model fails on together; one pass for each number of them.

    Raises:
        PromptError: It fails.
    """
    count = len(asked.shapes)
    if count == 1 or count in known.together:
        return
    failure = ""
    try:
        with held(vlm.model), torch.no_grad():
            logits = attempted(lambda: vlm.model(**on_device(vlm.model, asked.inputs)).logits)
        if len(logits) != 1:
            failure = f"it answers {len(logits)} prompts"
    except Unmeasurable as why:
        failure = str(why)
    if failure:
        raise PromptError(
            f"The prompt has {count} images, and this model does not take them together: {failure}. Ask "
            "about each."
        )
    known.together.add(count)


def _wiring(vlm: VLM, known: _Known, asked: Asked, names: Sequence[str]) -> tuple[Wiring, Ints]:
    """What feeds what in a prompt, and the positions of its image tokens."""
    key = _key(asked.inputs, names)
    wiring = known.wirings.get(key)
    if wiring is not None:
        positions = np.flatnonzero(np.isin(asked.token_ids, list(wiring.ids)))
        if len(positions) == wiring.tokens:
            return wiring, positions
    with held(vlm.model) as loan:
        wiring = trace(loan, on_device(vlm.model, asked.inputs), names)
    _keep(known.wirings, key, wiring)
    return wiring, wiring.positions


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    """Keep one more entry, and let go of the oldest where there are many: images may have any shape."""
    while len(kept) >= MOST_KEPT:
        del kept[next(iter(kept))]
    kept[key] = value


def _key(inputs: Mapping[str, Tensor], names: Sequence[str]) -> str:
    """What the wiring of the image depends on: shapes, and the values of what counts or masks its parts."""
    parts = []
    for name, tensor in sorted(inputs.items()):
        if isinstance(tensor, list):
            parts.append(f"{name} {tensor}")
        elif name in names or tensor.is_floating_point():
            parts.append(f"{name} {tuple(tensor.shape)}")
        elif not is_per_token(tensor, inputs):
            values = sha256(np.ascontiguousarray(tensor.cpu().numpy()).tobytes()).hexdigest()
            parts.append(f"{name} {tuple(tensor.shape)} {values}")
    return "; ".join(parts)


def _elsewhere(parts: Parts | None, wiring: Wiring) -> Iterator[str]:
    """The stages that images of this shape have in other modules than those that methods read."""
    if parts is None or wiring.projector is not parts.projector:
        yield "projector"
    layers = wiring.tower.layers if wiring.tower else ()
    if parts is None or layers != parts.vision_layers:
        yield "vision"


def _at(cells: Cells, positions: Ints) -> Cells:
    """Cells whose tokens are numbered, with the positions of these tokens in a prompt."""
    grids = []
    for grid in cells.grids:
        held = grid.positions >= 0
        grids.append(replace(grid, positions=np.where(held, positions[grid.positions], -1)))
    return Cells(grids=tuple(grids), index=positions[cells.index])


FAMILIES.add(MEASURED, Measured())
