"""The scalars that are explained: log-probabilities of answer tokens, minus those of a foil.

Answer tokens are read in one teacher-forced pass per batch of images. The scalar of a target without a
foil is a sum over rows of that pass. A foil needs one more pass, with its tokens in place of the target.
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
    """Teacher-forced tokens, and which of them belong to a target's scalar.

    Attributes:
        token_ids: All tokens after the prompt.
        tokens: Which of them belong to the scalar.
        weight: +1, or -1 for a foil.
    """

    token_ids: tuple[int, ...]
    tokens: tuple[int, ...]
    weight: float


def readings(target: Target, answer_ids: tuple[int, ...]) -> list[Reading]:
    """The readings that make up a target's scalar: of the answer, and of the foil if there is one."""
    own = Reading(token_ids=answer_ids, tokens=answered(target).tokens, weight=1.0)
    if target.foil is None:
        return [own]
    start = target.tokens[0]
    with_foil = answer_ids[:start] + target.foil.token_ids
    tokens = tuple(range(start, len(with_foil)))
    return [own, Reading(token_ids=with_foil, tokens=tokens, weight=-1.0)]


def continuations(
    targets: Sequence[Target], answer_ids: tuple[int, ...]
) -> dict[tuple[int, ...], list[tuple[int, Reading]]]:
    """Every distinct teacher-forced text, with its readings and the index of their target."""
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
        read: Makes a teacher-forced pass over tokens: their log-probabilities (batch, token).
    """
    sums: list[Tensor | float] = [0.0] * len(targets)
    for token_ids, parts in continuations(targets, answer_ids).items():
        logprobs = read(token_ids)
        for index, reading in parts:
            sums[index] = sums[index] + reading.weight * logprobs[:, list(reading.tokens)].sum(dim=1)
    return torch.stack([torch.as_tensor(total) for total in sums], dim=1)
