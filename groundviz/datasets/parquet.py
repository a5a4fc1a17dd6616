"""Data sets in Parquet, with their images inside: the form in which the Hugging Face hub keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundviz.datasets.choices import Identities
from groundviz.datasets.conversations import by_yes_and_no
from groundviz.datasets.reading import inside, needed, require_columns
from groundviz.datasets.sample import Sample
from groundviz.errors import DataError, MissingExtra

if TYPE_CHECKING:
    import pyarrow.parquet

# Rows that are read at once: their images take some 100 kB each.
_BATCH = 64


def samples_of(root: Path, dataset: str, version: str, splits: tuple[str, ...]) -> Iterator[Sample]:
    """The samples of the Hugging Face hub's Parquet files, split after split.

    Raises:
        DataError: There is no file, or one is damaged.
        MissingExtra: pyarrow is not installed.
    """
    needed(root, "data/*.parquet", "*.parquet")
    identities = Identities(dataset, version)
    for split in splits:
        files = sorted([*root.glob(f"data/{split}-*.parquet"), *root.glob(f"{split}-*.parquet")])
        for file in files:
            name = file.relative_to(root).as_posix()
            for image, row in rows(root, name, ["question", "answer"]):
                question, answer = str(row["question"]).strip(), str(row["answer"])
                yield Sample(
                    sample_id=identities(image, question=question),
                    dataset=dataset,
                    version=version,
                    split=split,
                    image=image,
                    question=question,
                    answer=answer,
                    answer_type=by_yes_and_no(answer),
                    facts={"answer_type": None},
                )


def rows(root: Path, name: str, columns: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file, each with the name of its image: the same for the same image.

    An image is named after the first row that has it, such as "data/test-00000-of-00001.parquet#17".

    Args:
        root: The data set's folder.
        name: The file, relative to it.
        columns: To be read, beside "image".

    Raises:
        DataError: It cannot be read, or lacks a column.
        MissingExtra: pyarrow is not installed.
    """
    opened = _opened(root, name)
    require_columns(opened.schema_arrow.names, ["image", *columns])
    first: dict[str, str] = {}
    number = 0
    for batch in _batches(opened, ["image", *columns]):
        for row in batch:
            digest = hashlib.sha256(_content(row["image"])).hexdigest()
            image = first.setdefault(digest, f"{name}#{number}")
            number += 1
            yield image, {column: row[column] for column in columns}


def _batches(opened: pyarrow.parquet.ParquetFile, columns: list[str]) -> Iterator[list[dict[str, Any]]]:
    from pyarrow import ArrowException

    try:
        for batch in opened.iter_batches(batch_size=_BATCH, columns=columns):
            yield batch.to_pylist()
    except (ArrowException, OSError) as error:
        raise DataError(f"A Parquet file is damaged: {type(error).__name__}. Get it again.") from None


@dataclass(frozen=True)
class ParquetImages:
    """The images in Parquet files, by the names that `rows` gives them.

    Attributes:
        root: The data set's folder.
    """

    root: Path

    def __call__(self, image: str) -> bytes:
        """The file of an image, as bytes.

        Raises:
            DataError: It is not there.
        """
        name, _, row = image.rpartition("#")
        if not row.isdecimal():
            raise DataError("An image of a Parquet file has a name that ends in # and the number of its row.")
        group, offset = _row_group(_opened(self.root, name), int(row))
        return _content(_images_of(self.root, name, group)[offset])


@lru_cache(maxsize=2)
def _images_of(root: Path, name: str, group: int) -> list[Any]:
    """The images of a row group; neighbours follow each other, and are read together."""
    column: list[Any] = _opened(root, name).read_row_group(group, columns=["image"])["image"].to_pylist()
    return column


def _row_group(opened: pyarrow.parquet.ParquetFile, row: int) -> tuple[int, int]:
    """The row group that a row lies in, and its place there."""
    left = row
    for group in range(opened.num_row_groups):
        count = opened.metadata.row_group(group).num_rows
        if left < count:
            return group, left
        left -= count
    raise DataError(f"A Parquet file has no row {row}. It is another one than when the samples were listed.")


def _opened(root: Path, name: str) -> pyarrow.parquet.ParquetFile:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise MissingExtra(
            'This data set is in Parquet, which needs pyarrow: pip install "groundviz[eval]".'
        ) from None
    try:
        return parquet.ParquetFile(inside(root, name))
    except (ArrowException, OSError) as error:
        raise DataError(f"A Parquet file cannot be read: {type(error).__name__}. Get it again.") from None


def _content(image: Any) -> bytes:
    """The bytes of an image, which the hub keeps beside its former path."""
    content = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(content, bytes):
        raise DataError("A Parquet file holds no image in its column 'image': expected bytes.")
    return content
