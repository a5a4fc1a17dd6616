"""Passes over the prompt and an answer, with the picture read, changed or differentiated on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.guard import Loan
from groundviz.runtime.scoring import Reading, continuations, score_targets
from groundviz.runtime.sites import Parts, Site, SiteHook, module_at
from groundviz.types import Target

Hooks = Mapping[Site, SiteHook]


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """Teacher-forced passes of one lent model over one prompt.

    Attributes:
        model: The transformers module.
        loan: Through which hooks are placed.
        parts: The model's modules.
        inputs: Keyword tensors of the prompt.
        columns: Positions of the image tokens in the prompt, int (cell,).
        answer_ids: What the model says.
    """

    model: Any
    loan: Loan
    parts: Parts
    inputs: Mapping[str, Tensor]
    columns: Tensor
    answer_ids: tuple[int, ...]

    def read(self, *at: Site, whole: bool = False, pixels: Tensor | None = None) -> list[Tensor]:
        """The picture at sites, (1, ...) each; `whole` for every token there, not the image cells alone."""
        hooks = {site: self._look(site) for site in at if site.stage != "pixels"}
        pixels = self.inputs["pixel_values"] if pixels is None else pixels
        if hooks:
            with torch.no_grad():
                self._say(self.answer_ids, hooks, pixels=pixels)
        seen = [pixels if site.stage == "pixels" else hooks[site].seen for site in at]
        return seen if whole else [_cells(hooks, site, one) for site, one in zip(at, seen, strict=True)]

    def scores(self, targets: Sequence[Target], site: Site | None, values: Tensor | None) -> Tensor:
        """The scalar of each target, float32 (batch, target), with values put in at a site."""
        if site is None or values is None:
            return score_targets(targets, self.answer_ids, lambda ids: self._say(ids, {}))
        pixels = values if site.stage == "pixels" else None
        hooks = {} if site.stage == "pixels" else self._change(site, values)
        return score_targets(
            targets, self.answer_ids, lambda ids: self._say(ids, hooks, pixels=pixels, batch=len(values))
        )

    def gradients(self, targets: Sequence[Target], at: Sequence[Site]) -> list[tuple[Tensor, Tensor]]:
        """Values (...) at each site, and each target's gradient there, float32 (target, ...)."""
        values: list[Tensor] = []
        slopes: dict[tuple[int, int], Tensor] = {}
        for token_ids, wanted in continuations(targets, self.answer_ids).items():
            with torch.enable_grad():
                values, found = self._differentiated(token_ids, wanted, at)
            for (index, _), grads in zip(wanted, found, strict=True):
                for place, grad in enumerate(grads):
                    slopes[place, index] = slopes.get((place, index), 0.0) + grad[0].float()
        return [
            (value[0].detach(), torch.stack([slopes[place, index] for index in range(len(targets))]))
            for place, value in enumerate(values)
        ]

    def _differentiated(
        self, token_ids: tuple[int, ...], wanted: Sequence[tuple[int, Reading]], at: Sequence[Site]
    ) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Values at each site, and for each reading the gradients there, of one pass."""
        hooks = {site: self._look(site) for site in at if site.stage != "pixels"}
        pixels = self.inputs["pixel_values"]
        if at[0].stage == "pixels":
            pixels = pixels.detach().requires_grad_()
        else:
            # The graph begins here: what lies before it costs no memory.
            hooks[at[0]].change = lambda cells: cells.detach().requires_grad_()
        logprobs = self._say(token_ids, hooks, pixels=pixels)
        places = [pixels if site.stage == "pixels" else hooks[site].seen for site in at]
        found = []
        for number, (_, reading) in enumerate(wanted, start=1):
            scalar = reading.weight * logprobs[0, list(reading.tokens)].sum()
            slopes = _gradients(scalar, places, retain=number < len(wanted))
            found.append([_cells(hooks, site, slope) for site, slope in zip(at, slopes, strict=True)])
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
        inputs = saying(self.inputs, token_ids, batch)
        if pixels is not None:
            inputs["pixel_values"] = pixels
        count = len(token_ids)
        with self._hooked(hooks):
            output = self.model(**inputs, use_cache=False, logits_to_keep=count + 1)
        return log_probabilities(output.logits[:, :-1], inputs["input_ids"][:, -count:])

    def _look(self, site: Site, change: Callable[[Tensor], Tensor] | None = None) -> SiteHook:
        return SiteHook(self.columns, self.parts.class_tokens, site, change)

    def _change(self, site: Site, values: Tensor) -> Hooks:
        """Hooks that put values in at a site behind the pixels."""
        hooks = {site: self._look(site, lambda cells: values)}
        if site.stage == "language":
            # One picture goes through the tower; behind it there is one per item of the batch.
            widen = self._look(Site("projector"), lambda cells: cells.expand(len(values), -1, -1))
            hooks[widen.site] = widen
        return hooks

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


def saying(inputs: Mapping[str, Tensor], token_ids: Sequence[int], batch: int = 1) -> dict[str, Tensor]:
    """The inputs of a pass over a prompt and tokens said after it."""
    prompt = inputs["input_ids"]
    tail = torch.tensor([list(token_ids)], device=prompt.device)
    ids = torch.cat([prompt, tail], dim=1).expand(batch, -1)
    return {**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}


def log_probabilities(logits: Tensor, token_ids: Tensor) -> Tensor:
    """Log-probabilities of the given tokens, float32 (..., token)."""
    return torch.log_softmax(logits.float(), dim=-1).gather(-1, token_ids[..., None])[..., 0]


def _cells(hooks: Hooks, site: Site, whole: Tensor) -> Tensor:
    return whole if site.stage == "pixels" else hooks[site].cells(whole)


def _gradients(scalar: Tensor, places: Sequence[Tensor], *, retain: bool) -> tuple[Tensor, ...]:
    try:
        return torch.autograd.grad(scalar, list(places), retain_graph=retain)
    except RuntimeError as error:
        if "require grad" not in str(error) and "have been used" not in str(error):
            raise
        raise UnsupportedMethod(
            "The model cannot be differentiated: its answer does not depend on its inputs through operations "
            "that have gradients, as in models quantised to int8. Use attention or a perturbation method."
        ) from None
