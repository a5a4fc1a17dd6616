"""The phantoms that the demo model learns from, drawn in a process of their own while it learns."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace

import numpy as np

from groundviz.demo.findings import FINDINGS
from groundviz.demo.phantoms import SIZE, Phantom, phantom
from groundviz.methods.toolkit.baselines import blurred, local_mean
from groundviz.record.types import Floats

TRAINING_SEEDS = 10_000_000
HOW_MANY = {0: 0.12, 1: 0.36, 2: 0.36, 3: 0.16}
# How many batches wait for the training at most.
AHEAD = 6
# Of so many images one is blank, where blank ones are shown.
BLANK_EVERY = 6


def drawn_ahead(
    start: int, batch: int, steps: int, draw: Callable[[int], Phantom] | None = None
) -> Iterator[list[Phantom]]:
    """Batches of training images, the next ones drawn while the caller works on one.

    The number of an image alone says what it shows, so that a second process changes nothing.

    Args:
        start: Number of the first image.
        batch: Images of a batch.
        steps: How many batches.
        draw: Draws the image of a number, a function of a module; `training_phantom` when None.
    """
    waiting: deque[Future[list[Phantom]]] = deque()
    # A fresh process: a copy of one that runs torch could hang.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=fresh) as artist:
        for step in range(steps):
            waiting.append(artist.submit(draw_batch, start + step * batch, batch, draw))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def draw_batch(first: int, batch: int, draw: Callable[[int], Phantom] | None = None) -> list[Phantom]:
    """The training images numbered from `first` on; of the first two stages when `draw` is None."""
    shown = draw or training_phantom
    return [shown(first + i) for i in range(batch)]


def training_phantom(index: int) -> Phantom:
    """The `index`-th training image; training never uses a seed of TRAINING_SEEDS or above."""
    seed = index % TRAINING_SEEDS
    rng = np.random.default_rng([seed, 9])
    count = int(rng.choice(list(HOW_MANY), p=list(HOW_MANY.values())))
    # Small findings are the hard ones, so they are shown more often.
    odds = np.array([3.0, 2.5, 1.5, 1.5, 1.0, 1.0])
    chosen = rng.choice(len(FINDINGS), size=count, replace=False, p=odds / odds.sum())
    names = [FINDINGS[i] for i in chosen]
    if index % 4:
        return phantom(seed, findings=names)
    # Real files are larger than what the model sees; every fourth image is shrunk like one.
    return _halved(phantom(seed, size=2 * SIZE, findings=names))


def phantom_or_blank(index: int) -> Phantom:
    """The `index`-th image of the last stage: every sixth one shows nothing, and nothing is found in it."""
    drawn = training_phantom(index)
    if index % BLANK_EVERY:
        return drawn
    rng = np.random.default_rng([drawn.seed, 11])
    pixels = drawn.pixels.astype(np.float32)
    shown: Callable[[], Floats] = (
        lambda: blurred(pixels, float(rng.uniform(0.06, 0.20))),
        lambda: local_mean(pixels),
        lambda: np.full_like(pixels, rng.uniform(0.05, 0.95)),
    )[int(rng.integers(3))]
    return replace(drawn, pixels=shown(), findings=(), masks=())


def _halved(large: Phantom) -> Phantom:
    blocks = (SIZE, 2, SIZE, 2)
    masks = tuple(mask.reshape(blocks).mean((1, 3)) >= 0.5 for mask in large.masks)
    return replace(large, pixels=large.pixels.reshape(blocks).mean((1, 3)), masks=masks)
