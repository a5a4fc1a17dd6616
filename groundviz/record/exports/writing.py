"""Maps in files of other programs' formats, each written whole or not at all."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.errors import OptionError, StoreError, UnknownName
from groundviz.record import files, geometry
from groundviz.record.exports import boxes, long, nifti
from groundviz.record.exports.boxes import Strong
from groundviz.record.exports.choice import Choice, first
from groundviz.record.types import Heatmap, Record

# What each suffix stands for. The first two hold any number of maps, the others one map each.
FORMATS: Mapping[str, str] = {
    ".csv": "a long table of all maps",
    ".json": "COCO boxes around the strongest cells of all maps",
    ".npy": "one map as an array of numpy",
    ".nii": "one map as a NIfTI volume",
    ".nii.gz": "one map as a compressed NIfTI volume",
}
# What a folder is filled with unless somebody says.
USUAL = (".csv", ".json", ".npy", ".nii.gz")
_OF_ALL = (".csv", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How maps are written.

    Attributes:
        resample: Whether `.npy`, `.nii` and `.nii.gz` hold the map at every pixel of the source image,
            rather than at the model's cells.
        smooth: Whether resampling interpolates between the centres of cells.
        mask: Whether these hold which cells are strong, uint8 1 or 0, in place of the values.
        strong: Which cells are strong, for boxes and masks.

    Raises:
        OptionError: It is smooth without being resampled, or a smooth mask.
    """

    resample: bool = False
    smooth: bool = False
    mask: bool = False
    strong: Strong = field(default_factory=Strong)

    def __post_init__(self) -> None:
        if self.smooth and (self.mask or not self.resample):
            raise OptionError(
                "Only values that are resampled can be smooth, and a mask has none: found smooth=True with "
                f"resample={self.resample} and mask={self.mask}. Leave smooth out, or give resample=True."
            )


def export(
    record: Record, path: str | os.PathLike[str], choice: Choice, form: Form, *, overwrite: bool = False
) -> tuple[Path, ...]:
    """Write maps to one file, whose suffix says in which format, or to several in a folder.

    In a folder there are `maps.csv`, `boxes.json`, and an `.npy` and a `.nii.gz` file for each map.

    Raises:
        UnknownName: There is no format of that suffix, or the record holds no such maps.
        TargetError: There is no such target, layer or head, or nothing to write.
        OptionError: Several layers or heads are asked for where a file holds one map.
        StoreError: A file of that name exists and `overwrite` is False, or it cannot be written.
    """
    place = files.new_place(path)
    contents: dict[Path, bytes] = {}
    if place.is_dir():
        for name, content in _in_folder(record, choice, form):
            contents[place / name] = content
    else:
        contents[place] = _in_file(record, suffix_of(place), choice, form)
    # Before the first is written: a folder is filled whole or not at all, unless the disk refuses.
    if not overwrite and any(one.exists() for one in contents):
        raise StoreError("A file of that name exists. Choose another name, or pass overwrite=True.")
    return tuple(files.write(one, content, overwrite=overwrite) for one, content in contents.items())


def suffix_of(place: Path) -> str:
    """Which of `FORMATS` a file's name stands for.

    Raises:
        UnknownName: None of them.

    >>> suffix_of(Path("case.1.nii.gz"))
    '.nii.gz'
    """
    name = place.name.lower()
    # The longer suffixes first: none is the end of another, as long as that stays so.
    for suffix in sorted(FORMATS, key=len, reverse=True):
        if name.endswith(suffix) and name != suffix:
            return suffix
    known = ", ".join(FORMATS)
    raise UnknownName(
        "The name says no format that maps can be written in, and no folder of that name is there: known "
        f"are {known}. End the name with one of these, or make the folder first."
    )


def _in_file(record: Record, suffix: str, choice: Choice, form: Form) -> bytes:
    """The content of one file."""
    if suffix == ".csv":
        return long.as_csv(long.columns(record, choice))
    if suffix == ".json":
        shown = replace(choice, asked_alone=True)
        # A file without a map would read as one of maps without a strong cell.
        first(record, shown)
        return boxes.as_coco(record, shown.heatmaps(record), form.strong)
    one = replace(choice, asked_alone=True)
    _refuse_several(choice)
    return _of_map(record, suffix, first(record, one), form)


def _refuse_several(choice: Choice) -> None:
    """Stop where several maps are named, and a file holds one.

    Raises:
        OptionError: They are.
    """
    named = {
        "methods": choice.methods,
        "targets": choice.targets,
        "layers": choice.layers,
        "heads": choice.heads,
    }
    for what, value in named.items():
        several = False
        if isinstance(value, str):
            several = value == "each" and what in ("layers", "heads")
        # A tuple names one range of tokens among targets, and one of several things elsewhere.
        elif isinstance(value, list) or (isinstance(value, Collection | np.ndarray) and what != "targets"):
            several = len(value) > 1
        if several:
            raise OptionError(
                f"A file of this format holds one map, and several {what} are asked for. Name one of them, "
                "give a folder to write into, or write a .csv file."
            )


def _in_folder(record: Record, choice: Choice, form: Form) -> Iterable[tuple[str, bytes]]:
    """The name and content of each file in a folder."""
    yield "maps.csv", _in_file(record, ".csv", choice, form)
    shown = replace(choice, asked_alone=True)
    yield "boxes.json", boxes.as_coco(record, shown.heatmaps(record), form.strong)
    for number, heatmap in enumerate(shown.heatmaps(record), start=1):
        stem = _stem(number, heatmap)
        for suffix in USUAL:
            if suffix not in _OF_ALL:
                yield f"{stem}{suffix}", _of_map(record, suffix, heatmap, form)


def _stem(number: int, heatmap: Heatmap) -> str:
    """What the files of one map are called; the number tells apart what reads alike."""
    parts = [f"{number:03d}", heatmap.method, files.slug(heatmap.target.text, most=30)]
    parts += [f"image-{heatmap.grid.image}", heatmap.grid.label]
    if heatmap.layer is not None:
        parts.append(f"layer-{heatmap.layer}")
    if heatmap.head is not None:
        parts.append(f"head-{heatmap.head}")
    return "_".join(files.slug(part) for part in parts if part)


def _of_map(record: Record, suffix: str, heatmap: Heatmap, form: Form) -> bytes:
    """One map as the content of an `.npy` or NIfTI file."""
    source_image = record.source_images[heatmap.grid.image]
    values, to_source = _values(heatmap, source_image.shape, form)
    if suffix == ".npy":
        stream = io.BytesIO()
        np.save(stream, values, allow_pickle=False)
        return stream.getvalue()
    words = f"groundviz {heatmap.method}, {heatmap.unit}"
    zipped = suffix == ".nii.gz"
    return nifti.packed(values, to_source, source_image, words, zipped=zipped)


def _values(
    heatmap: Heatmap, shape: tuple[int, int], form: Form
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """What is written of a map, (rows, cols), and the affine from there to source pixels."""
    values, grid = heatmap.values, heatmap.grid
    if form.mask:
        values = form.strong.cells(heatmap).astype(np.float32)
    to_source = grid.to_source
    if form.resample:
        values = geometry.to_source_pixels(values, grid, shape, smooth=form.smooth)
        to_source = geometry.scale_shift((1.0, 1.0))
    if form.mask:
        # What the model never saw is not strong.
        return np.nan_to_num(values).astype(np.uint8), to_source
    return values, to_source


def described(formats: Sequence[str] = tuple(FORMATS)) -> str:
    """The formats in a sentence."""
    return "; ".join(f"{suffix}: {FORMATS[suffix]}" for suffix in formats)
