"""Checks that a model is the one that a record was made with: weights, prompt and answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import nn

from groundviz.errors import UnsupportedModel
from groundviz.record.types import Answer, Grid, Prompt, Provenance
from groundviz.runtime.identity.weight_hash import (
    adapter_fingerprints,
    sampled_fingerprint,
    weights_fingerprint,
)

# Nats by which a token's log-probability may differ: the model answered one token at a time, and is read
# in one pass now, perhaps on another device. 16-bit numbers have two or three digits of a logit.
TOLERANCE = {"float64": 0.01, "float32": 0.01}
COARSE = 0.5
_ADVICE = "Give the model that the explanation was made with, or explain the image with this one."


def same_weights(made: Provenance, model: nn.Module) -> None:
    """Refuse a model with other weights.

    Raises:
        UnsupportedModel: The weights are not those that answered.
    """
    found = weights_fingerprint(model)
    # Records of the first version contain the hash of samples, without the adapters in use.
    if made.weights in (found, sampled_fingerprint(model)):
        return
    adapters = adapter_fingerprints(model)
    if dict(made.adapters) != adapters:
        raise UnsupportedModel(
            f"This is not the model that answered: it has {_listed(adapters)} in use, and the explanation's "
            f"{made.model} had {_listed(made.adapters)}. {_ADVICE}"
        )
    raise UnsupportedModel(
        f"This is not the model that answered: its weights' fingerprint is {found}, and that of the "
        f"explanation's {made.model} in {made.dtype} is {made.weights}. {_ADVICE}"
    )


def _listed(adapters: Mapping[str, str]) -> str:
    if not adapters:
        return "no adapter"
    named = ", ".join(f"{name!r} ({found})" for name, found in adapters.items())
    if len(adapters) > 1:
        return f"the adapters {named}"
    return f"the adapter {named}"


def same_prompt(asked: Prompt, prompt: Prompt) -> None:
    """Refuse a model whose processor makes another prompt, or other cells of the image.

    Raises:
        UnsupportedModel: The prompt's tokens are others, or the cells lie elsewhere.
    """
    if not np.array_equal(asked.token_ids, prompt.token_ids):
        raise UnsupportedModel(
            f"This is another model or processor: it makes {len(prompt.token_ids)} tokens of the question, "
            f"and the explanation holds {len(asked.token_ids)}, not the same ones. {_ADVICE}"
        )
    if not _alike(asked.grids, prompt.grids):
        raise UnsupportedModel(
            "This is another processor: it lays the cells elsewhere over the image than the explanation "
            f"has them. {_ADVICE}"
        )


def same_answer(recorded: Answer, read: Answer, dtype: str) -> None:
    """Refuse a model that gives the recorded answer another probability.

    Args:
        recorded: The answer in the record.
        read: The same tokens, teacher-forced with the model at hand.
        dtype: Of the recorded model's weights.

    Raises:
        UnsupportedModel: A token's log-probability is another one.
    """
    gaps = np.abs(recorded.logprobs - read.logprobs)
    if gaps.max(initial=0.0) > TOLERANCE.get(dtype, COARSE):
        token = int(gaps.argmax())
        raise UnsupportedModel(
            f"This is not the model that answered, or it sees another image: {recorded.tokens[token]!r} has "
            f"log-probability {read.logprobs[token]:.3f}, and the explanation says "
            f"{recorded.logprobs[token]:.3f}. {_ADVICE}"
        )


def _alike(asked: Sequence[Grid], found: Sequence[Grid]) -> bool:
    return len(asked) == len(found) and all(
        np.array_equal(one.positions, other.positions) and np.allclose(one.to_source, other.to_source)
        for one, other in zip(asked, found, strict=True)
    )
