"""A map laid over its image, at any resolution: opacity follows the value, so pathology stays visible.

Where a map is zero the image shows through untouched; at the end of its scale colour covers `Scale.opacity`
of it. Cells the model never saw are hatched in grey, so that "not seen" cannot be mistaken for "nothing
found". The fewest cells that hold half of a map can be outlined, which keeps the message in greyscale
print. Nothing is ever mirrored.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from contourpy import contour_generator
from PIL import Image, ImageDraw
from scipy import sparse

from groundviz.record import geometry
from groundviz.record.mass import heaviest
from groundviz.record.types import Bools, Doubles, Floats, Heatmap, SourceImage
from groundviz.render.base.colour import Scale

# Shares of a map's mass whose cells are outlined; the further one thinly.
OUTLINED = (0.5, 0.9)
# Lines around more of a map than this are a maze; that it is spread so wide is told in words.
WIDEST = 0.25
# Finer maps, pixel by pixel, would drown in the lines around their cells.
MOST_OUTLINED = 64
_FINEST_LEVEL = 256
# Of a scale.
_FAINT = 0.25
# Grey, and how much of what lies under it a hatching line covers.
_LINE = (0.5, 0.5, 0.5, 0.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """Lines around cells of one sign.

    Attributes:
        edges: Line ends (n, 2, 2) of (row, col) in source pixels.
        negative: Whether the cells are below zero.
        thin: Whether it is the further of `OUTLINED`.
    """

    edges: Doubles
    negative: bool
    thin: bool


def overlaid(
    source_image: SourceImage,
    shape: tuple[int, int],
    heatmap: Heatmap,
    scale: Scale | None,
    *,
    smooth: bool = False,
) -> Floats:
    """The image at `shape`, float32 (rows, cols, 3), with the map over it; bare without a scale.

    Args:
        source_image: The image.
        shape: Rows and columns of the image.
        heatmap: What to lay over it.
        scale: The map's scale, or None when the map holds no evidence.
        smooth: Interpolate the map's values between cell centres instead of showing its cells.
    """
    base = resample(source_image.pixels, shape)
    if scale is None:
        return base
    return blend(base, veil(source_image.shape, shape, heatmap, scale, smooth=smooth))


def veil(
    source: tuple[int, int],
    shape: tuple[int, int],
    heatmap: Heatmap,
    scale: Scale,
    *,
    smooth: bool = False,
) -> Floats:
    """A map without its image, float32 (rows, cols, 4): its colours, and how much of the image they cover.

    Args:
        source: Rows and columns of the source image.
        shape: Rows and columns of the image.
        heatmap: The map.
        scale: Its scale.
        smooth: As in `overlaid`.
    """
    values = read(heatmap, source, shape, smooth=smooth)
    return hatch(scale.veil(values), np.isnan(values))


def resample(pixels: Floats, shape: tuple[int, int]) -> Floats:
    """Display pixels at another resolution, float32 (rows, cols, 3).

    Where an axis is made smaller, each pixel is the exact mean of the area that it covers: nothing is
    missed, and no bright rim appears that is not in the image. Where it is made larger, bicubic.
    """
    channels = pixels[..., None] if pixels.ndim == 2 else pixels
    smaller = min(shape[0], channels.shape[0]), min(shape[1], channels.shape[1])
    means = area_means(area_means(channels, smaller[0], axis=0), smaller[1], axis=1)
    resized = []
    # One by one, for Pillow resizes no colours of float32.
    for at in range(means.shape[2]):
        channel = Image.fromarray(means[..., at])
        resized.append(np.asarray(channel.resize(shape[::-1], Image.Resampling.BICUBIC)))
    colours = np.broadcast_to(np.stack(resized, axis=2), (*shape, 3))
    return np.asarray(np.clip(colours, 0.0, 1.0), dtype=np.float32)


def area_means(pixels: Floats, count: int, axis: int) -> Floats:
    """Exact means over `count` equal stretches of an axis, which may begin and end amid a pixel.

    Args:
        pixels: Any array of numbers.
        count: How many stretches; at most as many as the axis is long.
        axis: Which axis becomes `count` long.

    >>> area_means(np.array([0.0, 3.0, 6.0], np.float32), 2, axis=0).tolist()
    [1.0, 5.0]
    """
    size = pixels.shape[axis]
    if count == size:
        return pixels
    along = np.moveaxis(pixels, axis, 0)
    means = _area_weights(size, count) @ along.reshape(size, -1).astype(np.float64)
    return np.asarray(np.moveaxis(means.reshape(count, *along.shape[1:]), 0, axis), dtype=np.float32)


@lru_cache(maxsize=64)
def _area_weights(size: int, count: int) -> sparse.csr_array:
    """What each of `count` equal stretches takes of each of `size` pixels, (count, size); rows sum to one."""
    ends = np.linspace(0.0, size, count + 1)
    cuts = np.union1d(ends, np.arange(size + 1.0))
    middles = (cuts[1:] + cuts[:-1]) / 2
    stretch = np.searchsorted(ends, middles) - 1
    weights = np.diff(cuts) * (count / size)
    return sparse.csr_array((weights, (stretch, middles.astype(int))), shape=(count, size))


def read(
    heatmap: Heatmap, source: tuple[int, int], shape: tuple[int, int], *, smooth: bool = False
) -> Floats:
    """The values at every pixel of an image of `shape`, of a source image of `source`; NaN where unseen."""
    resize = geometry.scale_shift((shape[0] / source[0], shape[1] / source[1]))
    grid = replace(heatmap.grid, to_source=geometry.compose(resize, heatmap.grid.to_source))
    return geometry.to_source_pixels(heatmap.values, grid, shape, smooth=smooth)


def blend(base: Floats, over: Floats) -> Floats:
    """`base` (rows, cols, 3) under a veil (rows, cols, 4)."""
    opacity = over[..., 3:]
    return np.asarray((1.0 - opacity) * base + opacity * over[..., :3], dtype=np.float32)


def hatch(over: Floats, unseen: Bools) -> Floats:
    """A veil (rows, cols, 4) with thin diagonal grey lines where `unseen`; nothing else changes."""
    rows, cols = unseen.shape
    period = max(6, min(rows, cols) // 24)
    diagonal = (np.arange(rows)[:, None] + np.arange(cols)[None, :]) % period
    lines = unseen & (diagonal < max(1, period // 6))
    return np.where(lines[..., None], np.asarray(_LINE, np.float32), over)


def outlined(heatmap: Heatmap) -> bool:
    """Whether a map points anywhere, in cells large enough to be outlined."""
    return heatmap.has_evidence and max(heatmap.grid.rows, heatmap.grid.cols) <= MOST_OUTLINED


def is_faint(heatmap: Heatmap, scale: Scale) -> bool:
    """Whether the colours of a map can hardly be told from none."""
    largest = np.array(scale.largest(heatmap.values), np.float32)
    return bool(scale.strength(largest) < _FAINT)


def outlines(heatmap: Heatmap, scale: Scale, *, smooth_on: tuple[int, int] | None = None) -> Iterator[Border]:
    """Edges around the fewest cells that hold `OUTLINED` of the map's mass, those below zero apart.

    The thin ones come first. What takes more than `WIDEST` of the cells has none, nor has a map that is faint
    on its scale or has more than `MOST_OUTLINED` rows or columns: white lines would give it weight.

    Args:
        heatmap: The map.
        scale: Its scale.
        smooth_on: Rows and columns of the source image, to follow the values between cell centres instead:
            where they are as large as the smallest of those cells.
    """
    if not outlined(heatmap) or is_faint(heatmap, scale):
        return
    for share in sorted(OUTLINED, reverse=True):
        cells = heaviest(heatmap.values, share)
        if cells.mean() > WIDEST:
            continue
        for sign in (1.0, -1.0):
            own = cells & (sign * heatmap.values > 0)
            if not own.any():
                continue
            if smooth_on:
                edges = _level(heatmap, sign, float(np.abs(heatmap.values[cells]).min()), smooth_on)
            else:
                edges = geometry.apply(heatmap.grid.to_source, _edges(own))
            if len(edges):
                yield Border(edges=edges, negative=sign < 0, thin=share != OUTLINED[0])


def _level(heatmap: Heatmap, sign: float, level: float, source_image: tuple[int, int]) -> Doubles:
    """Where the interpolated values of one sign reach a level."""
    shape = min(source_image[0], _FINEST_LEVEL), min(source_image[1], _FINEST_LEVEL)
    values = sign * read(heatmap, source_image, shape, smooth=True)
    field = np.where(np.isfinite(values), np.maximum(values, 0.0), 0.0)
    ends = [np.stack([line[:-1], line[1:]], axis=1) for line in level_lines(field, level)]
    return np.concatenate([np.empty((0, 2, 2)), *ends]) * (np.array(source_image) / shape)


def level_lines(field: Floats, level: float) -> list[Doubles]:
    """Closed lines, float64 (points, 2) of (row, col), around what lies above a level.

    >>> (line,) = level_lines(np.ones((2, 3), np.float32), 0.5)
    >>> line.min(axis=0).tolist(), line.max(axis=0).tolist()
    ([0.0, 0.0], [2.0, 3.0])
    """
    # A rim of nothing closes the lines that would end at the border.
    found = contour_generator(z=np.pad(field, 1)).lines(level)
    return [np.asarray(line, dtype=np.float64)[:, ::-1] - 0.5 for line in found]


def _edges(cells: Bools) -> Doubles:
    """Where a cell that is in meets one that is out: line ends (n, 2, 2) in cell coordinates."""
    padded = np.pad(cells, 1)
    row, col = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    across = np.stack([np.stack([row, col], 1), np.stack([row, col + 1], 1)], axis=1)
    row, col = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    down = np.stack([np.stack([row, col], 1), np.stack([row + 1, col], 1)], axis=1)
    return np.concatenate([across, down]).astype(np.float64)


def loops(cells: Bools) -> list[Doubles]:
    """Closed lines around cells, float64 (points, 2) of (row, col) in cells, the first point also the last.

    Clockwise around cells that share edges, the other way round along their holes. Corners alone are points.

    >>> [line.tolist() for line in loops(np.array([[True, True]]))]
    [[[0.0, 0.0], [0.0, 2.0], [1.0, 2.0], [1.0, 0.0], [0.0, 0.0]]]
    """
    ways: dict[tuple[int, int], list[tuple[int, int]]] = {}
    padded = np.pad(cells, 1)
    # From each corner of a cell along the edge that begins there, where beyond it lies no cell.
    for (down, across), (up, left) in _CLOCKWISE.items():
        beyond = np.roll(padded, (-up, -left), axis=(0, 1))[1:-1, 1:-1]
        for row, col in np.argwhere(cells & ~beyond).tolist():
            start = row + down, col + across
            # Clockwise, with what lies beyond on the left hand.
            ways.setdefault(start, []).append((left, -up))
    found = []
    while ways:
        found.append(_walked(ways))
    return found


# Where on a cell each of its four edges begins, clockwise, and where the cell beyond it lies.
_CLOCKWISE = {(0, 0): (-1, 0), (0, 1): (0, 1), (1, 1): (1, 0), (1, 0): (0, -1)}


def _walked(ways: dict[tuple[int, int], list[tuple[int, int]]]) -> Doubles:
    """One closed line, whose edges are taken away from those that are left."""
    start = min(ways)
    at, step, corners = start, ways[start][0], [start]
    while True:
        ahead = ways[at]
        # Where two cells touch by a corner alone, to the right: around the same cell.
        right = step[1], -step[0]
        turned = right if right in ahead else ahead[0]
        if turned != step:
            corners.append(at)
            step = turned
        ahead.remove(step)
        if not ahead:
            del ways[at]
        at = at[0] + step[0], at[1] + step[1]
        if at == start:
            return np.array([*corners, start], dtype=np.float64)


def fitting(source_image: SourceImage, longest: int) -> tuple[int, int]:
    """Rows and columns of an image true to the source image's pixel spacing, its longer side `longest`."""
    # Pixels that are not square are made so.
    high, wide = source_image.spacing_mm or (1, 1)
    rows, cols = source_image.shape[0] * high, source_image.shape[1] * wide
    factor = longest / max(rows, cols)
    return max(8, round(rows * factor)), max(8, round(cols * factor))


