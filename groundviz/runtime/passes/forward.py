"""Teacher-forced passes over prompt and answer, with the image read, changed or differentiated on the way."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from groundviz.errors import UnsupportedMethod
from groundviz.record.types import Target
from groundviz.runtime.inputs.pixels import ImageInput
from groundviz.runtime.inputs.sites import Change, Parts, Site, SiteHook, module_at
from groundviz.runtime.loan.guard import Loan
from groundviz.runtime.loan.preflight import GRADIENT_FREE
from groundviz.runtime.passes.float32_head import ExactHead, widens
from groundviz.runtime.passes.targets import Reading, continuations, score_targets

Hooks = Mapping[Site, SiteHook]
# Tokens of a prompt, and those with which a decoder of its own starts: an answer follows the latter, if any.
PROMPT, START = "input_ids", "decoder_input_ids"
# Types whose `generate` puts a start token of its own in place of the prompt's first, and drops its last.
REFRAMING = frozenset({"blip"})


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """Teacher-forced passes of one borrowed model over one prompt.

    Attributes:
        model: The transformers module.
        loan: The loan of the model, which places hooks.
        parts: The model's modules.
        inputs: Keyword tensors of the prompt, on the model's device.
        image: Reads and replaces the image in them.
        index: By stage, the positions of the image's cells in a layer's output.
        columns: What the answer can attend to, see `Encoded`.
        image_ids: Tokens that the model replaces by an image wherever they occur.
        answer_ids: The answer's tokens.
        answer_fill: Values of per-token inputs at answer tokens, see `Encoded`.
    """

    model: Any
    loan: Loan
    parts: Parts
    inputs: Mapping[str, Tensor]
    image: ImageInput
    index: Mapping[str, Tensor]
    columns: Tensor
    image_ids: frozenset[int]
    answer_ids: tuple[int, ...] = ()
    answer_fill: Mapping[str, int] = field(default_factory=dict)

    def teacher_forced_inputs(self, token_ids: Sequence[int], batch: int = 1) -> dict[str, Tensor]:
        """The inputs of a teacher-forced pass over the prompt and answer tokens.

        Args:
            token_ids: Of the answer.
            batch: How many times the prompt is repeated.

        Raises:
            UnsupportedMethod: One of them is an image token, which the model would take for an image.
        """
        if self.image_ids.intersection(token_ids):
            raise UnsupportedMethod(
                "The answer contains an image token, and a pass over it would take that for a further "
                "image. Explain another answer, or use attention, which needs no further pass."
            )
        return teacher_forced_inputs(self.inputs, token_ids, batch, fill=self.answer_fill)

    @property
    def before_answer(self) -> Tensor:
        """The tokens that the answer follows, int (token,): the prompt's, or the start of its own decoder."""
        return self.inputs[continued(self.inputs)][0]

    def read(self, *at: Site, whole: bool = False, pixels: Tensor | None = None) -> list[Tensor]:
        """The image at sites, (1, ...) each, from one pass.

        Args:
            at: The sites.
            whole: Read every token there, not the image cells alone.
            pixels: Another image to show the model, as `ImageInput.cells` gives it.

        Raises:
            UnsupportedMethod: Every token is wanted, and those of these layers are not the answer's.
        """
        if whole:
            self.parts.check_words()
        hooks = {site: self._site_hook(site) for site in at if site.stage != "pixels"}
        if hooks:
            with torch.no_grad():
                self._logprobs(self.answer_ids, hooks, pixels=pixels)
        if whole:
            return [hooks[site].seen for site in at]
        if pixels is None:
            pixels = self.image.cells()
        found = []
        for site in at:
            if site.stage == "pixels":
                found.append(pixels)
            else:
                found.append(hooks[site].cells(hooks[site].seen))
        return found

    def scores(
        self,
        targets: Sequence[Target],
        site: Site | None,
        values: Tensor | None,
        behind: Mapping[Site, Change] | None = None,
    ) -> Tensor:
        """The scalar of each target, float32 (batch, target), with the image replaced at a site.

        See `Live.scores`.
        """
        if values is not None and len(values) > 1 and not self.parts.batches:
            return torch.cat([self.scores(targets, site, one[None], behind) for one in values])
        hooks: dict[Site, SiteHook] = {}
        pixels, batch = None, 1
        if site is not None and values is not None:
            batch = len(values)
            if site.stage == "pixels":
                pixels = values
            else:
                hooks[site] = self._site_hook(site, batch, lambda cells: values)
        for later, change in (behind or {}).items():
            hooks[later] = self._site_hook(later, batch, change)

        def logprobs(token_ids: tuple[int, ...]) -> Tensor:
            return self._logprobs(token_ids, hooks, pixels=pixels, batch=batch)

        return score_targets(targets, self.answer_ids, logprobs)

    def gradients(self, targets: Sequence[Target], at: Sequence[Site]) -> list[tuple[Tensor, Tensor]]:
        """Values (...) at each site, and each target's gradient there, float32 (target, ...)."""
        values: list[Tensor] = []
        # By number of the site and of the target. A foil's pass adds its part to the answer's.
        gradients: dict[tuple[int, int], Tensor] = {}
        for token_ids, wanted in continuations(targets, self.answer_ids).items():
            with torch.enable_grad():
                values, found = self._differentiated(token_ids, wanted, at)
            for (target, _), site_gradients in zip(wanted, found, strict=True):
                for site, gradient in enumerate(site_gradients):
                    so_far = gradients.get((site, target), 0.0)
                    gradients[site, target] = so_far + gradient[0].float()
        pairs = []
        for site, value in enumerate(values):
            of_targets = [gradients[site, target] for target in range(len(targets))]
            pairs.append((value[0].detach(), torch.stack(of_targets)))
        return pairs

    def _differentiated(
        self, token_ids: tuple[int, ...], wanted: Sequence[tuple[int, Reading]], at: Sequence[Site]
    ) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Values at each site, and for each reading the gradients there, of one pass."""
        hooks = {site: self._site_hook(site) for site in at if site.stage != "pixels"}
        if self.parts.unknown:
            raise UnsupportedMethod(self.parts.unknown, lacks="modules")
        pixels = None
        if at[0].stage == "pixels":
            pixels = self.image.cells().detach().requires_grad_()
        else:
            # The graph begins here: modules before this site cost no memory.
            hooks[at[0]].change = lambda cells: cells.detach().requires_grad_()
        logprobs = self._logprobs(token_ids, hooks, pixels=pixels)
        # In the order of `at`: pixels come first where they are among the sites.
        outputs = [hook.seen for hook in hooks.values()]
        if pixels is not None:
            outputs = [pixels, *outputs]
        gradients = []
        for number, (_, reading) in enumerate(wanted, start=1):
            scalar = reading.weight * logprobs[0, list(reading.tokens)].sum()
            found = _gradients(scalar, outputs, retain=number < len(wanted))
            gradients.append(_cells(hooks, at, found))
        return _cells(hooks, at, outputs), gradients

    def _logprobs(
        self,
        token_ids: Sequence[int],
        hooks: Hooks,
        *,
        pixels: Tensor | None = None,
        batch: int = 1,
    ) -> Tensor:
        """Log-probabilities (batch, token) of answer tokens in a teacher-forced pass with hooks."""
        inputs = self.teacher_forced_inputs(token_ids, batch)
        if pixels is not None:
            inputs |= self.image.replaced(pixels)
        count = len(token_ids)
        with self._hooked(hooks), self._exact_head(count + 1):
            logits = last_logits(self.model, inputs, count + 1)
        return log_probabilities(logits[:, :-1], inputs[continued(inputs)][:, -count:])

    def _site_hook(self, site: Site, batch: int = 1, change: Change | None = None) -> SiteHook:
        # A layer whose output holds no image cells can still be read whole.
        no_cells = self.columns[:0]
        return SiteHook(self.index.get(site.stage, no_cells), batch, change)

    @contextmanager
    def _exact_head(self, rows: int) -> Iterator[None]:
        """Compute final norm and output head in float32, where the head is a matrix in 16 bits."""
        handles = []
        try:
            if widens(self.parts.output_head):
                exact = ExactHead(rows)
                if type(self.parts.final_norm) is not nn.Identity:
                    handles.append(self.loan.hook(self.parts.final_norm, exact.norm))
                handles.append(self.loan.hook(self.parts.output_head, exact.head))
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def _hooked(self, hooks: Hooks) -> Iterator[None]:
        handles = []
        try:
            for site, hook in hooks.items():
                handles.append(self.loan.hook(module_at(self.parts, site), hook))
            yield
        finally:
            for handle in handles:
                handle.remove()


def continued(inputs: Mapping[str, Tensor]) -> str:
    """The name of the input that the answer's tokens follow.

    An encoder-decoder reads the prompt in its encoder, and the answer follows the start of its decoder.
    """
    return START if START in inputs else PROMPT


def teacher_forced_inputs(
    inputs: Mapping[str, Tensor], token_ids: Sequence[int], batch: int = 1, *, fill: Mapping[str, int]
) -> dict[str, Tensor]:
    """The inputs of a teacher-forced pass over a prompt and answer tokens.

    The tokens follow the prompt; or, in an encoder-decoder, the start of its decoder, and the prompt stays as
    it is. Inputs with one value per token are continued with their value at the last token, which is text,
    unless `fill` names another value.

    Args:
        inputs: Of the prompt.
        token_ids: Of the answer.
        batch: How many times the prompt is repeated.
        fill: By input name, its value at answer tokens.
    """
    ids = continued(inputs)
    before = inputs[ids]
    # Inputs of a decoder of its own have names of their own.
    prefix = ids.removesuffix(PROMPT)
    tail = torch.tensor([list(token_ids)], dtype=before.dtype, device=before.device)
    longer = {ids: torch.cat([before, tail], dim=1)}
    for name, tensor in inputs.items():
        if name != ids and name.startswith(prefix) and _is_along(tensor, before):
            last = tensor[:, -1:].expand(-1, tail.shape[1], *tensor.shape[2:])
            if name in fill:
                last = torch.full_like(last, fill[name])
            longer[name] = torch.cat([tensor, last], dim=1)
    return {name: repeated(longer.get(name, tensor), batch) for name, tensor in inputs.items()}


def for_generate(model: Any, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The inputs with which a model's `generate` continues the very tokens that its forward would."""
    if getattr(model.config, "model_type", None) not in REFRAMING:
        return inputs
    # Any token: it is dropped.
    return teacher_forced_inputs(inputs, inputs[PROMPT][0, :1].tolist(), fill={})


