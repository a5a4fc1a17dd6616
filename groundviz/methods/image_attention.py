"""Image attention: how the attention that went to the image was spread over it, and its sinks."""

from __future__ import annotations

import numpy as np

from groundviz.methods.toolkit.method import METHODS, each_token, laid_out
from groundviz.record.geometry import held_cells
from groundviz.record.types import Answer, Floats, Grid, Heatmaps, Ints, Prompt, Target
from groundviz.runtime import Live

# How many times the median cell of its row a sink draws. No source names a number for attention
# itself; the sinks that are reported draw tens to hundreds of times the median.
FAR = 10.0


@METHODS.register(
    "image_attention",
    shows="Where on the image it looked: attention to each cell as a share of that to the whole image.",
    unit="share of the attention to the image",
    cost="no pass beyond the answer's own",
    source=(
        'Kang et al., "See What You Are Told: Visual Attention Sink in Large Multimodal Models", ICLR 2025, '
        'and Xiao et al., "Efficient Streaming Language Models with Attention Sinks", ICLR 2024, for sinks; '
        "both find them by what they are in the hidden states, here by what they draw"
    ),
    known_failure=(
        "As with attention, a look is no cause. In an answer of one or two tokens a cell that all of them "
        "need looks like a sink."
    ),
    contrasts=False,
)
def image_attention(
    live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...]
) -> list[Heatmaps]:
    """Divide the attention to each image cell by that to all of them.

    Formula: A[layer, head, p - 1, j] / sum over image cells i of A[layer, head, p - 1, i], 0 where a head
    does not see the image; aggregated as the mean over heads, layers and target tokens, so that each head
    has one voice, however little of its attention goes to the image. `params` says how much that is,
    `image_share` (one number per answer token, the mean over layers and heads), and which cells are `sinks`:
    those that draw more than ten times the median cell in most heads for every token of the answer, whatever
    it says; each with its grid, row, column and share. They stay in the map.
    Targets: every token; no contrasts.
    """
    attention = live.attention()
    mass = attention.sum(axis=-1, keepdims=True)
    shares = np.divide(attention, mass, out=np.zeros_like(attention), where=mass > 0)
    return laid_out(
        shares,
        prompt.grids,
        each_token(answer),
        reduce=("mean", "mean", "mean"),
        layers=live.attending_layers,
        params={
            "image_share": tuple(mass.mean(axis=(1, 2, 3)).tolist()),
            "sinks": _described(sinks(attention), shares, prompt.grids),
        },
    )


def sinks(attention: Floats) -> Ints:
    """Which cells draw far more than the median cell in most heads, for every token: int (sink,).

    Args:
        attention: (token, layer, head, cell). Heads that see less than half the image are left out.

    >>> attention = np.full((2, 1, 3, 8), 0.01, np.float32)
    >>> attention[:, :, 1:, 5] = 0.4  # in two of three heads, whatever the token
    >>> attention[0, :, :, 2] = 0.4  # for one token only
    >>> sinks(attention).tolist()
    [5]
    """
    median = np.median(attention, axis=-1, keepdims=True)
    seeing = median > 0
    far = (attention > FAR * median) & seeing
    most = far.sum(axis=(1, 2)) > 0.5 * seeing.sum(axis=(1, 2))
    return np.flatnonzero(most.all(axis=0)).astype(np.int64)


def _described(cells: Ints, shares: Floats, grids: tuple[Grid, ...]) -> tuple[dict[str, float], ...]:
    """Where sinks lie, and the share of the attention to the image that each takes on average."""
    places = [
        (number, *divmod(int(cell), grid.cols))
        for number, grid in enumerate(grids)
        for cell in np.flatnonzero(held_cells(grid))
    ]
    drawn = shares.mean(axis=(0, 1, 2))
    return tuple(
        dict(zip(("grid", "row", "col", "share"), (*places[cell], float(drawn[cell])), strict=True))
        for cell in cells
    )
