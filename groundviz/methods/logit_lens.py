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
        "in the image. The demo model's image tokens say nothing of the kind: maps point at nodules no "
        "better than chance (2 %), asked where they are or naming them in a report."
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
    measured = targets if contrasts else each_token(answer)
    said = [answer.token_ids[list(target.tokens)].tolist() for target in measured]
    foils = [list(target.foil.token_ids) if target.foil else [] for target in measured]
    wanted = sorted({token for tokens in (*said, *foils) for token in tokens})
    first = live.site("language.0")
    sites = [site for site in live.sites if site.stage == first.stage]
    read = torch.stack([_log_probabilities(live, cells[0], wanted) for cells in live.read_each(*sites)])
    values = [
        _mean(read, wanted, own) - _mean(read, wanted, other) for own, other in zip(said, foils, strict=True)
    ]
    return laid_out(
        torch.stack(values)[:, :, None],
        live.grids(first),
        measured,
        signed=contrasts,
        reduce=("mean", "mean", "mean"),
        layers=[site.layer for site in sites],
    )


@torch.no_grad()
def _log_probabilities(live: Live, hidden: Tensor, token_ids: Sequence[int]) -> Tensor:
    """What hidden states (cell, channel) say of some tokens, float32 (cell, token)."""
    parts = [
        torch.log_softmax(live.unembed(part), dim=-1)[:, token_ids] for part in hidden.split(CELLS_AT_ONCE)
    ]
    return torch.cat(parts).cpu()


def _mean(read: Tensor, token_ids: Sequence[int], chosen: Sequence[int]) -> Tensor:
    """The mean over some tokens (layer, cell) of what was read (layer, cell, token); 0 over none."""
    at = [token_ids.index(token) for token in chosen]
    return read[..., at].mean(dim=-1) if at else read.new_zeros(read.shape[:-1])
