"""Any folder of images with a table: a CSV or JSON Lines file of questions, answers, boxes and masks."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundviz.datasets import reading
from groundviz.datasets.card import DATASETS
from groundviz.datasets.choices import Identities, require_choice
from groundviz.datasets.image_files import ImageFolder
from groundviz.datasets.reading import inside, is_there, number, require_columns, whole
from groundviz.datasets.sample import SHARES, Dataset, Region, Sample
from groundviz.errors import DataError, OptionError

VERSION = "1"
BOXES = ("xyxy", "xywh", "shares")
ANSWER_TYPES = ("open", "closed", "report")
# What a column means, by its name. All others are kept as facts.
COLUMNS: dict[str, str] = {
    "image": "the image's file, relative to the folder of the table; the only column that must be there",
    "question": "what to ask",
    "phrase": "a sentence that the regions show",
    "answer": "the right answer, or the report",
    "answer_type": "open, closed or report",
    "finding": "the class that tables are made by",
    "patient": "a code; samples of one patient are drawn together",
    "study": "a code",
    "split": "such as test",
    "language": "ISO 639-1 code, en if empty",
    "boxes": "[[left, top, right, bottom], ...] in pixels, half-open, from the upper left corner",
    "polygons": "[[[x, y], ...], ...] in pixels",
    "mask": "an image file that is black or transparent outside the region",
    "mask_value": "the one value of the mask's file that is the region, in its first channel or as a "
    "number of its palette; all that is not black if empty",
    "width": "of the image that was annotated, if the file has another size",
    "height": "of the image that was annotated, if the file has another size",
}
# How alike a name must be to be taken for a slip: "pateint" for "patient", but not "weight" for "height".
_ALIKE = 0.85
_TABLES = ("samples.csv", "samples.jsonl", "*.csv", "*.jsonl")


@DATASETS.register(
    "folder",
    shows="Your own images in a folder, with a table of questions, answers, boxes or masks.",
    publisher="you",
    version=VERSION,
    license="yours",
    access="it is your own",
    annotation="boxes (left, top, right, bottom), polygons, or mask files, as columns of the table",
    files="samples.csv or samples.jsonl with a column image, and the images",
    contamination="Nobody but you knows which models saw these images.",
    citation="your own",
    quirks=("Rows that are alike in all but their regions are one sample with all of these.",),
)
def folder(root: Path, *, table: str | None = None, split: str | None = None, boxes: str = "xyxy") -> Dataset:
    """The samples of a table: one for each row, or for several that differ in their regions alone.

    Args:
        root: The folder, in which the table is `samples.csv`, `samples.jsonl`, or the only file of such an
            ending; or the table itself.
        table: The table's name in the folder, where there are several.
        split: Keep the rows of this split.
        boxes: What the four numbers of a box are: "xyxy" (left, top, right, bottom), "xywh" (left, top,
            width, height), or "shares" (left, top, right, bottom as shares of the image, 0 to 1).

    Raises:
        DataError: There is no table, a column is missing, misspelt or there twice, or a cell cannot be read.
        OptionError: There is no such form of boxes, or no row of that split; or the table is named by a path.
    """
    require_choice("boxes", boxes, BOXES)
    path = _table(root, table)
    home = path.parent
    grouped: dict[tuple[Any, ...], _Group] = {}
    for line, row in _rows(path):
        about = {name: value for name, value in row.items() if name not in _OF_REGIONS}
        key = tuple(sorted((name, json.dumps(value, sort_keys=True)) for name, value in about.items()))
        group = grouped.setdefault(key, _Group(row))
        group.lines.append(line)
        group.regions.extend(_regions(row, boxes, line))
    identities = Identities("folder", VERSION)
    samples = [_sample(group, identities) for group in grouped.values()]
    places = {
        sample.sample_id: _at(group.lines) for sample, group in zip(samples, grouped.values(), strict=True)
    }
    known = sorted({sample.split for sample in samples})
    if split is not None:
        require_choice("split", split, known)
        samples = [sample for sample in samples if sample.split == split]
    return Dataset(
        name="folder",
        version=VERSION,
        samples=tuple(samples),
        root=home,
        opened=ImageFolder(home),
        options={"table": path.name},
        places=places,
    )


@dataclass(slots=True)
class _Group:
    """The rows of one sample.

    Attributes:
        row: The first of them.
        lines: Where they stand in the table.
        regions: All of theirs.
    """

    row: Mapping[str, Any]
    lines: list[int] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)


_OF_REGIONS = ("boxes", "polygons", "mask", "mask_value", "width", "height")


def _table(root: Path, name: str | None) -> Path:
    if name is not None:
        return _named(root, name)
    if root.is_file():
        return root
    for pattern in _TABLES:
        matches = sorted(root.glob(pattern))
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise DataError(
                f"The folder holds {len(matches)} tables. Name one with table=, or call it samples.csv "
                "or samples.jsonl."
            )
    raise DataError("The folder holds no table: expected samples.csv or samples.jsonl, with a column image.")


def _named(root: Path, name: object) -> Path:
    if not isinstance(name, str) or not name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise OptionError(
            f"table is {name!r}: expected the name of a file in the data set's folder. To name a table by "
            "its path, put it where the folder stands, as in folder:PATH."
        )
    path = inside(root, name)
    if not is_there(path):
        raise DataError(f"The folder lacks the table {name!r}. Name one of its .csv or .jsonl files.")
    return path


def _at(lines: Sequence[int]) -> str:
    """Where a sample stands.

    >>> _at([7]), _at([7, 9])
    ('line 7', 'lines 7 and 9')
    """
    *before, last = map(str, lines)
    return f"lines {', '.join(before)} and {last}" if before else f"line {last}"


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row without its empty cells, after its line in the table."""
    names: Sequence[str]
    rows: Iterable[tuple[int, dict[str, Any]]]
    if path.suffix == ".csv":
        names, rows = reading.headed(path)
    elif path.suffix == ".jsonl":
        rows = list(_objects(path))
        names = list(dict.fromkeys(name for _, row in rows for name in row))
    else:
        raise DataError(f"A table ends in {path.suffix or 'nothing'}: expected .csv or .jsonl.")
    _require_names(names)
    for line, row in rows:
        filled = _filled(row)
        if not isinstance(filled.get("image"), str):
            raise DataError(
                f"Line {line} of the table has no text as its image: expected the name of a file."
            )
        yield line, filled


