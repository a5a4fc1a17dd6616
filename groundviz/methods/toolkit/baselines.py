"""Images to compare with: the image with its details taken out, as the model would see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from torch import Tensor

from groundviz.errors import UnknownName
from groundviz.record.types import Floats
from groundviz.runtime.live import Live

# Shares of the image's shorter side: both wide enough that no small finding is left to be seen.
BLUR_SIGMA = 0.15
MEAN_WIDTH = 0.5
# Pixels along the shorter side from which on the means of blocks are weighed.
FINE = 512

Distances = np.ndarray


def baseline(live: Live, kind: str) -> Tensor:
    """The image that stands for "nothing to be seen", shaped as `live.read(live.site("pixels"))`.

    It is made of the images' own pixels, in source space, and goes through the model's own
    preprocessing; once for each answer.

    Args:
        live: A borrowed model with an encoded image.
        kind: "blur", a Gaussian whose sigma is 0.15 of the shorter side; "mean", the mean of a
            square half as wide as the shorter side around each pixel; "flat", the mean of the whole image;
            or "black", which is air on a radiograph and thus no neutral image of one.

    Raises:
        UnknownName: There is no such kind.

    >>> from groundviz import images, load
    >>> from groundviz.runtime import borrow
    >>> with borrow(load("demo")) as live:
    ...     _ = live.encode(images.load(np.eye(112, dtype=np.float32)), "Is there a nodule?")
    ...     float(baseline(live, "black").max())
    -1.0
    """
    if kind not in KINDS:
        listed = ", ".join(KINDS)
        raise UnknownName(f"There is no baseline called {kind!r}: there are {listed}. Name one of these.")
    return live.once(("baseline", kind), lambda: live.repainted(KINDS[kind]))


def blurred(pixels: Floats, share: float = BLUR_SIGMA) -> Floats:
    """Pixels, (rows, cols) or (rows, cols, 3), without detail: a wide Gaussian, cut off at the border.

    Args:
        pixels: An image.
        share: The Gaussian's sigma, as a share of the shorter side.
    """
    sigma = share * min(pixels.shape[:2])
    return _weighed(pixels, lambda apart: np.exp(-0.5 * (apart / sigma) ** 2))


def local_mean(pixels: Floats) -> Floats:
    """Pixels, (rows, cols) or (rows, cols, 3), each the mean of a wide square around it."""
    reach = MEAN_WIDTH * min(pixels.shape[:2]) / 2
    return _weighed(pixels, lambda apart: apart <= reach)


def flat(pixels: Floats) -> Floats:
    """Pixels, (rows, cols) or (rows, cols, 3), each the mean of all."""
    return np.broadcast_to(pixels.mean(axis=(0, 1), dtype=np.float64), pixels.shape).astype(np.float32)


def _weighed(pixels: Floats, weigh: Callable[[Distances], Distances]) -> Floats:
    """Weighted means along rows and columns; a neighbour beyond the border has no weight.

    Of a large image the means of small blocks are weighed: weights are wide, and hardly change within one.
    """
    step = max(1, min(pixels.shape[:2]) // FINE)
    blocks = pixels
    for axis in (0, 1):
        blocks = _block_means(blocks, step, axis)
    along_rows, along_cols = (_weights(side, step, weigh) for side in pixels.shape[:2])
    return np.asarray(
        np.einsum("pr,rc...,qc->pq...", along_rows, blocks, along_cols, optimize=True), np.float32
    )


def _block_means(pixels: Floats, step: int, axis: int) -> Floats:
    """Means of runs of `step` pixels along an axis; the last run may be shorter."""
    if step == 1:
        return pixels
    starts = np.arange(0, pixels.shape[axis], step)
    counts = np.diff([*starts, pixels.shape[axis]]).astype(np.float32)
    shape = [1] * pixels.ndim
    shape[axis] = len(counts)
    sums = np.add.reduceat(pixels, starts, axis=axis)
    return np.asarray(sums / counts.reshape(shape), dtype=np.float32)


def _weights(side: int, step: int, weigh: Callable[[Distances], Distances]) -> Floats:
    """(side, block) weight of each block of `step` pixels in the mean around each pixel; rows add up to 1."""
    at = np.arange(side, dtype=np.float32)
    starts = np.arange(0, side, step)
    counts = np.diff([*starts, side]).astype(np.float32)
    middles = (starts + (counts - 1) / 2).astype(np.float32)
    weights = weigh(np.abs(at[:, None] - middles)).astype(np.float32) * counts
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


KINDS: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType(
    {"blur": blurred, "mean": local_mean, "black": np.zeros_like, "flat": flat}
)
