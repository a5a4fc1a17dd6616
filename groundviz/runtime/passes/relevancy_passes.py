"""Attention rollout and relevancy from answer tokens to the image, in teacher-forced passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from groundviz.record.targets import answered
from groundviz.record.types import Target
from groundviz.runtime.attention.propagation import Flow, Origin
from groundviz.runtime.attention.relevancy import Relevancy
from groundviz.runtime.attention.rollout import Rollout
from groundviz.runtime.attention.tap import tapped
from groundviz.runtime.loan.checkpointing import checkpointed
from groundviz.runtime.passes.forward import Passes, last_logits


@dataclass(frozen=True, slots=True)
class Term:
    """The log-probability of one token, as part of a scalar.

    Attributes:
        step: How many answer tokens precede it.
        token_id: Which token; it need not be the one in the teacher-forced answer.
        weight: +1, or -1 for a token of the foil.
    """

    step: int
    token_id: int
    weight: float


@dataclass(frozen=True, slots=True)
class Branch:
    """Part of a target's scalar: terms that are read in one teacher-forced pass over some tokens."""

    token_ids: tuple[int, ...]
    terms: tuple[Term, ...]


def branches(target: Target, answer_ids: tuple[int, ...]) -> list[Branch]:
    """A target's scalar as few passes: target and foil are read from one row where they first differ.

    Tokens that both share come before that row, and cancel. At that row the foil's token is read in the
    answer's own pass. Only the foil's later tokens need a pass of their own.

    >>> from groundviz.record.types import Foil
    >>> target = Target(tokens=(0, 1), text="left lung", foil=Foil(text="left", token_ids=(7, 5, 6)))
    >>> for branch in branches(target, (7, 8, 9)):
    ...     print(branch.token_ids, [(term.step, term.token_id, term.weight) for term in branch.terms])
    (7, 8, 9) [(1, 8, 1.0), (1, 5, -1.0)]
    (7, 5, 6) [(2, 6, -1.0)]
    """
    start = target.tokens[0]
    foil: tuple[int, ...] = ()
    if target.foil is not None:
        foil = target.foil.token_ids
    own = [answer_ids[token] for token in answered(target).tokens]
    shared = 0
    while shared < min(len(own), len(foil)) and own[shared] == foil[shared]:
        shared += 1
    terms = [Term(token, answer_ids[token], 1.0) for token in target.tokens[shared:]]
    later = []
    for step, token in enumerate(foil[shared:], start=start + shared):
        if step == start + shared:
            terms.append(Term(step, token, -1.0))
        else:
            later.append(Term(step, token, -1.0))
    with_foil = answer_ids[:start] + foil
    found = [Branch(answer_ids, tuple(terms)), Branch(with_foil, tuple(later))]
    return [branch for branch in found if branch.terms]


def rollout(passes: Passes) -> Tensor:
    """Attention rollout from each answer token's predicting row to image cells: float32 (token, cell)."""
    followed, count = _Followed.of(passes), len(passes.answer_ids)
    handler = Rollout(followed.flows, followed.origins)
    with torch.no_grad(), tapped(followed.numbers, handler):
        last_logits(passes.model, passes.teacher_forced_inputs(passes.answer_ids), 1)
    starts = torch.cat([_starts(passes, count, [token]) for token in range(count)])
    return followed.cells(passes, handler.of({"text": starts}))


def relevancy(
    passes: Passes, targets: Sequence[Target], *, layers: int | None = None, checkpointing: bool = False
) -> Tensor:
    """The relevancy of each image cell for each target's scalar: float32 (target, cell).

    Args:
        passes: The borrowed model with its prompt and answer.
        targets: What to explain: one backward pass each, two for a foil of several tokens.
        layers: How many of the last decoder layers to go through; all when None.
        checkpointing: Compute each layer a second time instead of holding its activations.
    """
    found: list[Tensor | float] = [0.0] * len(targets)
    followed = _Followed.of(passes, layers)
    wanted: dict[tuple[int, ...], list[tuple[int, tuple[Term, ...]]]] = {}
    for index, target in enumerate(targets):
        for branch in branches(target, passes.answer_ids):
            wanted.setdefault(branch.token_ids, []).append((index, branch.terms))
    for token_ids, scalars in wanted.items():
        handler = Relevancy(followed.flows, followed.origins)
        held = passes.parts.decoder_layers if checkpointing else ()
        with torch.enable_grad(), checkpointed(passes.loan, held), tapped(followed.numbers, handler):
            inputs = passes.teacher_forced_inputs(token_ids)
            logits = last_logits(passes.model, inputs, len(token_ids) + 1)[0]
            # Of the whole vocabulary at each step, and after the last one: (step, vocabulary).
            logprobs = torch.log_softmax(logits.float(), dim=-1)
            for number, (index, terms) in enumerate(scalars, start=1):
                parts = [term.weight * logprobs[term.step, term.token_id] for term in terms]
                scalar = torch.stack(parts).sum()
                steps = sorted({term.step for term in terms})
                starts = _starts(passes, len(token_ids), steps)
                streams = handler.of(scalar, {"text": starts}, retain=number < len(scalars))
                found[index] = found[index] + followed.cells(passes, streams)[0]
    return torch.stack([torch.as_tensor(one) for one in found])


@dataclass(frozen=True, slots=True, eq=False)
class _Followed:
    """The attention modules between answer and image, and the streams that each of them connects.

    Attributes:
        numbers: A number for each module.
        flows: By number, the streams of modules that are not self-attention of the text.
        origins: For streams below the text, which of its tokens their tokens became.
    """

    numbers: Mapping[nn.Module, int]
    flows: Mapping[int, Flow]
    origins: Mapping[str, Origin]

    @classmethod
    def of(cls, passes: Passes, last: int | None = None) -> _Followed:
        """The modules of the resampler and of the decoder, or of its `last` layers alone."""
        parts = passes.parts
        decoder = parts.decoder_attention
        if last:
            decoder = decoder[max(0, len(decoder) - last) :]
        by_module = dict(parts.resampler)
        origins = {}
        if by_module:
            origins["latents"] = Origin("text", passes.columns)
        numbers = {module: number for number, module in enumerate((*by_module, *decoder))}
        for module in parts.cross_attention:
            by_module[module] = Flow("text", "image")
        flows = {numbers[module]: flow for module, flow in by_module.items() if module in numbers}
        return cls(numbers, flows, origins)

    def cells(self, passes: Passes, streams: Mapping[str, Tensor]) -> Tensor:
        """The values of the image's cells for each vector, (vector, cell)."""
        if passes.parts.resampler:
            return streams["image"][:, passes.index["projector"]]
        if passes.parts.cross_attention:
            return streams["image"][:, passes.columns]
        return streams["text"][:, passes.columns]


def _starts(passes: Passes, count: int, steps: Sequence[int]) -> Tensor:
    """Ones at the rows that predict some steps of an answer of `count` tokens: (1, token)."""
    prompt = passes.inputs["input_ids"].shape[1]
    starts = torch.zeros(1, prompt + count, device=passes.columns.device)
    starts[0, [prompt - 1 + step for step in steps]] = 1.0
    return starts
