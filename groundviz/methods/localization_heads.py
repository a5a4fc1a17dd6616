"""Localisation heads: the few attention heads that look at one place of the image."""

from __future__ import annotations

import numpy as np

from groundviz.errors import UnknownName
from groundviz.methods.toolkit.head_rules import by_answer, published
from groundviz.methods.toolkit.method import METHODS, each_token, laid_out
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live


@METHODS.register(
    "localization_heads",
    shows="Where its localisation heads looked: the heads that attend to the image, and to one place of it.",
    unit="share of attention",
    cost="no pass beyond the answer's own",
    source=(
        'Kang et al., "Your Large Vision-Language Model Only Needs A Few Attention Heads For Visual '
        'Grounding", CVPR 2025; the paper takes the heads that qualify most often over 1,000 images, here '
        "each answer chooses its own"
    ),
    known_failure=(
        "A head that stares at a sink has the lowest entropy of all, and an answer about nothing in the "
        "image gets heads all the same. On the demo model three heads point at 88 % of nodules, the first "
        "of them alone at 76 %, where the mean over all heads points at all."
    ),
    contrasts=False,
)
def localization_heads(
    live: Live,
    prompt: Prompt,
    answer: Answer,
    targets: tuple[Target, ...],
    *,
    heads: int = 3,
    rule: str = "answer",
) -> list[Heatmaps]:
    """Average the attention of a few heads that are chosen for their maps.

    Formula: the mean of A[layer, head, p - 1, j] over a few heads and the target tokens. Heads qualify when
    their attention to the image, summed over cells and averaged over the answer's words, is above the elbow
    of its sorted values (the value farthest below the chord from the lowest to the highest). Of these, the
    `heads` with the lowest spatial entropy are taken: cells above twice the map's mean are joined to
    regions, touching corners included, and the entropy in nats is that of the regions' shares of the excess,
    averaged over the answer's words; among equals the one that looks at the image more. `params` says which
    heads were `chosen`: layer, head, mass and entropy, in the order of the maps' head axis; fewer where
    fewer qualify.
    Targets: every token; no contrasts.

    Options: `heads` is how many are taken at the most. `rule` is "answer", as above, or "published", as
    in the authors' code, which differs in this: it reads one row, the last prompt token's, so that its
    map is the same for every word of the answer; heads at the elbow pass, too, and the elbow is the
    value farthest from the chord on either side; layers 0 and 1 are left out, and heads of which a cell
    in the bottom row draws more than .05; a cell must exceed twice the mean by .001 to belong to a
    region, while all that exceeds it counts in the whole; where no head is left, the one that looks at
    the image most is taken. Maps stay raw here; theirs are smoothed, added up and cut at the mean.
    """
    attention = live.attention()
    if rule == "published":
        chosen = published(attention[0], prompt.grids, heads, live.attending_layers)
        attention = np.broadcast_to(attention[:1], attention.shape)
    elif rule == "answer":
        # Special tokens are read by other heads; an answer of nothing else has no other rows.
        spoken = attention[list(answer.spoken)] if answer.spoken else attention
        chosen = by_answer(spoken, prompt.grids, heads)
    else:
        raise UnknownName(
            f"There is no rule called {rule!r}: there are answer, published. Name one of these."
        )
    return laid_out(
        np.stack([attention[:, one.layer, one.head] for one in chosen], axis=1)[:, None],
        prompt.grids,
        each_token(answer),
        reduce=("mean", "mean", "mean"),
        params={"chosen": tuple(one.described for one in chosen)},
    )
