"""Guarded access to a DICOM header: listed elements only, of bounded length, as plain numbers.

What is not in `elements.KEYWORDS` cannot be asked for: names, dates, identifiers and free text cannot be
carried on because they are never read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.errors import ImageError
from groundviz.images.base.window import Table
from groundviz.images.dicom.elements import KEYWORDS, OVERLAY_TAGS, Header, Items, items_in, tag_of
from groundviz.images.dicom.palette import expanded

_ALLOWED = frozenset(KEYWORDS)
_MAX_VALUE = 4096
_MAX_TABLE = 2 * 65536 + 2


class Fields:
    """The technical elements of one data set, or of one item inside it.

    Args:
        header: A pydicom Dataset, or what `elements.read` found in a file.
        little: Whether its words are stored low byte first.
    """

    def __init__(self, header: Any, *, little: bool) -> None:
        found = isinstance(header, Header)
        self._dataset = header.dataset if found else header
        self._sequences = header.sequences if found else {}
        self._lengths = header.lengths if found else {}
        self._little = little

    def has(self, keyword: str) -> bool:
        """Whether the element is present, empty or not."""
        tag = tag_of(keyword)
        return tag in self._dataset or tag in self._sequences or tag in self._lengths

    def has_content(self) -> bool:
        """Whether any element is present."""
        return bool(self._dataset or self._sequences or self._lengths)

    def has_overlay(self) -> bool:
        """Whether the file brings overlay planes."""
        return any(tag in self._dataset for tag in OVERLAY_TAGS)

    def value(self, keyword: str) -> Any:
        """The element as pydicom converts it, or None.

        Raises:
            ImageError: It is longer than any honest value; converting it could take minutes.
        """
        if keyword not in _ALLOWED:
            raise KeyError(keyword)
        length = self._lengths.get(tag_of(keyword), 0)
        if not length and keyword not in self._dataset:
            return None
        raw = b"" if length else self._dataset.get_item(keyword).value
        length = length or (len(raw) if isinstance(raw, bytes) else 0)
        if length > _limit(keyword):
            raise ImageError(
                f"{keyword} in the DICOM header is too long: {length} bytes, where at most "
                f"{_limit(keyword)} are read. Export the image again from its origin."
            )
        return self._dataset.get(keyword)

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """The element's numbers, none if it is absent or empty.

        Raises:
            ImageError: It holds something else.
        """
        found = self.value(keyword)
        if found is None or (isinstance(found, str) and not found.strip()):
            return ()
        several = isinstance(found, Iterable) and not isinstance(found, (str, bytes))
        try:
            return tuple(float(one) for one in (found if several else (found,)))
        except (TypeError, ValueError, OverflowError):
            reason = f"{keyword} in the DICOM header is not a number. Export the image again from its origin."
        raise ImageError(reason)

    def number(self, keyword: str, default: float | None = None) -> float:
        """The element's first number.

        Raises:
            ImageError: There is none, and no default.
        """
        found = self.numbers(keyword)
        if found:
            return found[0]
        if default is None:
            raise ImageError(
                f"The DICOM header lacks {keyword}, without which no image can be shown. "
                "Export the image again from its origin."
            )
        return default

    def text(self, keyword: str) -> str:
        """A code such as a photometric interpretation; to be compared, never to be shown."""
        found = self.value(keyword)
        return "" if found is None else str(found).strip().upper()

    def item(self, keyword: str, index: int = 0) -> Fields | None:
        """One item of a sequence, or None; no other item is parsed.

        Raises:
            ImageError: The sequence or the item is damaged.
        """
        items = self._items(keyword)
        if items is None or index >= len(items):
            return None
        found = items.read(index) if isinstance(items, Items) else items[index]
        return Fields(found, little=self._little)

    def count(self, keyword: str) -> int:
        """How many items a sequence has; none if it is absent."""
        items = self._items(keyword)
        return 0 if items is None else len(items)

    def _items(self, keyword: str) -> Any:
        """`Items`, pydicom's Sequence of a data set that was parsed already, or None."""
        if keyword not in _ALLOWED:
            raise KeyError(keyword)
        tag = tag_of(keyword)
        if tag not in self._sequences and keyword in self._dataset:
            items = items_in(self._dataset.get_item(keyword))
            if items is None:
                return self._dataset.get(keyword)
            # Walked over once, however many items are asked for.
            self._sequences = {**self._sequences, tag: items}
        return self._sequences.get(tag)

    def macro(self, keyword: str, frame: int) -> Fields:
        """Where the facts of one frame stand: its own group, the group shared by all, or the header."""
        for groups, index in (
            ("PerFrameFunctionalGroupsSequence", frame),
            ("SharedFunctionalGroupsSequence", 0),
        ):
            group = self.item(groups, index)
            found = None if group is None else group.item(keyword)
            if found is not None and found.has_content():
                return found
        return self

    def table(self, descriptor: str, data: str, *, negative: bool) -> Table:
        """A lookup table, whichever way it is stored.

        Args:
            descriptor: Keyword of its three numbers: entries, first input, bits per entry.
            data: Keyword of its entries; "Segmented" + data is tried as well.
            negative: Whether inputs may be below zero.

        Raises:
            ImageError: The numbers contradict each other.
        """
        described = self.numbers(descriptor)
        if len(described) != 3 or not 1 <= described[2] <= 16:
            raise ImageError(
                "A lookup table of the DICOM is damaged. Export the image again from its origin."
            )
        entries, first, bits = (int(number) for number in described)
        entries = (entries & 0xFFFF) or 65536
        if negative and first > 32767:
            first -= 65536
        if self.has(data):
            stored = self.value(data)
            packed = isinstance(stored, bytes) and len(stored) <= entries + 1
            values = self._words(stored, narrow=bits <= 8 and packed)
        else:
            values = expanded(self._words(self.value(f"Segmented{data}"), narrow=bits <= 8), entries)
        if len(values) < entries:
            raise ImageError(
                f"A lookup table of the DICOM is cut short: {len(values)} entries of {entries}. "
                "Export the image again from its origin."
            )
        top = max(2.0**bits - 1.0, float(values[:entries].max()))
        return Table(first=first, values=values[:entries], top=top)

    def _words(self, stored: Any, *, narrow: bool) -> npt.NDArray[Any]:
        """Table entries as numbers: 16-bit words, or bytes where they are packed that way."""
        if isinstance(stored, bytes):
            wide = "<u2" if self._little else ">u2"
            return np.frombuffer(
                stored if narrow else stored[: len(stored) // 2 * 2], "u1" if narrow else wide
            )
        return np.atleast_1d(np.asarray([] if stored is None else stored, dtype=np.int64)) & 0xFFFF


def _limit(keyword: str) -> int:
    return _MAX_TABLE if keyword.endswith("Data") else _MAX_VALUE
