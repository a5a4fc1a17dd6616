"""Finds the items of DICOM sequences by their lengths, so that one of thousands can be read alone.

An enhanced or whole-slide file describes each of its frames in an item of its own. Reading all of them
takes seconds, and only one frame is shown. Here the items are only found.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal

from groundviz.errors import ImageError

UNDEFINED = 0xFFFFFFFF
# Types whose length takes four bytes, after two that are empty.
_LONG_TYPES = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())

# Fifty thousand frames with twenty elements each; walking over them takes about a second.
MAX_STEPS = 1_000_000

_MARK = 0xFFFE
_ITEM, _ITEM_END, _SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD


_HEADERS = {True: struct.Struct("<HHL"), False: struct.Struct(">HHL")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How elements are written: without their types (implicit), low byte first (little)."""

    implicit: bool
    little: bool

    def header(self, stream: BinaryIO) -> tuple[int, int, int, int]:
        """Group, number and length of the element that starts here, and the size of its header.

        Raises:
            ImageError: The data end here.
        """
        head = stream.read(8)
        _require(len(head) == 8)
        group, number, length = _HEADERS[self.little].unpack(head)
        # Types may be left out inside a sequence although the rest of the file has them.
        if self.implicit or group == _MARK or not (head[4:6].isalpha() and head[4:6].isupper()):
            return group, number, length, 8
        order: Literal["little", "big"] = "big"
        if self.little:
            order = "little"
        if head[4:6] not in _LONG_TYPES:
            return group, number, int.from_bytes(head[6:8], order), 8
        more = stream.read(4)
        _require(len(more) == 4)
        return group, number, int.from_bytes(more, order), 12


def spans_of(
    stream: BinaryIO, length: int, encoding: Encoding, steps: Iterator[int] | None = None
) -> tuple[Sequence[tuple[int, int]], int]:
    """Where each item of a sequence begins and ends, and where the sequence ends.

    Nothing is converted, and nothing but headers is read: about 1 microsecond per element.

    Args:
        stream: At the sequence's first item; left anywhere.
        length: Of the sequence in bytes, or `UNDEFINED`.
        encoding: Of its elements. Inside, types may be left out all the same, as DICOM allows.
        steps: A budget shared with other sequences.

    Raises:
        ImageError: The sequence is damaged or cut short, or has more parts than any real one.
    """
    at = stream.tell()
    stop = None if length == UNDEFINED else at + length
    if steps is None:
        steps = iter(range(MAX_STEPS))
    # Plain numbers: the collector of Python's objects would look through a million pairs again and again.
    starts, stops = array("Q"), array("Q")
    # How many sequences and items of undefined length are open inside this one.
    depth = start = 0
    while depth or stop is None or at < stop:
        _count(steps)
        group, number, size, header = encoding.header(stream)
        begins = at + header
        if group == _MARK and number in (_ITEM_END, _SEQUENCE_END):
            if depth == 0 and number == _SEQUENCE_END and stop is None:
                return list(zip(starts, stops, strict=True)), begins
            depth -= 1
            _require(depth >= 0)
            if depth == 0:
                starts.append(start)
                stops.append(at)
            size = 0
        elif size == UNDEFINED:
            _require(depth > 0 or (group, number) == (_MARK, _ITEM))
            if depth == 0:
                start = begins
            depth, size = depth + 1, 0
        elif depth == 0:
            _require((group, number) == (_MARK, _ITEM))
            starts.append(begins)
            stops.append(begins + size)
        at = begins + size
        if size:
            stream.seek(at)
    return list(zip(starts, stops, strict=True)), at


def _count(steps: Iterator[int]) -> None:
    if next(steps, None) is None:
        raise ImageError(
            "The DICOM header is built of more small parts than any image needs. Export the image again "
            "from its origin."
        )


def _require(sound: bool) -> None:
    if not sound:
        raise ImageError(
            "A sequence in the DICOM header is damaged or cut short. Export the image again from its origin."
        )
