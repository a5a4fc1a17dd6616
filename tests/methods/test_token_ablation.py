"""Ablation of a model that is linear in its image tokens is a sum of weights over each block."""

from dataclasses import replace

import numpy as np
import pytest

from groundviz.errors import UnknownName, UnsupportedMethod
from groundviz.explain import explain
from groundviz.methods.token_ablation import token_ablation
from groundviz.runtime import Live
from tests.methods.linear import QUESTION, asked, make_linear, values_of


@pytest.mark.parametrize("fill", ["mean", "zero"])
@pytest.mark.parametrize("block", [1, 2, 3])
def test_a_block_loses_what_its_tokens_weigh(tiny, source_image, monkeypatch, fill, block):
    with asked(tiny, source_image) as (live, prompt, answer):
        tokens, weights = make_linear(monkeypatch, live, "projector")
        blank = tokens.mean(1, keepdim=True) if fill == "mean" else 0.0
        lost = (weights * (tokens - blank))[: len(answer.tokens)].sum(2).reshape(-1, 4, 4).numpy()
        found = values_of(token_ablation(live, prompt, answer, (), block=block, fill=fill))
    for row in range(4):
        for col in range(4):
            top, left = row // block * block, col // block * block
            expected = lost[:, top : top + block, left : left + block].sum((1, 2))
            np.testing.assert_allclose(found[:, row, col], expected, rtol=1e-3, atol=1e-3)


def test_blocks_do_not_reach_from_one_tile_into_the_next(tiny, source_image, monkeypatch):
    with asked(tiny, source_image) as (live, prompt, answer):
        tokens, weights = make_linear(monkeypatch, live, "projector")
        (grid,) = prompt.grids
        tiles = tuple(
            replace(grid, rows=2, positions=grid.positions.reshape(2, 8)[tile], valid=grid.valid[:2])
            for tile in (0, 1)
        )
        monkeypatch.setattr(Live, "grids", lambda self, site: tiles)
        maps = token_ablation(live, prompt, answer, (), block=3)
    lost = (weights * (tokens - tokens.mean(1, keepdim=True)))[: len(answer.tokens)]
    lost = lost.sum(2).reshape(-1, 2, 2, 4)
    for tile, one in enumerate(maps):
        expected = lost[:, tile, :, :3].sum((1, 2))
        np.testing.assert_allclose(one.values[:, 0, 0, 1, 1], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [({"block": 0}, UnsupportedMethod, "block=0"), ({"fill": "blur"}, UnknownName, "'blur'.*mean, zero")],
)
def test_options_that_make_no_sense_are_refused(tiny, source_image, options, error, says):
    with pytest.raises(error, match=says):
        explain(tiny, source_image, QUESTION, methods={"token_ablation": options})
