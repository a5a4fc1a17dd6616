"""Guarded access to a DICOM header: listed elements only, of bounded length, as plain numbers.

Elements that are not in `elements.KEYWORDS` are never read. So no name, date, identifier or free text of
the header can reach an image, a note or a message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.errors import ImageError
from groundviz.images.base.window import Table
from groundviz.images.dicom.elements import HASHED, KEYWORDS, OVERLAY_TAGS, Header, Items, items_in, tag_of
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
        if not isinstance(header, Header):
            header = Header(dataset=header, sequences={}, lengths={})
        self._dataset = header.dataset
        self._sequences = header.sequences
        self._lengths = header.lengths
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

    def digest(self, keyword: str) -> bytes:
        """A hash of an element that identifies something, to tell what is equal from what is not."""
        if keyword not in HASHED:
            raise KeyError(keyword)
        stated = b""
        if keyword in self._dataset:
            raw = self._dataset.get_item(keyword).value
            # A file's bytes may be padded to an even number.
            stated = (raw if isinstance(raw, bytes) else str(raw).encode()).strip(b"\0 ")
        return hashlib.sha256(stated).digest()

    def value(self, keyword: str) -> Any:
        """The element as pydicom converts it, or None.

        Raises:
            ImageError: It is longer than any real value; converting it could take minutes.
        """
        if keyword not in _ALLOWED:
            raise KeyError(keyword)
        length = self._lengths.get(tag_of(keyword), 0)
        if not length and keyword not in self._dataset:
            return None
        if not length:
            # Bytes are not converted yet.
            raw = self._dataset.get_item(keyword).value
            length = len(raw) if isinstance(raw, bytes) else 0
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
        if isinstance(found, str | bytes) or not isinstance(found, Iterable):
            found = (found,)
        try:
            return tuple(float(number) for number in found)
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
        if found is None:
            return ""
        return str(found).strip().upper()

    def code(self, keyword: str) -> str:
        """As `text`, but empty when the element cannot be read: for elements that are not essential."""
        return attempted(lambda: self.text(keyword), keyword)[0] or ""

    def item(self, keyword: str, index: int = 0) -> Fields | None:
        """One item of a sequence, or None; no other item is parsed.

        Raises:
            ImageError: The sequence or the item is damaged.
        """
        items = self._items(keyword)
        if items is None or index >= len(items):
            return None
        if isinstance(items, Items):
            return Fields(items.read(index), little=self._little)
        return Fields(items[index], little=self._little)

    def count(self, keyword: str) -> int:
        """How many items a sequence has; none if it is absent."""
        items = self._items(keyword)
        if items is None:
            return 0
        return len(items)

    def _items(self, keyword: str) -> Any:
        """`Items`, pydicom's Sequence of a data set that was parsed already, or None."""
        if keyword not in _ALLOWED:
            raise KeyError(keyword)
        tag = tag_of(keyword)
        if tag not in self._sequences and keyword in self._dataset:
            items = items_in(self._dataset.get_item(keyword))
            if items is None:
                return self._dataset.get(keyword)
            # Kept, so that the sequence is walked over once for all of its items.
            self._sequences = {**self._sequences, tag: items}
        return self._sequences.get(tag)

    def macro(self, keyword: str, frame: int) -> Fields:
        """The elements of one frame: in its own group, in the group of all frames, or in the header."""
        for groups, index in (
            ("PerFrameFunctionalGroupsSequence", frame),
            ("SharedFunctionalGroupsSequence", 0),
        ):
            group = self.item(groups, index)
            if group is None:
                continue
            found = group.item(keyword)
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
        # The numbers are 16-bit words: 0 entries stand for 65536, and large inputs may be negative.
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
            if narrow:
                return np.frombuffer(stored, "u1")
            even = stored[: len(stored) // 2 * 2]
            return np.frombuffer(even, "<u2" if self._little else ">u2")
        if stored is None:
            stored = []
        return np.atleast_1d(np.asarray(stored, dtype=np.int64)) & 0xFFFF


def attempted(read: Callable[[], Any], what: str) -> tuple[Any, tuple[str, ...]]:
    """The result of reading an element that is not essential; None and a note when that fails."""
    try:
        return read(), ()
    except Exception:
        return None, (f"{what} cannot be used.",)


def _limit(keyword: str) -> int:
    if keyword.endswith("Data"):
        return _MAX_TABLE
    return _MAX_VALUE
