"""Maps that never saw the image, to be scored like any other: what a map must beat before it says anything.

On the 984 boxes that the NIH published, the mean box of each class, with the patient at hand left out, scores
pointing 0.41, CNR 1.39, AUROC 0.86 and AP 0.35. Numbers of that size have been called grounding.

The expected value of a random order of the cells is no map: `groundviz.metrics.measure` gives it as `chance`.
Maps of another image and of random weights need the model: whoever has it makes them, and scores them here.

>>> prior = ClassMean()
>>> for patient in ("a", "b", "c"):
...     prior.add("cardiomegaly", patient, [[20, 50, 80, 90]], shape=(100, 100))
>>> prior.mean("cardiomegaly", without="a").shape
(64, 64)
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from groundviz.errors import OptionError
from groundviz.metrics.space import image_shape, region
from groundviz.record.geometry import apply, area_inside, area_shown, compose, held_cells, scale_shift
from groundviz.record.types import Doubles, Floats, Grid, Heatmap

# What the priors are called where methods are named.
RANDOM, CENTRE, CLASS_MEAN = "prior:random", "prior:centre", "prior:class_mean"

# The spread of the centre prior, as a share of the height and the width of the image.
SPREAD = 0.25
# Rows and columns of the canvas to which all images are stretched.
CANVAS = (64, 64)


def centre(heatmap: Heatmap, shape: tuple[int, int], *, spread: float = SPREAD) -> Heatmap:
    """A Gaussian around the centre of the image, on the cells of a map.

    Args:
        heatmap: Any map; its grid is used, and no value of it.
        shape: Rows and columns of the source image.
        spread: The standard deviation, as a share of the image's height and width.

    Raises:
        OptionError: The spread is not above zero, or the shape is none.
    """
    if not spread > 0:
        raise OptionError(f"spread={spread} must be above zero. Give another number.")
    grid = heatmap.grid
    rows, cols = np.meshgrid(np.arange(grid.rows) + 0.5, np.arange(grid.cols) + 0.5, indexing="ij")
    away = apply(grid.to_source, np.stack([rows, cols], axis=-1)) / np.array(image_shape(shape)) - 0.5
    return _as_prior(
        heatmap, np.exp(-((away / spread) ** 2).sum(axis=-1) / 2), CENTRE, "density at the centre"
    )


class ClassMean:
    """The mean reference of each class, on a canvas to which every image is stretched, without one patient.

    Sums are kept for each class, and what each patient added is taken off again. A patient's part is stored
    where it is not zero, so that many patients need little memory.

    >>> prior = ClassMean()
    >>> prior.add("nodule", "patient 1", [[0, 0, 4, 4]], shape=(8, 8))
    >>> prior.add("nodule", "patient 2", [[0, 0, 4, 8]], shape=(8, 8))
    >>> canvas = prior.mean("nodule", without="patient 1")
    >>> float(canvas[0, 0]), float(canvas[63, 0]), float(canvas[0, 63])
    (1.0, 1.0, 0.0)
    """

    def __init__(self, canvas: tuple[int, int] = CANVAS) -> None:
        self.canvas = canvas
        self._sums: dict[Hashable, Doubles] = {}
        self._counts: dict[Hashable, int] = {}
        self._parts: dict[tuple[Hashable, Hashable], list[tuple[npt.NDArray[np.int64], Doubles]]] = {}

    def add(
        self,
        finding: Hashable,
        patient: Hashable,
        reference: npt.ArrayLike,
        *,
        shape: tuple[int, int] | None = None,
    ) -> None:
        """Add the reference of one sample.

        Args:
            finding: The class.
            patient: Whose it is: everything of this patient is left out together.
            reference: As `groundviz.metrics.place` takes it; an empty one adds nothing.
            shape: Rows and columns of the source image; needed for boxes.

        Raises:
            OptionError: As for `groundviz.metrics.place`.
        """
        mask = region(reference, shape)
        if not mask.any():
            return
        stretched = area_inside(_stretched(self.canvas, (mask.shape[0], mask.shape[1])), mask)
        total = self._sums.setdefault(finding, np.zeros(self.canvas))
        total += stretched
        self._counts[finding] = self._counts.get(finding, 0) + 1
        where = np.flatnonzero(stretched)
        self._parts.setdefault((finding, patient), []).append((where, stretched.ravel()[where]))

    def mean(self, finding: Hashable, *, without: Hashable) -> Doubles | None:
        """The mean reference of a class, float64 on the canvas; None where no other patient has one."""
        own = self._parts.get((finding, without), [])
        left = self._counts.get(finding, 0) - len(own)
        if left <= 0:
            return None
        total = self._sums[finding].copy().ravel()
        for where, values in own:
            total[where] -= values
        # What was added and taken off again leaves last digits.
        return np.clip(total.reshape(self.canvas) / left, 0.0, 1.0)

    def map(self, finding: Hashable, *, without: Hashable, on: Heatmap, shape: tuple[int, int]) -> Heatmap:
        """The mean reference of a class on the cells of a map; NaN everywhere where no other patient has one.

        Args:
            finding: The class.
            without: The patient whose image it is for.
            on: Any map; its grid is used, and no value of it.
            shape: Rows and columns of the source image.

        Raises:
            OptionError: The shape is none.
        """
        shape = image_shape(shape)
        canvas = self.mean(finding, without=without)
        if canvas is None:
            canvas = np.full(self.canvas, np.nan)
        to_canvas = scale_shift((self.canvas[0] / shape[0], self.canvas[1] / shape[1]))
        stretched = replace(on.grid, to_source=compose(to_canvas, on.grid.to_source))
        area = area_shown(stretched, self.canvas)
        inside = area_inside(stretched, canvas)
        values = np.divide(inside, area, out=np.full(area.shape, np.nan), where=area > 0)
        return _as_prior(on, values, CLASS_MEAN, "share of references")


def _stretched(canvas: tuple[int, int], shape: tuple[int, int]) -> Grid:
    """A grid of as many cells as a canvas has, over the whole image."""
    return Grid(
        rows=canvas[0],
        cols=canvas[1],
        positions=np.full(canvas[0] * canvas[1], -1, dtype=np.int64),
        to_source=scale_shift((shape[0] / canvas[0], shape[1] / canvas[1])),
        valid=np.ones(canvas, dtype=bool),
        stage="pixels",
    )


def _as_prior(heatmap: Heatmap, values: Doubles, name: str, unit: str) -> Heatmap:
    held = held_cells(heatmap.grid).reshape(values.shape)
    shown: Floats = np.where(held, values, np.nan).astype(np.float32)
    return replace(
        heatmap,
        values=shown,
        method=name,
        unit=unit,
        signed=False,
        layer=None,
        head=None,
        params={},
        standard_error=None,
        samples=None,
    )
