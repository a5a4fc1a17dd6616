"""A stand-in for a borrowed model whose attention is what a test says it is."""

from types import SimpleNamespace

import numpy as np

from groundviz.record.types import Answer, Grid, Prompt, Target


def planted(attention, *, rows, cols, neutral=None):
    """Arguments of a method: live, prompt, answer and targets, for attention (token, layer, head, cell).

    Args:
        attention: What each answer token attended to.
        rows: Of the one grid of image tokens.
        cols: Of the grid; cells beyond the attention's have no token.
        neutral: The same under any other question.
    """
    attention = np.asarray(attention, np.float32)
    other = SimpleNamespace(prompt=None, answer=lambda prompt, given: None)
    other.attention = lambda: np.asarray(neutral, np.float32)
    live = SimpleNamespace(attention=lambda: attention, ask=lambda question: other)
    live.attending_layers = tuple(range(attention.shape[1]))
    count = len(attention)
    answer = Answer(
        text="x" * count,
        token_ids=np.arange(count),
        tokens=("x",) * count,
        offsets=np.stack([np.arange(count), np.arange(count) + 1], axis=1),
        logprobs=np.zeros(count, np.float32),
        source="given",
    )
    return live, _prompt(attention.shape[-1], rows, cols), answer, (Target(tokens=(0,), text="x"),)


def _prompt(cells, rows, cols):
    positions = np.full(rows * cols, -1)
    positions[:cells] = np.arange(cells)
    grid = Grid(
        rows=rows,
        cols=cols,
        positions=positions,
        to_source=np.eye(2, 3),
        valid=(positions >= 0).reshape(rows, cols),
        stage="language",
    )
    return Prompt(
        text="", question="", token_ids=np.arange(cells), tokens=("",) * cells, spans=(), grids=(grid,)
    )