def is_per_token(tensor: Tensor, inputs: Mapping[str, Tensor]) -> bool:
    """Whether a tensor has one entry for each token, of the prompt or of the start of its own decoder."""
    return any(_is_along(tensor, inputs[ids]) for ids in (PROMPT, START) if ids in inputs)


def _is_along(tensor: Tensor, ids: Tensor) -> bool:
    if not isinstance(tensor, Tensor):
        return False
    # There may be as many patches of an image as there are tokens.
    return tensor.shape[:2] == ids.shape and not tensor.is_floating_point()


def repeated(tensor: Tensor, batch: int) -> Tensor:
    """A tensor of one prompt, repeated for each prompt of a batch."""
    if batch <= 1:
        return tensor
    if isinstance(tensor, list):
        # Some models count the tiles of each image in a list.
        return tensor * batch
    other_axes = [1] * (tensor.dim() - 1)
    return tensor.repeat(batch, *other_axes)


def last_logits(model: Any, inputs: Mapping[str, Tensor], count: int) -> Tensor:
    """The logits of the last tokens, (batch, `count`, vocabulary); where possible no others are computed."""
    logits: Tensor = model(**inputs, use_cache=False, **keep_logits(model, count)).logits
    return logits[:, -count:]


def keep_logits(model: Any, count: int) -> dict[str, int | Tensor]:
    """The option with which a forward pass computes the last `count` logits alone, if the model has it.

    Models whose last layers share the keys of earlier ones run these on no more tokens than there are logits,
    if they are given a number. Given positions, they run them on all, and every token has its row.
    """
    if "logits_to_keep" not in inspect.signature(model.forward).parameters:
        return {}
    if shares_keys(model):
        return {"logits_to_keep": torch.arange(-count, 0)}
    return {"logits_to_keep": count}


