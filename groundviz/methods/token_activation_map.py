"""Token activation map: where the image lights up for a word, less what earlier words lit up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from groundviz.methods.toolkit.method import METHODS, each_token, laid_out
from groundviz.record.types import Answer, Floats, Heatmaps, Ints, Prompt, Target
from groundviz.runtime import Live


@METHODS.register(
    "token_activation_map",
    shows="Where the image lights up for a word, beyond what the words before it lit up already.",
    unit="logits",
    cost="one forward pass, and the words' own rows of the output head at every image token",
    source=(
        'Li et al., "Token Activation Map to Visually Explain Multimodal LLMs", ICCV 2025. Their rank '
        "Gaussian filter only smooths, and is left out: maps here are raw"
    ),
    known_failure=(
        "Image tokens of the last layer are not trained to say words, and nothing after them reads them; "
        "the map tells what could be read there, not what was. The demo model's say nothing of the kind: "
        "maps point at nodules no better than chance (2 %)."
    ),
    contrasts=False,
)
def token_activation_map(
    live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...]
) -> list[Heatmaps]:
    """Read words off the image tokens, less what earlier words explain.

    Formula: max(0, a_t - s I_t). The activation a_t[j] = max(0, logit of token t at image cell j) is read
    off the last hidden states. The interference I_t is the mean of a_k over the words k of the question and
    the answer before t, other than t itself, weighted by the activation of t in the state of word k: the
    state at it in the question, the state that generated it in the answer. s has the least squared
    error |a_t - s I_t|. Aggregated as the mean over target tokens. The class of every answer token is its
    own id, the first one's too. `params` gives each token's `class_ids` and `interference`, the factor s (0
    where nothing came before).
    Targets: every token; no contrasts.
    """
    cells, words = _states(live, prompt, answer)
    asked = _question(prompt)
    ids = np.concatenate([prompt.token_ids[asked], answer.token_ids])
    at_cells, at_words = (_activations(live, hidden, ids.tolist()) for hidden in (cells, words))
    maps, factors = [], []
    # The question's words come first, and only interfere.
    for t in range(len(asked), len(ids)):
        found, factor = _less_interference(at_cells, at_words, ids, t)
        maps.append(found)
        factors.append(factor)
    return laid_out(
        np.stack(maps),
        live.grids(live.site("language.0")),
        each_token(answer),
        reduce=("mean", "mean", "mean"),
        params={"class_ids": tuple(ids[len(asked) :].tolist()), "interference": tuple(factors)},
    )


def _question(prompt: Prompt) -> Ints:
    """Positions of the question's tokens in the prompt."""
    spans = [np.arange(span.start, span.stop) for span in prompt.spans if span.kind == "question"]
    return np.concatenate([np.empty(0, np.int64), *spans])


def _states(live: Live, prompt: Prompt, answer: Answer) -> tuple[Tensor, Tensor]:
    """Last hidden states at the image cells, and at the words of question and answer."""
    grids = live.grids(live.site("language.0"))
    hidden = live.hidden_states(live.sites[-1].layer)
    cells = np.concatenate([grid.positions[grid.positions >= 0] for grid in grids])
    saying = np.arange(len(answer.token_ids)) + len(prompt.token_ids) - 1
    words = np.concatenate([_question(prompt), saying])
    return hidden[cells.tolist()], hidden[words.tolist()]


@torch.no_grad()
def _activations(live: Live, hidden: Tensor, token_ids: Sequence[int]) -> Floats:
    """Logits of some tokens where positive: (row, token)."""
    return np.asarray(live.unembed(hidden, token_ids).clamp(min=0).cpu().numpy())


def _less_interference(at_cells: Floats, at_words: Floats, ids: Ints, t: int) -> tuple[Floats, float]:
    """The map of word t, and how much of the earlier words' maps was taken from it."""
    earlier = np.flatnonzero(ids[:t] != ids[t])
    weights = at_words[earlier, t]
    interference = at_cells[:, earlier] @ weights / max(float(weights.sum()), np.finfo(np.float32).tiny)
    power = float(interference @ interference)
    factor = 0.0
    # Without interference there is nothing to fit.
    if power > 0:
        factor = float(at_cells[:, t] @ interference) / power
    return np.maximum(at_cells[:, t] - factor * interference, 0.0), factor
