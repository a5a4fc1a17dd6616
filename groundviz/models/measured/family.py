"""The adapter of any model whose image becomes tokens of its prompt: everything is measured on the model.

The prompt is the processor's own chat template; whatever tensors the processor returns go into the model.
What cannot be measured is told by name, and the model is then a closed box, which perturbation methods alone
explain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundviz.errors import GroundvizError, ImageError, PromptError
from groundviz.models.adapter.black_box import unread_pixels
from groundviz.models.adapter.mismatch import check_belonging
from groundviz.models.adapter.modules import no_parts
from groundviz.models.adapter.probe_images import QUESTION
from groundviz.models.adapter.shape_check import Unplaced
from groundviz.models.adapter.unmeasurable import Unmeasurable, attempted
from groundviz.models.adapter.vlm import FAMILIES, MEASURED, UNKNOWN, VLM
from groundviz.models.measured.anatomy import parts_of_measured
from groundviz.models.measured.differences import wired
from groundviz.models.measured.geometry import cells_of, pixels_alone
from groundviz.models.measured.habits import ANSWER, gates_of, goes_on, keeps_batches_apart, reads_rows
from groundviz.models.measured.known import KNOWN, Known, Shapes, keep, key_of, setting_of
from groundviz.models.measured.layout import Block, blocks_of
from groundviz.models.measured.ramps import blank_image, read_ramps
from groundviz.models.measured.wiring import Wiring, layers_of_text
from groundviz.models.prompting.defaults import PLAIN
from groundviz.models.prompting.encode import Asked, finish, read_prompt
from groundviz.models.prompting.formats import Format
from groundviz.models.prompting.markers import marker_of
from groundviz.record.conversation import Asking, Verbatim
from groundviz.record.types import Ints, SourceImage
from groundviz.runtime.inputs.encoded import Cells, Encoded
from groundviz.runtime.inputs.sites import Parts
from groundviz.runtime.loan.device import on_device
from groundviz.runtime.loan.holding import held
from groundviz.runtime.passes.forward import continued, last_logits, teacher_forced_inputs

# What an image is shown as while a model's modules are found: several image tokens of any model.
USUAL = ((96, 128),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """The adapter of models whose geometry is measured; its fields are what no measurement can tell.

    Attributes:
        says: What the family is, in a sentence.
        classes: Which classes of transformers it is for.
        checkpoints: Hub ids of checkpoints it is meant for.
        types: The model types that belong to it; none for the adapter of every model without a family.
        tower: The model type of their vision tower, where that decides.
        prompt: How a question is put where the processor has no chat template.
        marker: What a template writes once for each image; the processor's image token when None.
        options: Further options of the processor, from the processor.
        answer_fill: What per-token inputs hold for the tokens of an answer.
    """

    says: str
    classes: str
    checkpoints: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    tower: str | None = None
    prompt: Format = PLAIN
    marker: str | None = None
    options: Callable[[Any], Mapping[str, Any]] | None = None
    answer_fill: Mapping[str, int] = field(default_factory=dict)

    def matches(self, config: Any) -> bool:
        """True for the model types of the family."""
        if getattr(config, "model_type", "") not in self.types:
            return False
        return self.tower is None or config.vision_config.model_type == self.tower

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images in the model's own chat template, and measure where they are.

        Cost: at a new shape of images five encodings, a pass through the vision tower and four backward
        passes of it, seven where it merges patches; at one seen before, nothing.
        """
        known = _known(vlm)
        if known.parts is None or known.parts.unknown:
            encoded = FAMILIES[UNKNOWN].encode(vlm, source_images, question)
            _refuse_untaken(vlm, known, encoded.inputs, tuple(one.shape for one in source_images))
            return encoded
        try:
            encoded = self._measured(vlm, known, source_images, question)
        except Unmeasurable as why:
            raise Unplaced(str(why)) from None
        return replace(encoded, answer_fill=dict(self.answer_fill))

    def ask(self, vlm: VLM, source_images: Sequence[SourceImage], question: Asking) -> Asked:
        """The prompt as the model's own processor makes it."""
        options = self.options(vlm.processor) if self.options else {}
        marker = self._marker(vlm.processor, question)
        return read_prompt(vlm, source_images, question, self.prompt, marker=marker, **options)

    def _marker(self, processor: Any, question: Asking) -> str | None:
        if self.types:
            return self.marker
        if isinstance(question, Verbatim):
            return str(getattr(processor, "image_token", "") or "")
        if getattr(processor, "chat_template", None):
            # What an unknown template writes need not be the image token, so it is not counted.
            return ""
        return marker_of(processor)

    def _measured(
        self, vlm: VLM, known: Known, source_images: tuple[SourceImage, ...], question: Asking
    ) -> Encoded:
        asked = self.ask(vlm, source_images, question)
        names, blocks = _ramps(vlm, known, asked.shapes)
        if not known.placed:
            _refuse_untaken(vlm, known, asked.inputs, asked.shapes)
            pixels = pixels_alone(blocks, asked.shapes) or unread_pixels(asked.shapes)
            nothing = np.empty(0, dtype=np.int64)
            encoded = finish(vlm, asked, image=nothing, grids=(), cells={"pixels": pixels}, columns=nothing)
            return replace(encoded, image_inputs=names)
        _refuse_apart(asked.inputs, asked.shapes)
        wiring, positions = _wiring(vlm, known, asked, names, blocks)
        cells = {"pixels": unread_pixels(asked.shapes), **_cells(known, blocks, wiring, asked.shapes)}
        cells["language"] = _at(cells["language"], positions)
        for stage in _elsewhere(known.parts, wiring):
            cells.pop(stage, None)
        if "projector" in cells and wiring.projector_place is None:
            cells["projector"] = replace(cells["projector"], grids=cells["language"].grids)
        return replace(finish(vlm, asked, cells=cells), image_inputs=names)

    def parts(self, model: Any) -> Parts:
        """What was found when the model was measured."""
        known = KNOWN.get(model)
        if known is None or known.parts is None:
            return FAMILIES[UNKNOWN].parts(model)
        return known.parts

    def measured_parts(self, vlm: VLM) -> Parts:
        """The modules that methods read, measured now if they have not been."""
        _known(vlm)
        return self.parts(vlm.model)