def jpeg(
    source_image: SourceImage, shape: tuple[int, int], heatmap: Heatmap | None, scale: Scale | None
) -> bytes:
    """A small image for a screen, with the map and its outline if there is one, as JPEG bytes."""
    if heatmap is None or scale is None:
        return _encoded(Image.fromarray(to_bytes(resample(source_image.pixels, shape))), "JPEG")
    image = Image.fromarray(to_bytes(overlaid(source_image, shape, heatmap, scale)))
    draw = ImageDraw.Draw(image)
    resize = np.array(shape) / source_image.shape
    for outline in outlines(heatmap, scale):
        # Two lines of one pixel look alike.
        if outline.thin:
            continue
        for start, stop in outline.edges * resize:
            # Half of each edge, which makes the line a dashed one.
            end = (start + stop) / 2.0 if outline.negative else stop
            draw.line([tuple(start[::-1].round()), tuple(end[::-1].round())], fill="white")
    return _encoded(image, "JPEG")


def png(pixels: Floats) -> bytes:
    """Display values 0 to 1 as PNG bytes."""
    return _encoded(Image.fromarray(to_bytes(pixels)), "PNG")


def to_bytes(pixels: Floats) -> npt.NDArray[np.uint8]:
    """Display values 0 to 1 as 8-bit levels, rounded."""
    return np.asarray(np.rint(pixels * 255.0), dtype=np.uint8)


def _encoded(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    options = {"quality": 88, "subsampling": 0} if kind == "JPEG" else {}
    image.save(stream, kind, **options)
    return stream.getvalue()
