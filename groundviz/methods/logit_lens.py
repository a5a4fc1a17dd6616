"""Logit lens: which word each image token would say, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from groundviz.methods.toolkit.method import METHODS, each_token, laid_out
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live
from groundviz.runtime.passes.unembedding import Less


@METHODS.register(
    "logit_lens",
    shows="Where the image says the word: its log-probability read off each image token's hidden state.",
    unit="nats",
    cost="one forward pass, and the output head at every image token and layer (not for contrasts)",
    source=(
        'nostalgebraist, "Interpreting GPT: the logit lens", 2020; for image tokens Neo et al., "Towards '
        'Interpreting Visual Information Processing in Vision-Language Models", ICLR 2025'
    ),
    known_failure=(
        "It shows what could be read there, not what was. Image tokens are not trained to say words, early "
        'layers speak another language than the output head, and words for a place or for "yes" are nowhere '
        "in the image. On the demo model, maps of the answer to where a nodule is point at 83 % of them, but "
        "those of its name in a report at 4 %, near chance (2 %)."
    ),
)
def logit_lens(
    live: Live,
    prompt: Prompt,
    answer: Answer,
    targets: tuple[Target, ...],
    *,
    normalised: bool = True,
) -> list[Heatmaps]:
    """Put the hidden state of each image token through the output head.

    Formula: log softmax(W norm(h[layer, j]))[t] with h the output of a decoder layer at image token j, norm
    and W the model's final norm and output head (and its soft cap), and t a token of the answer; aggregated
    as the mean over layers and target tokens. A contrast is the target's map less the foil's, each the mean
    over its tokens; contrasts are signed, and are then measured without the single tokens. What normalises
    the softmax cancels in a contrast, so no other word's score is computed.
    Without `normalised` maps are (W norm(h[layer, j]))[t] less its mean over all words t, in logits, signed.
    With a large vocabulary that takes a small part of the time, as only the rows of W for the answer's words
    are used. The maps are worse: a cell where another word is certain is not told from one where none is.
    On the demo model they point at 56 % of 178 nodules, where log-probabilities point at 91 %, and logits
    with nothing subtracted at 16 %.
    Targets: every token, and contrasts.

    Args:
        live: The borrowed model.
        prompt: What was asked.
        answer: What it answered.
        targets: What to explain.
        normalised: Whether single words are measured in log-probabilities.
    """
    contrasts = any(target.foil for target in targets)
    # A contrast is no sum of single tokens, so that these would have another meaning beside it.
    measured = targets if contrasts else each_token(answer)
    less, unit = _scale(measured, normalised=normalised)
    words = [_words(answer, target) for target in measured]
    wanted = sorted({token for both in words for tokens in both for token in tokens})
    first = live.site("language.0")
    sites = [site for site in live.sites if site.stage == first.stage]
    # Every layer is read in one pass, and every word once, however many targets it stands in.
    with torch.no_grad():
        layers = [live.unembed(cells[0], wanted, less=less).cpu() for cells in live.read_each(*sites)]
    read = torch.stack(layers)
    values = []
    for own, foil in words:
        values.append(_mean(read, wanted, own) - _mean(read, wanted, foil))
    return laid_out(
        torch.stack(values)[:, :, None],
        live.grids(first),
        measured,
        unit=unit,
        signed=contrasts or not normalised,
        reduce=("mean", "mean", "mean"),
        layers=[site.layer for site in sites],
    )


def _scale(targets: Sequence[Target], *, normalised: bool) -> tuple[Less, str]:
    """What to subtract from the logits, and the unit of the maps."""
    if all(target.foil for target in targets):
        return "nothing", "nats"
    if normalised:
        return "log-sum-exp", "nats"
    return "mean", "logits"


def _words(answer: Answer, target: Target) -> tuple[list[int], list[int]]:
    """The token ids of a target, and of its foil; no id where there is no foil."""
    own: list[int] = answer.token_ids[list(target.tokens)].tolist()
    if target.foil is None:
        return own, []
    return own, list(target.foil.token_ids)


def _mean(read: Tensor, token_ids: Sequence[int], chosen: Sequence[int]) -> Tensor:
    """The mean over some tokens (layer, cell) of what was read (layer, cell, token); 0 over none."""
    if not chosen:
        return read.new_zeros(read.shape[:-1])
    at = [token_ids.index(token) for token in chosen]
    return read[..., at].mean(dim=-1)
