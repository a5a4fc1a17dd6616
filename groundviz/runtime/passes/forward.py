"""Passes over the prompt and an answer, with the image read, changed or differentiated on the way."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.record.types import Target
from groundviz.runtime.inputs.encoded import PIXELS
from groundviz.runtime.inputs.pixels import ImageInput
from groundviz.runtime.inputs.sites import Parts, Site, SiteHook, module_at
from groundviz.runtime.loan.guard import Loan
from groundviz.runtime.loan.preflight import GRADIENT_FREE
from groundviz.runtime.passes.float32_head import ExactHead, widens
from groundviz.runtime.passes.targets import Reading, continuations, score_targets

Hooks = Mapping[Site, SiteHook]


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """Teacher-forced passes of one lent model over one prompt.

    Attributes:
        model: The transformers module.
        loan: Through which hooks are placed.
        parts: The model's modules.
        inputs: Keyword tensors of the prompt, on the model's device.
        image: Reads and replaces the image in them.
        index: By stage, where the image's cells stand in a layer's output.
        columns: What the answer's attention can look at, see `Encoded`.
        image_ids: Tokens that stand for an image wherever they are said.
        answer_ids: What the model says.
        said: What inputs hold for its tokens, see `Encoded`.
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
    said: Mapping[str, int] = field(default_factory=dict)

    def saying(self, token_ids: Sequence[int], batch: int = 1) -> dict[str, Tensor]:
        """The inputs of a pass over the prompt and tokens said after it, as often as `batch` says.

        Raises:
            UnsupportedMethod: One of them is an image token, which the model would take for an image.
        """
        if self.image_ids.intersection(token_ids):
            raise UnsupportedMethod(
                "The answer contains an image token, and a pass over it would take that for a further "
                "image. Explain another answer, or use attention, which needs no further pass."
            )
        return saying(self.inputs, token_ids, batch, said=self.said)

    def read(self, *at: Site, whole: bool = False, pixels: Tensor | None = None) -> list[Tensor]:
        """The image at sites, (1, ...) each; `whole` for every token there, not the image cells alone."""
        hooks = {site: self._look(site) for site in at if site.stage != "pixels"}
        if hooks:
            with torch.no_grad():
                self._say(self.answer_ids, hooks, pixels=pixels)
        if whole:
            return [hooks[site].seen for site in at]
        own = self.image.cells() if pixels is None else pixels
        return [own if site.stage == "pixels" else hooks[site].cells(hooks[site].seen) for site in at]

    def scores(self, targets: Sequence[Target], site: Site | None, values: Tensor | None) -> Tensor:
        """The scalar of each target, float32 (batch, target), with values put in at a site."""
        if site is None or values is None:
            return score_targets(targets, self.answer_ids, lambda ids: self._say(ids, {}))
        batch = len(values)
        if site.stage == "pixels":
            return score_targets(
                targets, self.answer_ids, lambda ids: self._say(ids, {}, pixels=values, batch=batch)
            )
        hooks = {site: self._look(site, batch, lambda cells: values)}
        return score_targets(targets, self.answer_ids, lambda ids: self._say(ids, hooks, batch=batch))

    def gradients(self, targets: Sequence[Target], at: Sequence[Site]) -> list[tuple[Tensor, Tensor]]:
        """Values (...) at each site, and each target's gradient there, float32 (target, ...)."""
        values: list[Tensor] = []
        gradients: dict[tuple[int, int], Tensor] = {}
        for token_ids, wanted in continuations(targets, self.answer_ids).items():
            with torch.enable_grad():
                values, found = self._differentiated(token_ids, wanted, at)
            for (index, _), grads in zip(wanted, found, strict=True):
                for place, grad in enumerate(grads):
                    gradients[place, index] = gradients.get((place, index), 0.0) + grad[0].float()
        return [
            (value[0].detach(), torch.stack([gradients[place, index] for index in range(len(targets))]))
            for place, value in enumerate(values)
        ]

    def _differentiated(
        self, token_ids: tuple[int, ...], wanted: Sequence[tuple[int, Reading]], at: Sequence[Site]
    ) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Values at each site, and for each reading the gradients there, of one pass."""
        hooks = {site: self._look(site) for site in at if site.stage != "pixels"}
        if self.parts.unknown:
            raise UnsupportedMethod(self.parts.unknown, lacks="modules")
        pixels = None
        if at[0].stage == "pixels":
            pixels = self.image.cells().detach().requires_grad_()
        else:
            # The graph begins here: what lies before it costs no memory.
            hooks[at[0]].change = lambda cells: cells.detach().requires_grad_()
        logprobs = self._say(token_ids, hooks, pixels=pixels)
        # Pixels come first among the sites, where they are among them.
        places = [*([] if pixels is None else [pixels]), *(hook.seen for hook in hooks.values())]
        found = []
        for number, (_, reading) in enumerate(wanted, start=1):
            scalar = reading.weight * logprobs[0, list(reading.tokens)].sum()
            gradients = _gradients(scalar, places, retain=number < len(wanted))
            found.append(
                [_cells(hooks, site, gradient) for site, gradient in zip(at, gradients, strict=True)]
            )
        return [_cells(hooks, site, place) for site, place in zip(at, places, strict=True)], found

    def _say(
        self,
        token_ids: Sequence[int],
        hooks: Hooks,
        *,
        pixels: Tensor | None = None,
        batch: int = 1,
    ) -> Tensor:
        """Log-probabilities (batch, token) of tokens said after the prompt, with hooks in place."""
        inputs = self.saying(token_ids, batch)
        if pixels is not None:
            inputs |= self.image.replaced(pixels)
        count = len(token_ids)
        with self._hooked(hooks), self._exact_head(count + 1):
            logits = last_logits(self.model, inputs, count + 1)
        return log_probabilities(logits[:, :-1], inputs["input_ids"][:, -count:])

    def _look(self, site: Site, batch: int = 1, change: Callable[[Tensor], Tensor] | None = None) -> SiteHook:
        # A layer whose output holds no image cells can be read whole all the same.
        return SiteHook(self.index.get(site.stage, self.columns[:0]), batch, change)

    @contextmanager
    def _exact_head(self, rows: int) -> Iterator[None]:
        """Final norm and output head in float32, where the head is a matrix in 16 bits."""
        handles = []
        try:
            if widens(self.parts.output_head):
                exact = ExactHead(rows)
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


def saying(
    inputs: Mapping[str, Tensor], token_ids: Sequence[int], batch: int = 1, *, said: Mapping[str, int]
) -> dict[str, Tensor]:
    """The inputs of a pass over a prompt and tokens said after it, as often as `batch` says.

    What the inputs hold for each token goes on as it was at the prompt's last one, a token of text,
    unless `said` names something else for it.
    """
    prompt = inputs["input_ids"]
    tail = torch.tensor([list(token_ids)], dtype=prompt.dtype, device=prompt.device)
    longer = {"input_ids": torch.cat([prompt, tail], dim=1)}
    for name, tensor in inputs.items():
        if name not in ("input_ids", PIXELS) and is_per_token(tensor, inputs):
            last = tensor[:, -1:].expand(-1, tail.shape[1], *tensor.shape[2:])
            further = torch.full_like(last, said[name]) if name in said else last
            longer[name] = torch.cat([tensor, further], dim=1)
    return {name: repeated(longer.get(name, tensor), batch) for name, tensor in inputs.items()}


def is_per_token(tensor: Tensor, inputs: Mapping[str, Tensor]) -> bool:
    """Whether a tensor says something of each token of the prompt."""
    return tensor.shape[:2] == inputs["input_ids"].shape


def repeated(tensor: Tensor, batch: int) -> Tensor:
    """What stands for one prompt, once for each prompt of a batch."""
    return tensor.repeat(batch, *[1] * (tensor.dim() - 1)) if batch > 1 else tensor


def last_logits(model: Any, inputs: Mapping[str, Tensor], count: int) -> Tensor:
    """The logits of the last tokens, (batch, `count`, vocabulary), computed for no others where possible."""
    few = {"logits_to_keep": count} if accepts(model, "logits_to_keep") else {}
    logits: Tensor = model(**inputs, use_cache=False, **few).logits
    return logits[:, -count:]


def accepts(model: Any, option: str) -> bool:
    """Whether a model's forward pass names such an option."""
    return option in inspect.signature(model.forward).parameters


def added(prompt: Tensor, sequence: Tensor) -> list[int]:
    """What a generation (token,) added to a prompt (token,); some models leave the prompt out."""
    whole: list[int] = sequence.tolist()
    given = prompt.tolist()
    return whole[len(given) :] if whole[: len(given)] == given else whole


def log_probabilities(logits: Tensor, token_ids: Tensor) -> Tensor:
    """Log-probabilities of the given tokens, float32 (..., token)."""
    return torch.log_softmax(logits.float(), dim=-1).gather(-1, token_ids[..., None])[..., 0]


def _cells(hooks: Hooks, site: Site, whole: Any) -> Tensor:
    return whole if site.stage == "pixels" else hooks[site].cells(whole)


def _gradients(scalar: Tensor, places: Sequence[Tensor], *, retain: bool) -> tuple[Tensor, ...]:
    try:
        return torch.autograd.grad(scalar, list(places), retain_graph=retain)
    except RuntimeError as error:
        if "require grad" not in str(error) and "have been used" not in str(error):
            raise
        raise UnsupportedMethod(
            "The model cannot be differentiated: its answer does not depend on its inputs through operations "
            f"that have gradients, as in models quantised to int8. Use {GRADIENT_FREE}.",
            lacks="gradients",
        ) from None
