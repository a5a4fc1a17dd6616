"""Whether a model is the one that a record was made with: what it measures is put beside what is there."""

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

# Nats that a token's log-probability may move by: the model answered one token at a time and is read
# in one pass now, perhaps on another device. 16-bit numbers hold two or three digits of a logit.
TOLERANCE = {"float64": 0.01, "float32": 0.01}
COARSE = 0.5
_ADVICE = "Give the model that the explanation was made with, or explain the image with this one."


def same_weights(made: Provenance, model: nn.Module) -> None:
    """Stop before a model with other weights.

    Raises:
        UnsupportedModel: The weights are not those that answered.
    """
    found = weights_fingerprint(model)
    # Records of the first version hold the hash of samples, which knew nothing of adapters in use.
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
    named = ", ".join(f"{name!r} ({found})" for name, found in adapters.items())
    return f"the adapter{'s' * (len(adapters) > 1)} {named}" if named else "no adapter"


def same_prompt(asked: Prompt, prompt: Prompt) -> None:
    """Stop before a model that is asked something else, or sees the image in other cells.

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


def same_answer(answer: Answer, said: Answer, dtype: str) -> None:
    """Stop before a model to which the answer is not as probable as it was.

    Raises:
        UnsupportedModel: A token's log-probability is another one.
    """
    gaps = np.abs(answer.logprobs - said.logprobs)
    if gaps.max(initial=0.0) > TOLERANCE.get(dtype, COARSE):
        token = int(gaps.argmax())
        raise UnsupportedModel(
            f"This is not the model that answered, or it sees another image: {answer.tokens[token]!r} has "
            f"log-probability {said.logprobs[token]:.3f}, and the explanation says "
            f"{answer.logprobs[token]:.3f}. {_ADVICE}"
        )


def _alike(asked: Sequence[Grid], found: Sequence[Grid]) -> bool:
    return len(asked) == len(found) and all(
        np.array_equal(one.positions, other.positions) and np.allclose(one.to_source, other.to_source)
        for one, other in zip(asked, found, strict=True)
    )
