"""A model whose scores are linear in the image, so that perturbation maps have closed forms."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import torch

from groundviz.runtime import borrow
from groundviz.runtime.passes.forward import Passes

QUESTION = "Is there a nodule?"
ANSWER = "left lung nodule and effusion"


@contextmanager
def asked(vlm, source_image, *, seed=0):
    """(live, prompt, answer) of a borrowed model that was given an answer."""
    with borrow(vlm, seed=seed) as live:
        prompt = live.encode(source_image, QUESTION)
        yield live, prompt, live.answer(prompt, given=ANSWER)


def make_linear(monkeypatch, live, place, *, constant=0.0):
    """Replace the scores of every target by a weighted sum over a site; returns values and weights.

    The weights are float32 (target, cell, channel), 16 targets at most.
    """
    site = live.site(place)
    values = live.read(site).detach().clone()
    weights = torch.randn(16, *values.shape[1:], generator=torch.Generator().manual_seed(3))

    def scores(self, targets, at, given):
        here = values if given is None else given
        return here.flatten(1) @ weights[: len(targets)].flatten(1).T + constant

    monkeypatch.setattr(Passes, "scores", scores)
    return values, weights


def by_cell(image, cells):
    """Sums of (target, channel, row, col) over equal square cells: float (target, row, col)."""
    count, _, rows, cols = image.shape
    tiles = image.sum(1).reshape(count, cells, rows // cells, cells, cols // cells)
    return tiles.sum((2, 4)).numpy()


def values_of(maps):
    """The values (target, row, col) of a method's only maps."""
    (one,) = maps
    assert one.values.shape[1:3] == (1, 1)
    return np.asarray(one.values[:, 0, 0])
