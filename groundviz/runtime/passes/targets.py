"""How probable an answer is, or two answers, when the image is changed: every scalar that is explained.

An answer is read in one teacher-forced pass per batch of images. A target that has no foil is a
sum over rows of the answer's own pass; a contrast needs one more pass, over the foil's tokens in
the target's place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from groundviz.record.targets import answered
from groundviz.record.types import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Tokens the model is made to say, and how much each of them counts for a target.

    Attributes:
        token_ids: What is said after the prompt.
        tokens: Which of them count.
        weight: +1, or -1 for a foil.
    """

    token_ids: tuple[int, ...]
    tokens: tuple[int, ...]
    weight: float


def readings(target: Target, answer_ids: tuple[int, ...]) -> list[Reading]:
    """What must be read to know a target's scalar: the answer, and the foil if there is one."""
    own = Reading(token_ids=answer_ids, tokens=answered(target).tokens, weight=1.0)
    if target.foil is None:
        return [own]
    start = target.tokens[0]
    said = answer_ids[:start] + target.foil.token_ids
    return [own, Reading(token_ids=said, tokens=tuple(range(start, len(said))), weight=-1.0)]


def continuations(
    targets: Sequence[Target], answer_ids: tuple[int, ...]
) -> dict[tuple[int, ...], list[tuple[int, Reading]]]:
    """Every distinct text to be said, with the readings it serves and the index of their target."""
    found: dict[tuple[int, ...], list[tuple[int, Reading]]] = {}
    for index, target in enumerate(targets):
        for reading in readings(target, answer_ids):
            found.setdefault(reading.token_ids, []).append((index, reading))
    return found


def score_targets(
    targets: Sequence[Target],
    answer_ids: tuple[int, ...],
    read: Callable[[tuple[int, ...]], Tensor],
) -> Tensor:
    """The scalars of several targets, float32 (batch, target), in one pass per distinct continuation.

    Args:
        targets: What to score.
        answer_ids: The answer's tokens.
        read: Makes the model say tokens: log-probabilities (batch, token).
    """
    sums: list[Tensor | float] = [0.0] * len(targets)
    for token_ids, parts in continuations(targets, answer_ids).items():
        logprobs = read(token_ids)
        for index, reading in parts:
            sums[index] = sums[index] + reading.weight * logprobs[:, list(reading.tokens)].sum(dim=1)
    return torch.stack([torch.as_tensor(total) for total in sums], dim=1)