def shares_keys(model: Any) -> bool:
    """Whether layers of a model use the keys of earlier ones."""
    return bool(getattr(model.config.get_text_config(decoder=True), "num_kv_shared_layers", 0))


def added(prompt: Tensor, sequence: Tensor) -> list[int]:
    """The tokens that a generation (token,) added to a prompt (token,)."""
    whole: list[int] = sequence.tolist()
    count = len(prompt)
    if whole[:count] == prompt.tolist():
        return whole[count:]
    # Some models return the answer without the prompt.
    return whole


def log_probabilities(logits: Tensor, token_ids: Tensor) -> Tensor:
    """Log-probabilities of the given tokens, float32 (..., token)."""
    return torch.log_softmax(logits.float(), dim=-1).gather(-1, token_ids[..., None])[..., 0]


def _cells(hooks: Hooks, at: Sequence[Site], tensors: Sequence[Tensor]) -> list[Tensor]:
    """The image cells in a tensor for each site; a tensor of pixels holds nothing else."""
    found = []
    for site, tensor in zip(at, tensors, strict=True):
        if site.stage == "pixels":
            found.append(tensor)
        else:
            found.append(hooks[site].cells(tensor))
    return found


def _gradients(scalar: Tensor, outputs: Sequence[Tensor], *, retain: bool) -> tuple[Tensor, ...]:
    try:
        return torch.autograd.grad(scalar, list(outputs), retain_graph=retain)
    except RuntimeError as error:
        if "require grad" not in str(error) and "have been used" not in str(error):
            raise
        raise UnsupportedMethod(
            "The model cannot be differentiated: its answer does not depend on its inputs through operations "
            f"that have gradients, as in models quantised to int8. Use {GRADIENT_FREE}.",
            lacks="gradients",
        ) from None