# What is asked and answered stays as it is written: it is a part of a sample's identity, and is scored.
_AS_WRITTEN = ("question", "phrase", "answer")


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without its empty cells, each code the same however a program wrote it."""
    cells = {name: _cell(name, value) for name, value in row.items()}
    return {name: value for name, value in cells.items() if value not in (None, "")}


def _cell(name: str, value: Any) -> Any:
    """The value of a cell; None or "" where it is empty.

    >>> _cell("patient", "P1 "), _cell("patient", 1.0), _cell("patient", float("nan"))
    ('P1', 1, None)
    """
    if isinstance(value, str):
        bare = value.strip()
        return value if bare and name in _AS_WRITTEN else bare
    if isinstance(value, float) and math.isnan(value):
        # So pandas writes an empty cell, and it makes the numbers beside it floats.
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, row in reading.json_lines(path).items():
        if not isinstance(row, dict):
            raise DataError(f"Line {line} of the table is no JSON object: expected one for each row.")
        yield line, row


def _require_names(names: Sequence[str]) -> None:
    """Stop a table without images, or a column that a slip in its name or a second one would hide."""
    bare = {_bare(column): column for column in COLUMNS if column not in names}
    for name in names:
        near = difflib.get_close_matches(_bare(name), bare, n=1, cutoff=_ALIKE)
        if near and name not in COLUMNS:
            raise DataError(
                f"There is a column {name!r}; the one that is read is {bare[near[0]]!r}. Rename it. If it is "
                "something else, give it a name that is less alike."
            )
    require_columns(names, ["image"], known=COLUMNS)
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise DataError(
            f"There are two columns {twice[0]!r}, and only one of them would be read. Rename or remove one."
        )


def _bare(name: str) -> str:
    """A column's name without what people write differently: "Patient IDs" is "patient"."""
    return re.sub(r"[\s-]+", "_", name.lower()).removesuffix("s").removesuffix("_id")


