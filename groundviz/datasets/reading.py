"""Reads the files of a data set: tables, JSON and JSON lines, with errors that hold none of their content."""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import json
import math
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from groundviz.errors import DataError

Row = Mapping[str, Any]
# A report may be long, but no cell of a table here holds megabytes.
_LONGEST_CELL = 10_000_000
# Of text, unpacked: the largest table that is published has some 400 MB.
_LARGEST_FILE = 2_000_000_000


def inside(root: Path, name: str) -> Path:
    """The path of a file in a folder, by the name that one of the folder's own tables gives it.

    Raises:
        DataError: The name leads out of the folder.

    >>> inside(Path("data"), "images/1.png").as_posix()
    'data/images/1.png'
    """
    parts = Path(name.replace("\\", "/")).parts
    if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name:
        raise DataError(
            "A table names a file outside the data set's folder, or none. Names must be relative to it."
        )
    return root.joinpath(*parts)


def found(root: Path, *patterns: str, required: bool = True) -> Path | None:
    """The first file or folder below `root` that one of the patterns names.

    Raises:
        DataError: There is none, and it is required.
    """
    for pattern in patterns:
        matches = sorted(root.glob(pattern)) if root.is_dir() else []
        if matches:
            return matches[0]
    if not required:
        return None
    raise DataError(f"The folder lacks a file. Looked for: {', '.join(patterns)}. Name the folder it is in.")


def needed(root: Path, *patterns: str) -> Path:
    """As `found`, of a file that must be there.

    Raises:
        DataError: There is none.
    """
    path = found(root, *patterns)
    if path is None:
        raise DataError("The folder lacks a file.")
    return path


def newest(root: Path, pattern: str) -> Path:
    """The last of the files that a pattern names, by its name, which states the version.

    Raises:
        DataError: There is none.
    """
    needed(root, pattern)
    return max(root.glob(pattern), key=lambda path: path.name)


def text_of(path: Path) -> str:
    """The content of a text file, unpacked where its name ends in .gz, or in .zip with one file in it.

    Raises:
        DataError: It cannot be read, is too large, or is no UTF-8 text.
    """
    try:
        with _unpacked(path) as stream:
            content = stream.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise DataError(f"A {_kind(path)} file unpacks to more than {_LARGEST_FILE // 10**9} GB of text.")
        # Spreadsheets write a mark in front, which would become a part of the first column's name.
        return content.decode("utf-8-sig")
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise DataError(f"A {_kind(path)} file of the data set cannot be read: {reason}.") from None
    except UnicodeDecodeError:
        raise DataError(f"A {_kind(path)} file of the data set is no UTF-8 text. Get it again.") from None


def _unpacked(path: Path) -> IO[bytes]:
    """A file, open for reading what it holds."""
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path))
    if path.suffix == ".zip":
        archive = zipfile.ZipFile(path)
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if len(names) != 1:
            raise DataError(f"A ZIP file of the data set holds {len(names)} files: expected one. Unpack it.")
        return archive.open(names[0])
    return path.open("rb")


def table(path: Path, columns: Collection[str] = ()) -> list[dict[str, str]]:
    """The rows of a CSV file, as `each_row` gives them.

    Raises:
        DataError: As for `each_row`.
    """
    return list(each_row(path, columns))


def each_row(path: Path, columns: Collection[str] = ()) -> Iterator[dict[str, str]]:
    """Each row of a CSV file, by the names of its columns, which are freed of blanks around them.

    Args:
        path: The file; packed with gzip if its name ends in .gz.
        columns: Names that it must have.

    Raises:
        DataError: It cannot be read, lacks a column, or a row has more or fewer cells than the first.
    """
    csv.field_size_limit(_LONGEST_CELL)
    lines = _lines(path)
    head = [name.strip() for name in next(lines, [])]
    if not head:
        raise DataError(f"A {_kind(path)} file of the data set is empty. Get it again.")
    require_columns(head, columns)
    for number, line in enumerate(lines, start=2):
        if len(line) != len(head):
            raise DataError(
                f"Row {number} of a table has {len(line)} cells, where its first row has {len(head)}. "
                "The file is damaged, or was saved by a program that changes separators."
            )
        yield dict(zip(head, line, strict=True))


def _lines(path: Path) -> Iterator[list[str]]:
    """The lines of a CSV file that are not empty."""
    reader = csv.reader(io.StringIO(text_of(path), newline=""), strict=True)
    try:
        for line in reader:
            if line:
                yield line
    except csv.Error as error:
        raise DataError(f"A table of the data set is damaged near row {reader.line_num}: {error}.") from None


def require_columns(there: Collection[str], columns: Iterable[str]) -> None:
    """Stop a table that lacks a column.

    Raises:
        DataError: Naming what it lacks. What it has may be a row of a table without a head, and whose: only a
            name that is nearly the one expected is told.
    """
    lacking = [name for name in columns if name not in there]
    if lacking:
        near = difflib.get_close_matches(lacking[0].lower(), [str(name).lower() for name in there], n=1)
        hint = f" One is called nearly so: {near[0]!r}." if near else ""
        raise DataError(
            f"A table of the data set lacks the column {lacking[0]!r}; it has {len(there)} others.{hint} It "
            "may have no row of names, or be of another version."
        )


def json_of(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DataError: It cannot be read, or is no JSON.
    """
    return _parsed(text_of(path), "A JSON file of the data set")


def json_lines(path: Path) -> list[Any]:
    """What each line of a JSON Lines file holds; empty lines are passed over.

    Raises:
        DataError: It cannot be read, or a line is no JSON.
    """
    lines = text_of(path).split("\n")
    what = "Line {} of a JSON Lines file"
    return [_parsed(line, what.format(number)) for number, line in enumerate(lines, 1) if line.strip()]


def records(path: Path, fields: Collection[str] = ()) -> list[dict[str, Any]]:
    """The objects in a list of a JSON file, or in the lines of a JSON Lines file.

    Raises:
        DataError: It cannot be read, holds something else, or an object lacks a field.
    """
    rows = json_lines(path) if path.suffix in (".jsonl", ".ndjson") else json_of(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"A JSON file of the data set holds {_named(rows)}: expected a list of objects.")
    for number, row in enumerate(rows, start=1):
        for name in fields:
            if name not in row:
                raise DataError(f"Entry {number} of a JSON file lacks {name!r}. It may be another file.")
    return rows


def number(value: Any, what: str) -> float:
    """A finite number.

    Raises:
        DataError: It is none; `what` says where it stands.

    >>> number("3.5", "a width"), number(2, "a width")
    (3.5, 2.0)
    """
    try:
        read = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        read = math.nan
    if not math.isfinite(read):
        raise DataError(f"{what[:1].upper()}{what[1:]} is no finite number. The file is damaged.")
    return read


def whole(value: Any, what: str) -> int:
    """A whole number; 3.0 is one.

    Raises:
        DataError: It is none; `what` says where it stands.
    """
    read = number(value, what)
    if read != int(read):
        raise DataError(f"{what[:1].upper()}{what[1:]} is no whole number. The file is damaged.")
    return int(read)


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{what} is no JSON, at line {error.lineno}: {error.msg}. Get it again.") from None
    except RecursionError:
        raise DataError(f"{what} is nested too deep. Get it again.") from None


def _named(thing: Any) -> str:
    if isinstance(thing, list):
        return "a list of other things"
    return "one object" if isinstance(thing, dict) else "something else"


def _kind(path: Path) -> str:
    """The kind of a file, by its ending: a name may tell whose it is."""
    return path.suffix.lstrip(".").upper() or "text"
