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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from groundviz.errors import DataError

Row = Mapping[str, Any]
# A report may be long, but no cell of a table here holds megabytes.
_LONGEST_CELL = 10_000_000
# Of text, unpacked: the largest table that is published has some 400 MB.
_LARGEST_FILE = 2_000_000_000
# Names of columns that an error tells.
_MOST_NAMES = 12


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


def is_there(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have, as one of 5,000 letters, names none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


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
    """Each row of a CSV file, by the names of its columns.

    Args:
        path: The file; packed with gzip if its name ends in .gz.
        columns: Names that it must have.

    Raises:
        DataError: It lacks a column; or as for `headed`.
    """
    head, rows = headed(path)
    require_columns(head, columns)
    for _, row in rows:
        yield row


def headed(path: Path) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The names of a CSV file's columns, freed of blanks around them; and its rows, each after its line.

    Raises:
        DataError: It cannot be read; or, once the rows are gone through, one has more or fewer cells than the
            first.
    """
    csv.field_size_limit(_LONGEST_CELL)
    lines = _lines(path)
    _, first = next(lines, (0, []))
    head = [name.strip() for name in first]
    if not head:
        raise DataError(f"A {_kind(path)} file of the data set is empty. Get it again.")
    return head, _rows(head, lines)


def _rows(head: list[str], lines: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in lines:
        if len(line) != len(head):
            raise DataError(
                f"Line {number} of a table has {len(line)} cells, where its first has {len(head)}. "
                "The file is damaged, or was saved by a program that changes separators."
            )
        yield number, dict(zip(head, line, strict=True))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The cells of a CSV file after the number of the line on which they begin, without empty lines."""
    reader = csv.reader(io.StringIO(text_of(path), newline=""), strict=True)
    begins = 1
    try:
        for cells in reader:
            if cells:
                yield begins, cells
            # A cell in quotes may hold several lines.
            begins = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"A table of the data set is damaged near line {reader.line_num}: {error}.") from None


def require_columns(there: Collection[str], columns: Iterable[str], known: Collection[str] = ()) -> None:
    """Stop a table that lacks a column.

    Args:
        there: The names that it has. They may be a row of a table without a head, and tell whose it is: they
            are told where one of them is known, and else only one that is nearly the one expected.
        columns: Those that it must have.
        known: Further ones that it may have.

    Raises:
        DataError: Naming what it lacks.
    """
    columns = list(columns)
    lacking = [name for name in columns if name not in there]
    if not lacking:
        return
    spelled = {str(name).lower(): str(name) for name in there}
    near = difflib.get_close_matches(lacking[0].lower(), spelled, n=1)
    hint = f" One is called nearly so: {spelled[near[0]]!r}." if near else ""
    has, why = f"{len(there)} others", "It may have no row of names, or be of another version."
    if {*columns, *known} & {*there}:
        has, why = _few(list(there)), "It may be of another version."
    raise DataError(f"A table of the data set lacks the column {lacking[0]!r}; it has {has}.{hint} {why}")


def _few(names: Sequence[str]) -> str:
    """Some names, the first ones of many."""
    shown = ", ".join(f"{name!r:.40}" for name in names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{shown}{more}"


def json_of(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DataError: It cannot be read, or is no JSON.
    """
    return _parsed(text_of(path), "A JSON file of the data set")


def json_lines(path: Path) -> dict[int, Any]:
    """What each line of a JSON Lines file holds, by its number from 1; empty lines are passed over.

    Raises:
        DataError: It cannot be read, a line is no JSON, or an object has two values of one name.
    """
    lines = text_of(path).split("\n")
    what = "Line {} of a JSON Lines file"
    return {
        number: _parsed(line, what.format(number), pairs=partial(_once, number))
        for number, line in enumerate(lines, 1)
        if line.strip()
    }


def records(path: Path, fields: Collection[str] = ()) -> list[dict[str, Any]]:
    """The objects in a list of a JSON file, or in the lines of a JSON Lines file.

    Raises:
        DataError: It cannot be read, holds something else, or an object lacks a field.
    """
    rows = list(json_lines(path).values()) if path.suffix in (".jsonl", ".ndjson") else json_of(path)
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
    except (TypeError, ValueError, OverflowError):
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


def _once(line: int, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DataError(f"Line {line} of a JSON Lines file has two values of one name. Leave one of them.")
    return found


def _parsed(text: str, what: str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    try:
        return json.loads(text, object_pairs_hook=pairs)
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