def _regions(row: Mapping[str, Any], form: str, line: int) -> list[Region]:
    size = _size(row, form, line)
    label = str(row.get("finding") or row.get("phrase") or "")
    regions = []
    for corners in _listed(row, "boxes", line):
        left, top, third, fourth = _numbers(corners, 4, line)
        if form == "xywh":
            third, fourth = left + third, top + fourth
        if third < left or fourth < top:
            raise DataError(
                f"A box of line {line} ends before it begins. Are its numbers left, top, width, height? "
                "Then load with boxes='xywh'."
            )
        regions.append(Region(kind="box", data=(left, top, third, fourth), size=size, label=label))
    for polygon in _listed(row, "polygons", line):
        points = tuple(_numbers(point, 2, line) for point in polygon)
        if len(points) < 3:
            raise DataError(f"A polygon of line {line} has {len(points)} points: expected at least 3.")
        regions.append(Region(kind="polygon", data=points, size=size, label=label))
    if "mask" in row:
        value = None
        if "mask_value" in row:
            value = whole(row["mask_value"], f"mask_value of line {line}")
        regions.append(Region(kind="png", data=(str(row["mask"]), value), label=label))
    return regions


def _size(row: Mapping[str, Any], form: str, line: int) -> tuple[int, int] | None:
    """Rows and columns of the image that was annotated, where the row states them."""
    if form == "shares":
        return SHARES
    if "width" not in row and "height" not in row:
        return None
    if "width" not in row or "height" not in row:
        raise DataError(f"Line {line} has one of 'width' and 'height' alone. State both, or neither.")
    rows, cols = (whole(row[side], f"{side} of line {line}") for side in ("height", "width"))
    if rows < 1 or cols < 1:
        raise DataError(
            f"The image of line {line} was annotated on an image of {rows} rows by {cols} columns."
        )
    return rows, cols


def _listed(row: Mapping[str, Any], name: str, line: int) -> list[Any]:
    """A list of boxes or polygons, which a CSV file holds as JSON."""
    value = row.get(name, [])
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (json.JSONDecodeError, RecursionError):
            raise DataError(f"The {name} of line {line} are no list: expected {COLUMNS[name]}.") from None
    if not isinstance(value, list):
        raise DataError(f"The {name} of line {line} are no list: expected {COLUMNS[name]}.")
    if value and name == "boxes" and not isinstance(value[0], list):
        # One box, without the list around it.
        value = [value]
    return value


def _numbers(values: Any, expected: int, line: int) -> tuple[float, ...]:
    if not isinstance(values, list) or len(values) != expected:
        raise DataError(f"A region of line {line} has other than {expected} numbers in a list.")
    return tuple(number(value, f"a coordinate of line {line}") for value in values)


def _sample(group: _Group, identities: Identities) -> Sample:
    row, line = group.row, group.lines[0]
    texts = {name: _text(row, name, line) for name in _TEXTS}
    answer_type = texts["answer_type"]
    if answer_type is not None:
        answer_type = answer_type.strip().lower()
        if answer_type not in ANSWER_TYPES:
            raise DataError(
                f"The answer_type of line {line} is none of {', '.join(ANSWER_TYPES)}. Leave it empty if it "
                "is unknown."
            )
    about: dict[str, Any] = {name: texts[name] for name in ("question", "phrase", "finding")}
    about["language"] = texts["language"] or "en"
    image = str(row["image"])
    return Sample(
        sample_id=identities(image, **about),
        dataset="folder",
        version=VERSION,
        split=texts["split"] or "",
        image=image,
        patient=texts["patient"],
        study=texts["study"],
        answer=texts["answer"],
        answer_type=answer_type,  # type: ignore[arg-type]
        regions=tuple(group.regions),
        facts={name: value for name, value in row.items() if name not in COLUMNS},
        **about,
    )


_TEXTS = ("question", "phrase", "answer", "answer_type", "finding", "patient", "study", "split", "language")


def _text(row: Mapping[str, Any], name: str, line: int) -> str | None:
    """A cell as a text; JSON may hold numbers."""
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, str | int | float):
        raise DataError(f"The {name} of line {line} is a list or an object, where a text is expected.")
    return str(value)
