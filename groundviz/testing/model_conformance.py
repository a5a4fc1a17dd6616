"""Tests a model family's adapter: one call on one model, which may be tiny and random."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from groundviz import models
from groundviz.errors import PromptError, UnsupportedModel
from groundviz.models import VLM
from groundviz.models.adapter.probe_images import QUESTION, noise, source_image_of
from groundviz.models.certification.certificate import MOST_PATCHES
from groundviz.models.certification.gradient_trace import follow_model
from groundviz.models.measured.anatomy import dispatches
from groundviz.record.geometry import held_cells
from groundviz.record.types import SourceImage, Target
from groundviz.runtime import borrow
from groundviz.runtime.attention.tap import AttentionCall, tapped
from groundviz.runtime.loan import guard
from groundviz.runtime.loan.device import on_device
from groundviz.testing.adapters import check_adapter
from groundviz.testing.fingerprint import difference, fingerprint

# High, wide, small and long images, with sides that no patch divides.
SHAPES = ((61, 45), (37, 83), (119, 77), (17, 19), (21, 91), (131, 23))
PAIR = (45, 31), (37, 61)
ANSWER = (5, 9, 7)
# Passes of other shapes round differently.
CLOSE = 1e-3


def check_model(model: Any, processor: Any = None) -> None:
    """Check everything that groundviz relies on in a model, its processor and their family's adapter.

    - The certificate, over images of many odd shapes: every cell is followed from the source image to the
      tokens that the answer attends to, and is within half a patch of where the adapter says; one forward
      pass gives the logits of `generate`; attention rows times values are the output of the kernel.
    - Spans, grids and modules fit each other, and each site holds as many cells as its grids.
    - Attention rows are those of the eager kernel, where that computes the same scores, and the same
      whether the answer is generated token by token or read in one pass.
    - The final norm and the head turn the last hidden state into the model's scores.
    - Three images in a batch score what each does alone, wherever they are put in.
    - Several images in a prompt keep apart, where the model takes several.
    - Control tokens typed in a question are text, or refused.
    - The model is given back bit-identical.

    Args:
        model: As for `explain`; a tiny random model in float32 will do, and takes a second or two.
        processor: Its processor, when it does not lie beside its weights.

    Raises:
        AssertionError: One of these does not hold; the message says which in a plain sentence.

    >>> from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
    >>> model = tiny_llava()
    >>> model.generation_config.max_new_tokens = 4
    >>> check_model(model, tiny_llava_processor(model))
    """
    vlm = models.resolve(model, processor)
    before = fingerprint(vlm.model)
    check_adapter(vlm, noise(PAIR[0]))
    for check in CHECKS:
        _expect(check(vlm))
    changed = difference(before, fingerprint(vlm.model))
    if changed:
        _expect(f"the model is not as it was, {'; '.join(changed[:2])}")


def is_certified(vlm: VLM) -> str:
    """The certificate over many shapes."""
    try:
        certificate = models.certify(vlm, shapes=SHAPES)
    except UnsupportedModel as why:
        return str(why)
    wrong = [check for check in certificate.checks if check.verdict == certificate.verdict]
    return "".join(f"{check.verdict}. {check.says}" for check in wrong)


def layers_hold_their_attention(vlm: VLM) -> str:
    """Attention modules are named in the order of the layers they are in; a layer may have none."""
    parts = vlm.parts()
    named = {
        "vision": (parts.vision_layers, parts.vision_attention),
        "decoder": (parts.decoder_layers, parts.decoder_attention),
    }
    for what, (layers, modules) in named.items():
        left_out = list(layers)
        for module in modules:
            # Layers before the one that holds it have no attention, so none of theirs may be named later.
            while left_out and module not in set(left_out[0].modules()) and not _attends(left_out[0]):
                left_out.pop(0)
            if not left_out or module not in set(left_out.pop(0).modules()):
                return f"the {what} attention modules are not those of the {what} layers, in their order"
        if any(map(_attends, left_out)):
            return f"the {what} attention modules are not those of the {what} layers: some are not named"
    return ""


def sites_can_be_read(vlm: VLM) -> str:
    """Every module that the adapter names runs, and puts out all cells of its stage."""
    with borrow(vlm) as live:
        live.answer(live.encode(noise(PAIR[0]), QUESTION), given=ANSWER)
        for site, seen in zip(live.sites, live.read_each(*live.sites), strict=True):
            held = sum(int(held_cells(grid).sum()) for grid in live.grids(site))
            if seen.shape[1] != held or not torch.isfinite(seen).all():
                return f"{site} does not hold {held} cells of finite numbers"
    return ""


def rows_are_eager(vlm: VLM) -> str:
    """Rows of every attention module that is read are the weights of the eager kernel."""
    eager = copy.deepcopy(vlm.model)
    eager.set_attn_implementation("eager")
    inputs = vlm.encode((noise(PAIR[0]),), QUESTION).inputs
    logits, own = _attention(vlm, inputs, lambda call: call.rows(slice(None)))
    others, theirs = _attention(replace(vlm, model=eager), inputs, _weights)
    if float((logits - others).abs().max() / logits.std()) > CLOSE:
        # With the eager kernel it computes something else, as Gemma 2 does if its own kernel has no caps.
        return ""
    for name, calls in own.items():
        for ours, weights in zip(calls, theirs[name], strict=True):
            # Kernels differ in what they return for a row that is masked everywhere.
            sees = ours.sum(dim=-1, keepdim=True) > 0.5
            apart = float(((ours - weights).abs() * sees).max())
            if not apart < CLOSE:
                return f"attention rows of {name} differ by {apart:.2g} from those of the eager kernel"
    return ""


def rows_are_those_of_each_step(vlm: VLM) -> str:
    """Attention while generating is attention in one pass over the same answer."""
    with borrow(vlm) as live:
        prompt = live.encode(noise(PAIR[0]), QUESTION)
        generated = live.answer(prompt).token_ids.tolist()
        # The answer is cut before an image token: a forward pass would expect an image for it.
        answer = list(takewhile(lambda token: token not in prompt.image_ids, generated))
        if not answer:
            return ""
        stepwise = live.attention()[: len(answer)]
        live.answer(prompt, given=answer)
        apart = float(np.abs(live.attention() - stepwise).max())
    if apart < CLOSE:
        return ""
    return f"attention rows of single steps and of one pass differ by {apart:.2g}"


def head_reads_the_last_state(vlm: VLM) -> str:
    """The final norm and the head make the model's scores of the last layer's output."""
    with borrow(vlm) as live, torch.no_grad():
        prompt = live.encode(noise(PAIR[0]), QUESTION)
        live.answer(prompt, given=ANSWER)
        inputs = on_device(vlm.model, vlm.encode(live.source_images, QUESTION).inputs)
        logits = vlm.model(**inputs, use_cache=False).logits[0].float()
        last = live.hidden_states(len(vlm.parts().decoder_layers) - 1)
        apart = float((live.unembed(last[: len(logits)]) - logits).abs().max() / logits.std())
    if apart < CLOSE:
        return ""
    return f"final norm and output head miss the model's own scores by {apart:.2g}"


def batches_are_singles(vlm: VLM) -> str:
    """Three images put in at once score what each scores alone, and not all the same."""
    target = Target(tokens=tuple(range(len(ANSWER))), text="")
    with borrow(vlm) as live, torch.no_grad():
        live.answer(live.encode(noise(PAIR[0]), QUESTION), given=ANSWER)
        # The first site of each stage: the last ones may no longer reach the answer.
        for site in {site.stage: site for site in reversed(live.sites)}.values():
            own = live.read(site)
            three = torch.cat([own, own.roll(1, dims=1), -own])
            together = live.scores([target], site, three)[:, 0]
            alone = torch.cat([live.scores([target], site, one[None])[:, 0] for one in three])
            apart = float((together - alone).abs().max())
            if not apart < CLOSE:
                return f"images put in at {site} score {apart:.2g} nats otherwise in a batch than alone"
            if float(together.std()) < CLOSE**2:
                return f"what is put in at {site} does not matter to the answer"
    return ""


def images_keep_apart(vlm: VLM) -> str:
    """Each of two images in a prompt is where the adapter says, in the pixels and in the model."""
    dark, light = (source_image_of(np.full((*PAIR[0], 3), level)) for level in (0.0, 1.0))
    try:
        first, second = (_levels(vlm, pair) for pair in ((light, dark), (dark, light)))
    except PromptError:
        return ""
    if not (first[0] > first[1] and second[0] < second[1]):
        return "of two images in a prompt, the pixels of one are taken for those of the other"
    encoded = vlm.encode(tuple(map(noise, PAIR)), QUESTION)
    with guard.borrow(vlm.model) as loan:
        steps = follow_model(vlm, loan, encoded)
    for stage, step in steps.items():
        if not (step.error < MOST_PATCHES and not step.unfed and not step.astray):
            return f"of two images in a prompt, cells are not where the adapter places them at the {stage}"
    return ""


def control_tokens_are_text(vlm: VLM) -> str:
    """A question that spells control tokens adds none to the prompt."""
    tokenizer = vlm.processor.tokenizer
    special = sorted({str(vlm.processor.image_token), *tokenizer.all_special_tokens})
    ids = set(tokenizer.convert_tokens_to_ids(special))
    plain = _count(vlm, QUESTION, ids)
    try:
        spelled = _count(vlm, f"{' '.join(special)} {QUESTION}", ids)
    except PromptError:
        # The tokenizer has no way to write them as text. An error is correct, too.
        return ""
    if plain == spelled:
        return ""
    return f"control tokens in a question are read as {spelled - plain} commands"


CHECKS: tuple[Callable[[VLM], str], ...] = (
    is_certified,
    layers_hold_their_attention,
    sites_can_be_read,
    rows_are_eager,
    rows_are_those_of_each_step,
    head_reads_the_last_state,
    batches_are_singles,
    images_keep_apart,
    control_tokens_are_text,
)


def _attends(layer: nn.Module) -> bool:
    """Whether a layer dispatches attention; linear attention and others do not."""
    kinds: list[Any] = [type(module) for module in layer.modules()]
    return any(map(dispatches, kinds))


def _attention(
    vlm: VLM, inputs: Mapping[str, Tensor], read: Callable[[AttentionCall], Tensor]
) -> tuple[Tensor, dict[str, list[Tensor]]]:
    """The model's scores, and what is read of each call of each attention module, by the module's name."""
    parts = vlm.parts()
    read_at = {*parts.vision_attention, *parts.decoder_attention}
    read_at |= {module for module, _ in parts.resampler}
    named = {module: name for name, module in vlm.model.named_modules() if module in read_at}
    names = list(named.values())
    found: dict[str, list[Tensor]] = {name: [] for name in names}

    def see(call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        found[names[call.layer]].append(read(call))
        return call.run()

    numbers = {module: number for number, module in enumerate(named)}
    with guard.borrow(vlm.model), torch.no_grad(), tapped(numbers, see):
        logits = vlm.model(**on_device(vlm.model, inputs), use_cache=False).logits
    return logits, found


def _weights(call: AttentionCall) -> Tensor:
    weights = call.run()[1]
    if weights is None:
        raise AssertionError("The eager kernel returned no attention weights to compare with.")
    return weights.float()


def _levels(vlm: VLM, source_images: tuple[SourceImage, ...]) -> list[float]:
    """The mean brightness of what the model is shown of each image."""
    encoded = vlm.encode(source_images, QUESTION)
    cells = encoded.cells["pixels"]
    numbers = torch.cat([encoded.inputs[name].float().flatten() for name in encoded.image_inputs])
    values = numbers[torch.from_numpy(cells.index)]
    images = np.repeat([grid.image for grid in cells.grids], [held_cells(grid).sum() for grid in cells.grids])
    return [float(values[:, images == number].mean()) for number in range(len(source_images))]


def _count(vlm: VLM, question: str, ids: set[int]) -> int:
    token_ids = vlm.encode((noise(PAIR[0]),), question).prompt.token_ids
    return sum(int(one) in ids for one in token_ids)


def _expect(otherwise: str) -> None:
    if otherwise:
        raise AssertionError(f"The adapter does not fit: {otherwise.removesuffix('.')}.")
