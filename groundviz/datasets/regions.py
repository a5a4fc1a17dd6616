"""From what annotators marked to a mask in pixels of the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from groundviz.datasets import rle
from groundviz.datasets.reading import inside
from groundviz.datasets.sample import SHARES, Region, Role
from groundviz.errors import DataError, ImageError, OptionError
from groundviz.images.base.limits import require_size
from groundviz.images.dicom.containment import contained
from groundviz.record.types import Bools

# The annotator's image and the file may differ in size, not in shape: a share of 1.
MOST_ASPECT_CHANGE = 0.01
# No image that can be read has so many rows or columns.
LARGEST_COORDINATE = 1e8
PRIMARY: tuple[Role, ...] = ("primary",)


def reference(
    regions: Iterable[Region],
    shape: tuple[int, int],
    *,
    roles: Collection[Role] = PRIMARY,
    agreement: int = 1,
    root: Path | None = None,
) -> Bools:
    """All regions of some roles as one mask: bool `shape`, empty where there is no such region.

    A box or polygon is scaled from the annotator's image to the file's and rounded outwards, so that a thin
    one never vanishes. A polygon is filled as CheXlocalize's own code does, borders included.

    Args:
        regions: As in `Sample.regions`.
        shape: Rows and columns of the image as it was opened.
        roles: Whose regions count.
        agreement: How many annotators must have marked a pixel, at least.
        root: The data set's folder, `Dataset.root`; needed for regions that lie in files.

    Raises:
        DataError: A region is not as its kind says, lies outside the image, or was drawn on an image of
            another aspect, by more than 1 %: then the file is not the one that was annotated.
        OptionError: `agreement` is below 1.

    >>> box = Region(kind="box", data=(1.0, 0.0, 3.0, 2.0), size=(4, 4))
    >>> reference([box], (2, 2)).astype(int).tolist()
    [[1, 1], [0, 0]]
    """
    if agreement < 1:
        raise OptionError(f"agreement is {agreement}: expected a number of annotators from 1 on.")
    marked: dict[str | None, Bools] = {}
    for region in regions:
        if region.role in roles:
            mask = region_mask(region, shape, root=root)
            before = marked.get(region.annotator)
            marked[region.annotator] = mask if before is None else before | mask
    if not marked:
        return np.zeros(shape, dtype=bool)
    if agreement == 1:
        # Counting takes eight times the memory, for images of ten megapixels.
        return np.asarray(np.logical_or.reduce([*marked.values()]))
    votes = np.sum([*marked.values()], axis=0)
    return np.asarray(votes >= agreement, dtype=bool)


def region_mask(region: Region, shape: tuple[int, int], *, root: Path | None = None) -> Bools:
    """One region as a mask: bool `shape`.

    Raises:
        DataError: As for `reference`.
    """
    if region.kind in ("rle", "png", "mask"):
        return _resized(_drawn(region, root), shape)
    mask = _of_points(region, shape)
    if not mask.any():
        raise DataError(
            f"A region of kind {region.kind!r} lies outside its image of {shape[0]} rows and {shape[1]} "
            "columns. It belongs to another image, or was drawn on one of another size, which must be stated."
        )
    return mask


def _of_points(region: Region, shape: tuple[int, int]) -> Bools:
    points = _points(region) * _scale(region.size, shape)
    if region.kind == "box":
        return _box(points.reshape(-1), shape)
    if region.kind == "ellipse":
        return _ellipse(points.reshape(-1), shape)
    if region.kind == "polygon":
        return _polygon(points, shape)
    return _pixel(points[0], shape)


def box_of(region: Region) -> tuple[float, float, float, float] | None:
    """The box around a region of points, (left, top, right, bottom), in the annotator's pixels.

    None for regions that lie in masks.
    """
    if region.kind in ("rle", "png", "mask"):
        return None
    points = _points(region)
    low, high = points.min(axis=0), points.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _points(region: Region) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The coordinates of a region: float64 (point, 2) of (x, y)."""
    try:
        points = np.asarray(region.data, dtype=np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        points = np.full((0, 2), np.nan)
    least = {"box": 2, "ellipse": 2, "polygon": 3, "point": 1}[region.kind]
    fits = len(points) >= least if region.kind == "polygon" else len(points) == least
    # Comparisons with NaN are false.
    if not fits or not (np.abs(points) < LARGEST_COORDINATE).all():
        raise DataError(
            f"A region of kind {region.kind!r} has {len(points)} points, or numbers that no image has: "
            f"expected {'at least ' if region.kind == 'polygon' else ''}{least} points of finite numbers."
        )
    if region.kind in ("box", "ellipse") and (points[1] < points[0]).any():
        raise DataError(
            f"A region of kind {region.kind!r} ends before it begins. It may be stored as left, top, width, "
            "height, or with its columns in another order."
        )
    return points


def _scale(size: tuple[int, int] | None, shape: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What x and y are multiplied by, from the annotator's image to the file's."""
    if size is None:
        return np.ones(2)
    if size[0] < 1 or size[1] < 1:
        raise DataError(f"A region was drawn on an image of {size[0]} rows by {size[1]} columns.")
    down, across = shape[0] / size[0], shape[1] / size[1]
    if tuple(size) != SHARES:
        _require_aspect(down, across, size, shape)
    return np.array([across, down])


def _require_aspect(down: float, across: float, size: tuple[int, int], shape: tuple[int, int]) -> None:
    # Half a pixel may be lost to rounding when an image is resized.
    slack = MOST_ASPECT_CHANGE + 0.5 / min(*size, *shape)
    if abs(math.log(down / across)) > slack:
        raise DataError(
            f"The image has {shape[0]} rows by {shape[1]} columns, and its region was drawn on one of "
            f"{size[0]} by {size[1]}, which has another shape. It is another image, or was cropped or "
            "turned: take the publisher's file."
        )


def _box(corners: np.ndarray[Any, np.dtype[np.float64]], shape: tuple[int, int]) -> Bools:
    mask = np.zeros(shape, dtype=bool)
    left, top, right, bottom = (float(corner) for corner in corners)
    mask[_span(top, bottom, shape[0]), _span(left, right, shape[1])] = True
    return mask


def _span(start: float, stop: float, count: int) -> slice:
    """The pixels that an interval touches; at least one, if it lies in the image."""
    # What was scaled may be off by a rounding error, which must not add a pixel.
    start, stop = round(start, 6), round(stop, 6)
    thin = start == stop
    # A box that ends where the image begins has no pixel of it; a line there belongs to the nearest one.
    if stop < 0 or start > count or (not thin and (stop == 0 or start == count)):
        return slice(0, 0)
    first = min(max(0, math.floor(start)), count - 1)
    return slice(first, min(max(math.ceil(stop), first + 1), count))


def _ellipse(corners: np.ndarray[Any, np.dtype[np.float64]], shape: tuple[int, int]) -> Bools:
    left, top, right, bottom = (float(corner) for corner in corners)
    across = (np.arange(shape[1]) + 0.5 - (left + right) / 2) / max((right - left) / 2, 1e-9)
    down = (np.arange(shape[0]) + 0.5 - (top + bottom) / 2) / max((bottom - top) / 2, 1e-9)
    mask = np.asarray(down[:, None] ** 2 + across[None, :] ** 2 <= 1.0)
    if not mask.any():
        # Thinner than a pixel, or it misses every centre.
        return _pixel(np.array([(left + right) / 2, (top + bottom) / 2]), shape)
    return mask


def _polygon(points: np.ndarray[Any, np.dtype[np.float64]], shape: tuple[int, int]) -> Bools:
    canvas = Image.new("1", (shape[1], shape[0]))
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in points], outline=1, fill=1)
    return np.asarray(canvas, dtype=bool)


def _pixel(point: np.ndarray[Any, np.dtype[np.float64]], shape: tuple[int, int]) -> Bools:
    mask = np.zeros(shape, dtype=bool)
    x, y = float(point[0]), float(point[1])
    mask[_span(y, y, shape[0]), _span(x, x, shape[1])] = True
    return mask


def _drawn(region: Region, root: Path | None) -> Bools:
    """The mask of a region that is stored as one, in its own size."""
    if region.kind == "rle":
        return rle.decode(region.data)
    if region.kind == "mask":
        mask = np.asarray(region.data, dtype=bool)
    else:
        mask = _of_file(region, root)
    if mask.ndim != 2 or not mask.size:
        raise DataError(f"A mask has {mask.ndim} axes and {mask.size} pixels: expected rows by columns.")
    return mask


def _of_file(region: Region, root: Path | None) -> Bools:
    """Where an image of classes holds one value, or, where none is named, is not black."""
    if root is None:
        raise DataError("A region lies in a file: pass root=dataset.root.")
    name, value = region.data
    path = inside(root, name)
    return _read(path, _marked) if value is None else np.asarray(classes_of(path) == value)


def classes_of(path: Path) -> np.ndarray[Any, Any]:
    """The numbers of an image file that stores classes, (rows, cols): its first channel, or its palette's.

    Raises:
        DataError: It is no image, or larger than one may be.
    """
    classes = _read(path, np.asarray)
    return classes[..., 0] if classes.ndim == 3 else classes


def _marked(image: Image.Image) -> Bools:
    """Where an image is neither black, in colours or in those of its palette, nor transparent."""
    if len(image.getbands()) == 1 and image.mode != "P":
        # NaN marks nothing.
        return np.asarray(np.abs(np.asarray(image)) > 0)
    channels = np.asarray(image.convert("RGBA"))
    return np.asarray(channels[..., :3].any(axis=-1) & (channels[..., 3] > 0))


def _read(path: Path, numbers: Callable[[Image.Image], np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Numbers of an image file, turned upright as its image is."""

    def read() -> np.ndarray[Any, Any]:
        # Pillow misreads a turned TIFF that it opens by name, and so maps into memory.
        with path.open("rb") as stream, Image.open(stream, formats=("PNG", "TIFF", "BMP")) as image:
            require_size(image.height, image.width)
            return numbers(ImageOps.exif_transpose(image))

    try:
        found, _ = contained(read)
    except ImageError:
        raise DataError("A mask's file is missing, damaged, or no PNG, TIFF or BMP. Get it again.") from None
    return found


def _resized(mask: Bools, shape: tuple[int, int]) -> Bools:
    """A mask at another size: at each pixel's centre; what is thinner than a pixel stays."""
    if mask.shape == shape:
        return mask
    _require_aspect(shape[0] / mask.shape[0], shape[1] / mask.shape[1], mask.shape, shape)
    rows = ((np.arange(shape[0]) + 0.5) * mask.shape[0] / shape[0]).astype(int)
    cols = ((np.arange(shape[1]) + 0.5) * mask.shape[1] / shape[1]).astype(int)
    resized = np.asarray(mask[np.ix_(rows, cols)])
    if mask.any() and not resized.any():
        down, across = np.nonzero(mask)
        at = (down * shape[0] // mask.shape[0], across * shape[1] // mask.shape[1])
        resized[at] = True
    return resized