def _known(vlm: VLM) -> Known:
    """What is known of a model; at first its modules are found, and whether its image tokens have places."""
    setting = setting_of(vlm)
    known = KNOWN.get(vlm.model)
    if known is None or known.setting != setting:
        known = KNOWN[vlm.model] = Known(setting)
    if known.parts is None:
        known.parts = _found(vlm, known)
    return known


def _found(vlm: VLM, known: Known) -> Parts:
    """The modules of a model; none, and why, where it cannot be measured."""
    try:
        return _measured_parts(vlm, known)
    except Unmeasurable as why:
        closed = FAMILIES[UNKNOWN].parts(vlm.model)
        return replace(closed, unknown=f"This model cannot be measured: {why}.")


def _measured_parts(vlm: VLM, known: Known) -> Parts:
    try:
        asked = _ask(vlm, [blank_image(shape) for shape in USUAL])
    except GroundvizError:
        raise
    except Exception as error:
        raise Unmeasurable(f"its processor fails ({type(error).__name__})") from error
    inputs = on_device(vlm.model, asked.inputs)
    try:
        names, blocks = _ramps(vlm, known, asked.shapes)
    except Unmeasurable:
        _check_pass(vlm, inputs)
        raise
    try:
        wiring, _ = _wiring(vlm, known, asked, names, blocks)
        cells_of(blocks, wiring, asked.shapes)
    except Unmeasurable as why:
        reason = str(why)
    else:
        parts = parts_of_measured(vlm.model, wiring.layers, wiring)
        return _with_habits(vlm, parts, inputs, names, wiring)
    known.placed = False
    try:
        with held(vlm.model) as loan:
            layers, reached = layers_of_text(loan, inputs, names)
    except Unmeasurable as why:
        _check_pass(vlm, inputs)
        # Pixels can still be hidden, and differentiated.
        return _with_habits(vlm, no_parts(opaque=_OPAQUE.format(why)), inputs, names)
    if not reached:
        reason = (
            "its text reads the image through cross-attention, or through discrete codes without gradients"
        )
    parts = parts_of_measured(vlm.model, layers, None, _OPAQUE.format(reason))
    return _with_habits(vlm, parts, inputs, names)


def _check_pass(vlm: VLM, inputs: Mapping[str, Tensor]) -> None:
    """Stop a model that fails on what the processor makes, whatever is measured; costs one pass.

    Raises:
        UnsupportedModel: Model and processor do not belong together.
    """
    failure = ""
    try:
        with held(vlm.model), torch.no_grad():
            attempted(lambda: vlm.model(**inputs))
    except Unmeasurable as why:
        failure = str(why)
    check_belonging(not failure, f"Of this model, with an image as its processor prepares it, {failure}.")


