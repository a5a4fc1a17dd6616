"""Opens files: regular ones of limited size, with a limited number of reads, recognised by content."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from groundviz.errors import ImageError
from groundviz.images.base.limits import MAX_FILE_BYTES

# Decoders written in Python take microseconds per read, however short it is. A file of millions of empty
# pieces would keep them busy for minutes; a real one needs a few thousand reads.
MAX_READS = 120_000

_CHUNK = 1 << 20
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")
_EXPLICIT_VR = re.compile(rb"[A-Z]{2}")


class BoundedReader:
    """A binary stream that may be read only so often, and only so far, as a real file needs.

    Args:
        stream: The stream to read.
        reads: How often it may be read.
        total: How many bytes may be read in all; any number when None.
        stop: The position at which reading ends; the stream's own end when None.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        reads: int = MAX_READS,
        total: int | None = None,
        stop: int | None = None,
    ) -> None:
        self._stream = stream
        self._reads = reads
        self._total = total
        self._stop = stop

    def read(self, size: int = -1) -> bytes:
        """Read like any stream.

        Raises:
            ImageError: The budget of reads, or of bytes, is spent.
        """
        if self._stop is not None:
            left = max(0, self._stop - self._stream.tell())
            # A negative size asks for all that is left.
            if size < 0 or size > left:
                size = left
        data = self._stream.read(size)
        self._reads -= 1
        if self._total is not None:
            self._total -= len(data)
        if self._reads < 0 or (self._total is not None and self._total < 0):
            raise ImageError(
                "The file is built of more small parts than any image needs. Export it again from its origin."
            )
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, as in any stream."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """The position, as in any stream."""
        return self._stream.tell()

    def fileno(self) -> int:
        """The descriptor, for decoders that read the file themselves instead of holding it in memory."""
        return self._stream.fileno()


@contextmanager
def opened(path: str | bytes) -> Iterator[BinaryIO]:
    """A regular file of at most 256 MB, open for reading; opening never waits, as it could for a pipe.

    Raises:
        ImageError: It is missing, a folder, device or pipe, empty, too large, or a web address.
    """
    name = os.fsdecode(path)
    if _URL.match(name):
        raise ImageError("Web addresses are not fetched. Download the image and give the path of the file.")
    with _open(name) as stream:
        yield stream


def refuse_as_question(text: str) -> None:
    """Refuse a question that is the path of a file or folder: an image stands in its place.

    Raises:
        ImageError: It is one.
    """
    there = False
    # A text that is no valid path raises an error: it is too long, or has a NUL.
    with suppress(OSError, ValueError):
        there = bool(text) and Path(text).exists()
    if there:
        raise ImageError("The question is the name of a file that exists. Give the question after the image.")


def content_of(source: Any) -> bytes:
    """The content of a file given as bytes, or as an open binary file, which stays open where it was.

    Raises:
        ImageError: It is empty, too large, or open as text.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
    else:
        content = _read_whole(source)
    if not content:
        raise ImageError("The image's content is empty: 0 bytes were given. Read it again from its origin.")
    if len(content) > MAX_FILE_BYTES:
        raise ImageError(
            f"The image's content is too large: at most {MAX_FILE_BYTES} bytes are read. "
            "Crop it or export one frame."
        )
    return content


def _read_whole(stream: Any) -> bytes:
    if hasattr(stream, "seekable") and stream.seekable():
        # From its start, as Pillow does: a buffer that was just written is at its end.
        at = stream.tell()
        stream.seek(0)
        try:
            content = stream.read(MAX_FILE_BYTES + 1)
        finally:
            stream.seek(at)
    else:
        content = stream.read(MAX_FILE_BYTES + 1)
    if not isinstance(content, bytes | bytearray | memoryview):
        raise ImageError("The file is open as text, where bytes are needed. Open it with mode 'rb'.")
    return bytes(content)


def _open(name: str) -> BinaryIO:
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        # Checked before it is opened, since opening a device can already change it; and again
        # afterwards, since it may have been replaced in between.
        reason = _refusal(Path(name).stat())
        if reason is None:
            stream = os.fdopen(os.open(name, flags), "rb")
            reason = _refusal(os.fstat(stream.fileno()))
            if reason is None:
                return stream
            stream.close()
    except (OSError, ValueError) as error:
        why = "this is not a usable path"
        if isinstance(error, OSError):
            # Without the path, which the error itself contains.
            why = str(error.strerror)
        reason = f"The image file could not be opened: {why}. Check the path."
    raise ImageError(reason)


def _refusal(status: os.stat_result) -> str | None:
    if stat.S_ISDIR(status.st_mode):
        return "A folder was given where an image file is expected. Give the path of one file."
    if not stat.S_ISREG(status.st_mode):
        return "The path leads to a pipe, device or socket. Copy the image into a regular file first."
    if status.st_size == 0:
        return "The image file is empty: 0 bytes. Fetch it again from its origin."
    if status.st_size > MAX_FILE_BYTES:
        return (
            f"The image file is too large: {status.st_size} bytes, where at most {MAX_FILE_BYTES} are read. "
            "Crop it or export one frame."
        )
    return None


def kind_of(stream: BinaryIO) -> str:
    """The kind of the content, by its first bytes and never by a name: "png", "dicom", ...

    Raises:
        ImageError: It is none of the formats that are read.
    """
    stream.seek(0)
    head = stream.read(132)
    stream.seek(0)
    if head[128:132] == b"DICM":
        return "dicom"
    for magic, kind in (
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff", "jpeg"),
        (b"BM", "bmp"),
        (b"II*\0", "tiff"),
        (b"MM\0*", "tiff"),
        (b"II+\0", "tiff"),
        (b"MM\0+", "tiff"),
    ):
        if head.startswith(magic):
            return kind
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if _is_bare_dicom(head):
        return "dicom"
    raise ImageError(
        "The file is not an image of a known kind: PNG, JPEG, TIFF, WebP, BMP and DICOM are read, "
        "whatever the file is called. Convert it to one of these."
    )


def _is_bare_dicom(head: bytes) -> bool:
    """Whether these bytes begin a DICOM data set without a preamble."""
    # It begins with an element of group 2 or 8, low byte first, or of group 8, high byte first.
    if head[:2] in (b"\x02\0", b"\x08\0"):
        short = int.from_bytes(head[4:8], "little") <= 1024
        return len(head) >= 8 and (short or _EXPLICIT_VR.match(head, 4) is not None)
    return head[:2] == b"\0\x08" and _EXPLICIT_VR.match(head, 4) is not None


def content_tag(stream: BinaryIO) -> str:
    """First 8 hexadecimal digits of the content's SHA-256, to tell files apart without naming them."""
    digest = hashlib.sha256()
    stream.seek(0)
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()[:8]


def tail(stream: BinaryIO, size: int = 1 << 16) -> bytes:
    """The last bytes of the content."""
    end = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, end - size))
    return stream.read()


def occurrences(stream: BinaryIO, mark: bytes) -> int:
    """How often the content contains `mark`; the position is kept."""
    at = stream.tell()
    stream.seek(0)
    count, carried = 0, b""
    while chunk := stream.read(_CHUNK):
        block = carried + chunk
        count += block.count(mark)
        # A mark may begin in one chunk and end in the next.
        carried = block[len(block) - len(mark) + 1 :]
    stream.seek(at)
    return count
