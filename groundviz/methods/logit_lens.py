"""Logit lens: which word each image token would say, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from groundviz.methods.toolkit.method import METHODS, each_token, laid_out
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live

# A hundred thousand words are scored for each: more at once would cost more memory than the model's states.
CELLS_AT_ONCE = 64


@METHODS.register(
    "logit_lens",
    shows="Where the image says the word: its log-probability read off each image token's hidden state.",
    unit="nats",
    cost="one forward pass, and the output head at every image token and layer",
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
def logit_lens(live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...]) -> list[Heatmaps]:
    """Put the hidden state of each image token through the output head.

    Formula: log softmax(W norm(h[layer, j]))[t] with h the output of a decoder layer at image token j, norm
    and W the model's final norm and output head (and its soft cap), and t a token of the answer; aggregated
    as the mean over layers and target tokens. A contrast is the target's map less the foil's, each the mean
    over its tokens; contrasts are signed, and are then measured without the single tokens.
    Targets: every token, and contrasts.
    """
    contrasts = any(target.foil for target in targets)
    # A contrast is no sum of single tokens, so that these would have another meaning beside it.
    measured = targets if contrasts else each_token(answer)
    words = [_words(answer, target) for target in measured]
    wanted = sorted({token for both in words for tokens in both for token in tokens})
    first = live.site("language.0")
    sites = [site for site in live.sites if site.stage == first.stage]
    # Every layer is read in one pass, and every word once, however many targets it stands in.
    layers = [_log_probabilities(live, cells[0], wanted) for cells in live.read_each(*sites)]
    read = torch.stack(layers)
    values = []
    for own, foil in words:
        values.append(_mean(read, wanted, own) - _mean(read, wanted, foil))
    return laid_out(
        torch.stack(values)[:, :, None],
        live.grids(first),
        measured,
        signed=contrasts,
        reduce=("mean", "mean", "mean"),
        layers=[site.layer for site in sites],
    )


def _words(answer: Answer, target: Target) -> tuple[list[int], list[int]]:
    """The token ids of a target, and of its foil; no id where there is no foil."""
    own: list[int] = answer.token_ids[list(target.tokens)].tolist()
    if target.foil is None:
        return own, []
    return own, list(target.foil.token_ids)


@torch.no_grad()
def _log_probabilities(live: Live, hidden: Tensor, token_ids: Sequence[int]) -> Tensor:
    """What hidden states (cell, channel) say of some tokens, float32 (cell, token)."""
    parts = [
        torch.log_softmax(live.unembed(part), dim=-1)[:, token_ids] for part in hidden.split(CELLS_AT_ONCE)
    ]
    return torch.cat(parts).cpu()


def _mean(read: Tensor, token_ids: Sequence[int], chosen: Sequence[int]) -> Tensor:
    """The mean over some tokens (layer, cell) of what was read (layer, cell, token); 0 over none."""
    if not chosen:
        return read.new_zeros(read.shape[:-1])
    at = [token_ids.index(token) for token in chosen]
    return read[..., at].mean(dim=-1)
