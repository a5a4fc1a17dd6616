"""From the answer down to the image: attention rollout and relevancy in passes over prompt and answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

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
        step: How many tokens have been said when it is read.
        token_id: Which token; it need not be the one that is said.
        weight: +1, or -1 for a foil's.
    """

    step: int
    token_id: int
    weight: float


@dataclass(frozen=True, slots=True)
class Branch:
    """Part of a target's scalar: what is read while some tokens are said after the prompt."""

    token_ids: tuple[int, ...]
    terms: tuple[Term, ...]


def branches(target: Target, answer_ids: tuple[int, ...]) -> list[Branch]:
    """A target's scalar, such that target and foil are read from one row where they part.

    Tokens they share come before it, and cancel. At the parting the foil's token is read in the
    answer's own pass; only what it would say next needs a pass of its own.

    >>> from groundviz.record.types import Foil
    >>> target = Target(tokens=(0, 1), text="left lung", foil=Foil(text="left", token_ids=(7, 5, 6)))
    >>> for branch in branches(target, (7, 8, 9)):
    ...     print(branch.token_ids, [(term.step, term.token_id, term.weight) for term in branch.terms])
    (7, 8, 9) [(1, 8, 1.0), (1, 5, -1.0)]
    (7, 5, 6) [(2, 6, -1.0)]
    """
    foil = target.foil.token_ids if target.foil else ()
    own = [answer_ids[token] for token in answered(target).tokens]
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(own, foil, strict=False))
    shared = len(list(alike))
    parting = target.tokens[0] + shared
    terms = [Term(token, answer_ids[token], 1.0) for token in target.tokens[shared:]]
    terms += [Term(parting, token, -1.0) for token in foil[shared : shared + 1]]
    later = [Term(parting + k, token, -1.0) for k, token in enumerate(foil[shared:]) if k]
    said = answer_ids[: target.tokens[0]] + foil
    found = [Branch(answer_ids, tuple(terms)), Branch(said, tuple(later))]
    return [branch for branch in found if branch.terms]


def rollout(passes: Passes) -> Tensor:
    """How much of each answer token's predicting row came from each image cell: float32 (token, cell)."""
    followed, count = _Followed.of(passes), len(passes.answer_ids)
    handler = Rollout(followed.flows, followed.origins)
    with torch.no_grad(), tapped(followed.numbers, handler):
        last_logits(passes.model, passes.saying(passes.answer_ids), 1)
    starts = torch.cat([_starts(passes, count, [token]) for token in range(count)])
    return followed.cells(passes, handler.of({"text": starts}))


def relevancy(
    passes: Passes, targets: Sequence[Target], *, layers: int | None = None, checkpointing: bool = False
) -> Tensor:
    """The relevancy of each image cell for each target's scalar: float32 (target, cell).

    Args:
        passes: The lent model with its prompt and answer.
        targets: What to follow down: one backward pass each, two for a foil of several tokens.
        layers: How many of the last decoder layers to follow; all when None.
        checkpointing: Compute each layer a second time instead of holding what it computed.
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
            logprobs = _log_probabilities(passes, token_ids)
            for number, (index, terms) in enumerate(scalars, start=1):
                scalar = torch.stack([one.weight * logprobs[one.step, one.token_id] for one in terms]).sum()
                starts = _starts(passes, len(token_ids), sorted({one.step for one in terms}))
                streams = handler.of(scalar, {"text": starts}, retain=number < len(scalars))
                found[index] = found[index] + followed.cells(passes, streams)[0]
    return torch.stack([torch.as_tensor(one) for one in found])


@dataclass(frozen=True, slots=True, eq=False)
class _Followed:
    """The attention modules that are followed down, and the streams that each of them connects.

    Attributes:
        numbers: A number for each module.
        flows: By number, where a module does not stay within the text.
        origins: Where streams below the text come from.
    """

    numbers: Mapping[nn.Module, int]
    flows: Mapping[int, Flow]
    origins: Mapping[str, Origin]

    @classmethod
    def of(cls, passes: Passes, last: int | None = None) -> _Followed:
        """The resampler's and the decoder's; of the decoder's the last ones alone where a number is given."""
        parts = passes.parts
        decoder = parts.decoder_attention[max(0, len(parts.decoder_attention) - last) if last else 0 :]
        resampler = dict(parts.resampler)
        crossing = {module: Flow("text", "image") for module in parts.cross_attention}
        numbers = {module: number for number, module in enumerate((*resampler, *decoder))}
        flows = {numbers[one]: flow for one, flow in (resampler | crossing).items() if one in numbers}
        return cls(numbers, flows, {"latents": Origin("text", passes.columns)} if resampler else {})

    def cells(self, passes: Passes, streams: Mapping[str, Tensor]) -> Tensor:
        """What the image's cells hold of each vector, (vector, cell)."""
        if passes.parts.resampler:
            return streams["image"][:, passes.index["projector"]]
        return streams["image" if passes.parts.cross_attention else "text"][:, passes.columns]


def _starts(passes: Passes, count: int, steps: Sequence[int]) -> Tensor:
    """Ones at the rows where some steps of an answer of `count` tokens are read: (1, token)."""
    prompt = passes.inputs["input_ids"].shape[1]
    starts = torch.zeros(1, prompt + count, device=passes.columns.device)
    starts[0, [prompt - 1 + step for step in steps]] = 1.0
    return starts


def _log_probabilities(passes: Passes, token_ids: tuple[int, ...]) -> Tensor:
    """Of the whole vocabulary at each step of saying tokens, and after the last: (step, vocabulary)."""
    inputs = passes.saying(token_ids)
    logits = last_logits(passes.model, inputs, len(token_ids) + 1)[0]
    return torch.log_softmax(logits.float(), dim=-1)