def _with_habits(
    vlm: VLM, parts: Parts, inputs: Mapping[str, Tensor], names: Sequence[str], wiring: Wiring | None = None
) -> Parts:
    """What the model can be relied on for; most of that is tested of a known family already."""
    other = on_device(vlm.model, _ask(vlm, [blank_image(shape, bright=True) for shape in USUAL]).inputs)
    with held(vlm.model) as loan:
        gates: tuple[str, ...] = ()
        if wiring is not None:
            gates = gates_of(loan, parts, wiring, inputs, other)
        parts = replace(parts, gates=gates)
        family: Any = vlm.family
        if family.types:
            return parts
        apart = keeps_batches_apart(vlm.model, inputs, other, names)
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


def _ask(vlm: VLM, source_images: Sequence[SourceImage]) -> Asked:
    """A prompt to measure."""
    family: Any = vlm.family
    asked: Asked = family.ask(vlm, source_images, QUESTION)
    return asked


def _ramps(vlm: VLM, known: Known, shapes: Shapes) -> tuple[tuple[str, ...], list[Block]]:
    """The names of the image inputs, and how the pixels of images of these shapes lie in them."""
    if shapes not in known.ramps:
        shown = read_ramps(lambda images: _ask(vlm, images).inputs, shapes)
        keep(known.ramps, shapes, (tuple(one.name for one in shown), blocks_of(shown, shapes)))
    return known.ramps[shapes]


def _refuse_apart(inputs: Mapping[str, Tensor], shapes: Shapes) -> None:
    """Stop several images of which the processor makes several prompts.

    Raises:
        PromptError: It does.
    """
    prompts = len(inputs[continued(inputs)])
    if prompts != 1:
        raise PromptError(
            f"The prompt has {len(shapes)} images, and this model's processor makes {prompts} prompts of "
            "them. Ask about each."
        )


def _refuse_untaken(vlm: VLM, known: Known, inputs: Mapping[str, Tensor], shapes: Shapes) -> None:
    """Stop images that the model itself fails on; one pass for each of their shapes.

    Raises:
        ImageError: It fails on one image.
        PromptError: It fails on several, or does not take them together.
    """
    _refuse_apart(inputs, shapes)
    if shapes in known.taken:
        return
    whole = teacher_forced_inputs(on_device(vlm.model, inputs), ANSWER, fill={})
    try:
        with held(vlm.model), torch.no_grad():
            logits = attempted(lambda: last_logits(vlm.model, whole, 1))
        failure = "" if len(logits) == 1 else f"it answers {len(logits)} prompts"
    except Unmeasurable as why:
        failure = str(why)
    if failure and len(shapes) > 1:
        raise PromptError(
            f"The prompt has {len(shapes)} images, and this model does not take them together: {failure}. "
            "Ask about each."
        )
    if failure:
        rows, cols = shapes[0]
        raise ImageError(
            f"The image has {rows} rows and {cols} columns, and the model fails on what its processor makes "
            f"of that: {failure}. Crop or scale it to a more usual shape."
        )
    keep(known.taken, shapes, True)


def _wiring(
    vlm: VLM, known: Known, asked: Asked, names: Sequence[str], blocks: Sequence[Block]
) -> tuple[Wiring, Ints]:
    """What feeds what in a prompt, and the positions of its image tokens."""
    key = key_of(asked.inputs, names)
    wiring = known.wirings.get(key)
    if wiring is not None:
        positions = np.flatnonzero(np.isin(asked.token_ids, list(wiring.ids)))
        if len(positions) == wiring.tokens:
            return wiring, positions
    with held(vlm.model) as loan:
        wiring = wired(loan, on_device(vlm.model, asked.inputs), names, blocks, asked.shapes)
    keep(known.wirings, key, wiring)
    return wiring, wiring.positions


def _cells(known: Known, blocks: list[Block], wiring: Wiring, shapes: Shapes) -> dict[str, Cells]:
    """The cells at every stage, put together once: a method may have images encoded again and again."""
    kept = known.cells.get(shapes)
    if kept is None or kept[0] is not wiring:
        kept = wiring, cells_of(blocks, wiring, shapes)
        keep(known.cells, shapes, kept)
    return kept[1]


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


FAMILIES.add(
    MEASURED,
    Measured(
        says="Any other model whose image becomes tokens of its prompt: its geometry is measured.",
        classes="any",
    ),
)
