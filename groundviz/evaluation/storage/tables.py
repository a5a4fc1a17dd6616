"""Tables as Parquet: equal rows give equal bytes, and damage is noticed when they are read."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from groundviz.errors import MissingExtra, StoreError
from groundviz.record import files

# A column's name and the name of its type.
Schema = Mapping[str, str]
Row = Mapping[str, Any]
Columns = dict[str, list[Any]]


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
    shape = pyarrow.schema([(name, types[kind]) for name, kind in schema.items()], metadata=kept or None)
    table = pyarrow.Table.from_pylist([dict(row) for row in rows], schema=shape)
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
    table = _table(path)
    kept = {name.decode(): value.decode() for name, value in (table.schema.metadata or {}).items()}
    return table.to_pylist(), kept


def columns(paths: Sequence[Path], schema: Schema) -> Columns:
    """The columns of several files, one behind the other; of no file, empty columns.

    Raises:
        MissingExtra: pyarrow is not installed.
        StoreError: One of them is not there, or damaged.
    """
    found: Columns = {name: [] for name in schema}
    for path in paths:
        table = _table(path)
        for name, column in found.items():
            column.extend(table.column(name).to_pylist())
    return found


def _table(path: Path) -> Any:
    pyarrow, parquet = arrow()
    try:
        # One thread, and whole pages: files are small, and many are read one after the other.
        return parquet.read_table(
            pyarrow.BufferReader(path.read_bytes()), use_threads=False, page_checksum_verification=True
        )
    except (OSError, pyarrow.ArrowException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise StoreError(
            f"A table of the run cannot be read ({path.parent.name}/{path.name}: {reason}). "
            "Start the same evaluation again: what is missing or damaged is computed again."
        ) from None


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
