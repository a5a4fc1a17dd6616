"""Tables as Parquet: equal rows give equal bytes, and damage is noticed when they are read."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from groundviz.errors import MissingExtra, StoreError
from groundviz.evaluation.storage.keys import sha256_of
from groundviz.record import files

# A column's name and the name of its type.
Schema = Mapping[str, str]
Row = Mapping[str, Any]
Columns = dict[str, list[Any]]

# What a table says of itself. The checksums of Parquet cover its pages, but not what says where they lie.
_DIGEST = "content_sha256"


def write(path: Path, rows: Iterable[Row], schema: Schema, facts: Mapping[str, str] | None = None) -> None:
    """Write rows to a Parquet file, whole or not at all.

    Args:
        path: Where to.
        rows: What stands in them; a column that a row lacks is null there.
        schema: The columns, in their order.
        facts: Texts to keep beside the table.

    Raises:
        MissingExtra: pyarrow is not installed.
        StoreError: The disk refused.
    """
    files.write(path, packed(rows, schema, facts))


def packed(rows: Iterable[Row], schema: Schema, facts: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a Parquet file; see `write`."""
    pyarrow, parquet = arrow()
    types = _types(pyarrow)
    kept = {name: str(value) for name, value in sorted((facts or {}).items())}
    shape = pyarrow.schema([(name, types[kind]) for name, kind in schema.items()])
    table = pyarrow.Table.from_pylist([dict(row) for row in rows], schema=shape)
    table = table.replace_schema_metadata({**kept, _DIGEST: _digest(table.to_pydict(), kept)})
    stream = io.BytesIO()
    # Statistics and dictionaries would make files larger that are read as a whole anyway.
    parquet.write_table(
        table, stream, compression="zstd", write_statistics=False, write_page_checksum=True, store_schema=True
    )
    return stream.getvalue()


def read(path: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The rows of a Parquet file, and the texts kept beside them.

    Raises:
        MissingExtra: pyarrow is not installed.
        StoreError: It is not there, or damaged.
    """
    found, kept = _content(path)
    return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)], kept


def columns(paths: Sequence[Path], schema: Schema) -> Columns:
    """The columns of several files, one behind the other; of no file, empty columns.

    Raises:
        MissingExtra: pyarrow is not installed.
        StoreError: One of them is not there, or damaged.
    """
    found: Columns = {name: [] for name in schema}
    for path in paths:
        table, _ = _content(path)
        for name, column in found.items():
            column.extend(table[name])
    return found


def _content(path: Path) -> tuple[Columns, dict[str, str]]:
    """The columns of a file, and the texts kept beside them."""
    pyarrow, parquet = arrow()
    try:
        # One thread, and whole pages: files are small, and many are read one after the other.
        table = parquet.read_table(
            pyarrow.BufferReader(path.read_bytes()), use_threads=False, page_checksum_verification=True
        )
        found = table.to_pydict()
        kept = {name.decode(): value.decode() for name, value in (table.schema.metadata or {}).items()}
    # Damage may lie where a name, a length or a text is.
    except (OSError, ValueError, LookupError, OverflowError, pyarrow.ArrowException) as error:
        raise _unread(path, getattr(error, "strerror", None) or type(error).__name__) from None
    # Runs of earlier versions have none.
    if kept.pop(_DIGEST, None) not in (None, _digest(found, kept)):
        raise _unread(path, "its content is not what was written")
    return found, kept


def _digest(found: Columns, kept: Mapping[str, str]) -> str:
    """A hash of columns and texts; Python writes each value in one way, on every computer."""
    return sha256_of(ascii([list(found.items()), sorted(kept.items())]).encode())


def _unread(path: Path, reason: str) -> StoreError:
    return StoreError(
        f"A table of the run cannot be read ({path.parent.name}/{path.name}: {reason}). "
        "Start the same evaluation again: what is missing or damaged is computed again."
    )


def _types(pyarrow: Any) -> dict[str, Any]:
    return {
        "text": pyarrow.string(),
        "int": pyarrow.int64(),
        "float": pyarrow.float64(),
        "bool": pyarrow.bool_(),
        "bytes": pyarrow.binary(),
        "texts": pyarrow.list_(pyarrow.string()),
        "ints": pyarrow.list_(pyarrow.int64()),
        "floats": pyarrow.list_(pyarrow.float64()),
    }


def arrow() -> tuple[Any, Any]:
    """The libraries that tables are written with: pyarrow and pyarrow.parquet.

    Raises:
        MissingExtra: They are not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra(
            "Evaluation keeps its tables as Parquet, and pyarrow is not installed. "
            'Run: pip install "groundviz[eval]"'
        ) from None
    return pyarrow, parquet
