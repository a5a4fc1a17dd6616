"""What holds a record, in numbers: tables, labelled arrays, and files for other programs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from groundviz.record import selection, stacks, tiles
from groundviz.record.exports import believed, frames, long, writing
from groundviz.record.exports.boxes import Strong
from groundviz.record.exports.choice import Choice, Which
from groundviz.record.exports.writing import Form
from groundviz.record.targets import Named
from groundviz.record.tiles import Tile
from groundviz.record.types import Doubles, Record

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class InNumbers:
    """What an explanation inherits: its record as tables, labelled arrays and files.

    Attributes:
        record: What holds the maps.
    """

    __slots__ = ()

    record: Record

    def to_dataframe(
        self,
        methods: str | Sequence[str] | None = None,
        targets: Named | list[Named] | None = None,
        *,
        layers: Which = None,
        heads: Which = None,
    ) -> pd.DataFrame:
        """The raw maps as a long table of pandas: a row for each cell of each map.

        Its columns are token, method, layer, head, image, row, col, value and unit; behind them target,
        tokens, tile and standard_error. `token` is the answer's token, below zero for one of the question,
        and missing where a target has several, which `tokens` lists. Cells without a value stay, as NaN.
        `attrs["evidence"]` says of each method whether its maps are to be believed.

        Args:
            methods: One method, or several; None for all.
            targets: One part of the answer, or a list of them, as in `heatmap`; None for each target that
                a method measured.
            layers: None to combine layers as the method says, "each" for every one, a number or several.
            heads: As `layers`. Every head of every layer is as many rows as targets, layers, heads and
                cells multiply to: millions, for a large model.

        Raises:
            UnknownName: The record holds no maps of such a method.
            TargetError: As in `heatmap`.
            OptionError: The layers or heads are neither numbers nor "each".
            MissingExtra: pandas is not installed.
        """
        choice = Choice(methods=methods, targets=targets, layers=layers, heads=heads)
        columns = long.columns(self.record, choice)
        return frames.frame(columns, {"evidence": believed.of_each(self.record)})

    def slice_shares(
        self,
        method: str | None = None,
        target: Named | None = None,
        *,
        stack: int = 0,
        layer: int | None = None,
        head: int | None = None,
    ) -> Doubles:
        """Where along a stack a map lies: the share of its mass on each slice, in the order of the images.

        The mass of a slice is the sum of the magnitudes of its map's values, over all of its cells and tiles.

        Args:
            method: One of `methods`; None for the first.
            target: As in `heatmap`.
            stack: Which stack of the question, from 0.
            layer: As in `heatmap`.
            head: As in `heatmap`.

        Returns:
            float64 (slice,), summing to 1; NaN where a slice has no map of the target, or all hold nothing.

        Raises:
            UnknownName: There is no such stack, or the record holds no maps of that method.
            TargetError: The answer has no such part, or the layer or the head was not measured.
        """
        goal = selection.target(self.record, target)
        name = selection.measured(self.record, method)[0].method
        images = stacks.named(self.record.source_images, stack)
        found = stacks.shares(self.record, name, goal, images, layer=layer, head=head)
        return np.full(len(images), np.nan) if found is None else found

    def to_xarray(self, method: str | None = None, *, image: int = 0, tile: Tile | None = None) -> xr.Dataset:
        """All that one method measured on one image or tile, as a data set of xarray, uncombined.

        `value` has the axes target, layer, head, row and col, the last two labelled with the centres of
        cells in pixels of the source image; `standard_error` as well where it is known. Attributes hold
        unit, method, how axes combine, question, answer, `needs_image`, `marked_place`, the verdict on the
        maps, and provenance.

        Args:
            method: One of `methods`; None for the first.
            image: Which image, counted from 0.
            tile: Which tile, as in `heatmap`.

        Raises:
            UnknownName: The record holds no maps of that method, image or tile.
            MissingExtra: xarray is not installed.
        """
        maps = tiles.choose(selection.measured(self.record, method), image, tile)
        return frames.dataset(self.record, maps[0])

    def export(
        self,
        path: str | os.PathLike[str],
        methods: str | Sequence[str] | None = None,
        targets: Named | list[Named] | None = None,
        *,
        layers: Which = None,
        heads: Which = None,
        image: int | None = None,
        tile: Tile | None = None,
        resample: bool = False,
        smooth: bool = False,
        mask: bool = False,
        share: float = 0.5,
        threshold: float | None = None,
        overwrite: bool = False,
    ) -> tuple[Path, ...]:
        """Write raw maps for other programs; the file's name says how, see the page "Numbers out".

        A `.csv` file is the table of `to_dataframe`, a `.json` file boxes as COCO has them. `.npy`, `.nii`
        and `.nii.gz` hold one map, the first that is meant. A folder gets all of these for all maps.

        Args:
            path: A file, or a folder that is there.
            methods: As in `to_dataframe`.
            targets: As in `to_dataframe`; None for what was asked for, but in a table.
            layers: As in `to_dataframe`.
            heads: As in `to_dataframe`.
            image: Which image, counted from 0; None for all.
            tile: Which tile, as in `heatmap`; None for all.
            resample: Read a map at each pixel of the source image, not at the model's cells.
            smooth: Interpolate between the centres of cells when resampling.
            mask: Write which cells are strong, 1 or 0, in place of one map's values.
            share: Strong are those above zero of the fewest cells that hold this share of a map's mass.
            threshold: Or all cells from this raw value on.
            overwrite: Whether files of the same names may be replaced.

        Returns:
            Where the files lie.

        Raises:
            UnknownName: There is no such format, method, image or tile.
            TargetError: As in `heatmap`, or there is nothing to write.
            OptionError: An option is out of its range, or several maps are named for a file of one.
            StoreError: A file of that name exists and `overwrite` is False, or it cannot be written.
        """
        choice = Choice(methods=methods, targets=targets, layers=layers, heads=heads, image=image, tile=tile)
        strong = Strong(share=share, threshold=threshold)
        form = Form(resample=resample, smooth=smooth, mask=mask, strong=strong)
        return writing.export(self.record, path, choice, form, overwrite=overwrite)
