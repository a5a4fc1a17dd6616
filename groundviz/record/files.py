"""Writing to disk: whole files or none, under safe names. Nothing else opens a file for writing."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from groundviz.errors import StoreError

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl

# What a file is called while it is being written. Its writer holds a lock on it, which the system takes
# back when the writer dies, however it dies.
_PREFIX, _SUFFIX = ".groundviz-", ".part"
# An unfinished file is abandoned when it has no lock and was not touched for so long: another computer's
# lock may not be seen in a folder of a network. Where nothing can be locked, its age alone tells.
QUIET_SECONDS, STALE_SECONDS = 600.0, 86_400.0
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


def place(path: str | os.PathLike[str]) -> Path:
    """A place on disk, by whatever names one.

    Raises:
        StoreError: It is nothing that names a file.
    """
    try:
        return Path(os.fsdecode(path))
    except TypeError:
        raise StoreError(
            f"This names no file: it is of type {type(path).__name__}, expected a text or a path. "
            'Give for example "explanation.gvz".'
        ) from None


def new_place(path: str | os.PathLike[str]) -> Path:
    """A place on disk that something may be written to: as `place`, under a name that the system takes.

    Raises:
        StoreError: It names no file, or the system takes no such name.
    """
    named = place(path)
    try:
        # A look at it tells; it need not be there.
        with suppress(FileNotFoundError, NotADirectoryError):
            named.lstat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "that cannot be a file's name"
        raise StoreError(f"No file can have this name: {reason}. Choose another one.") from None
    return named


def write(path: str | os.PathLike[str], content: bytes, *, overwrite: bool = True) -> Path:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part.

    What writers that were killed left half-done in the folder is removed along the way.

    Args:
        path: Where to write.
        content: What to write.
        overwrite: Whether a file of that name may be replaced. Where it may not, one of several writers
            of the same name succeeds, in whatever processes they are, and the others are refused.

    Raises:
        StoreError: The folder does not exist, the target is a link or a folder, it exists and
            `overwrite` is False, or the disk refused.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(pathlib.Path(folder) / "note.txt", b"whole").read_bytes()
    b'whole'
    """
    target = new_place(path)
    _refuse_unsafe(target, overwrite)
    _sweep(target.parent)
    try:
        with _unfinished(target.parent) as (part, stream):
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            part.chmod(0o666 & ~_umask())
            if fcntl is None:
                stream.close()  # Windows moves no file that is open.
            if overwrite:
                part.replace(target)
            else:
                _place(part, target)
    except FileExistsError:
        raise _taken() from None
    except OSError as error:
        raise StoreError(
            f"The file could not be written: {error.strerror or type(error).__name__}. "
            "Nothing was changed; free some space or choose another place."
        ) from None
    return target


def append(path: str | os.PathLike[str], content: bytes) -> Path:
    r"""Add `content` to the end of a file, which is made if it is not there.

    It is on the disk when this returns. What a writer that failed left without an end of line is ended first,
    so that it spoils no more than itself.

    Args:
        path: The file.
        content: Whole lines.

    Raises:
        StoreError: The folder does not exist, the target is a link or a folder, or the disk refused.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     place = append(pathlib.Path(folder) / "notes.csv", b"one\n")
    ...     append(place, b"two\n").read_bytes()
    b'one\ntwo\n'
    """
    target = new_place(path)
    _refuse_unsafe(target, overwrite=True)
    try:
        with target.open("ab+", buffering=0) as stream:
            _lock(stream.fileno(), wait=True)
            if stream.seek(0, os.SEEK_END):
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":
                    content = b"\n" + content
            stream.write(content)
            os.fsync(stream.fileno())
    except OSError as error:
        raise StoreError(
            f"The file could not be added to: {error.strerror or type(error).__name__}. "
            "Free some space or choose another place."
        ) from None
    return target


def write_private(content: bytes, suffix: str) -> Path:
    """A new file that its owner alone may read, among the computer's temporary files.

    Raises:
        StoreError: The disk refused.

    >>> private = write_private(b"whole", ".html")
    >>> private.read_bytes(), oct(private.stat().st_mode & 0o077)
    (b'whole', '0o0')
    >>> private.unlink()
    """
    name, whole = "", False
    try:
        descriptor, name = tempfile.mkstemp(prefix="groundviz-", suffix=suffix)
        with _stream(descriptor) as stream:
            stream.write(content)
        whole = True
    except OSError as error:
        raise StoreError(
            f"No temporary file could be written: {error.strerror or type(error).__name__}. "
            "Free some space, or name a place to write to."
        ) from None
    finally:
        if name and not whole:
            Path(name).unlink(missing_ok=True)
    return Path(name)


def folder_for_writing(path: str | os.PathLike[str]) -> Path:
    """A folder that files can be written into, made if it is not there.

    It is tried out: only that tells whether a network's folder, or a full disk, takes a file. As in `write`,
    what writers that were killed left half-done is removed along the way.

    Raises:
        StoreError: It cannot be made or have this name, or takes no file.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder_for_writing(pathlib.Path(name) / "new" / "folder").is_dir()
    True
    """
    folder = new_place(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The output folder could not be made: {error.strerror or type(error).__name__}. "
            "Name another one."
        ) from None
    _sweep(folder)
    try:
        with _unfinished(folder):
            pass
    except OSError as error:
        raise StoreError(
            f"The output folder cannot be written to: {error.strerror or type(error).__name__}. "
            "Name another one."
        ) from None
    return folder


def hold(path: Path) -> BinaryIO | None:
    """Lock a file that is there, until it is closed or this process ends, however it ends.

    Returns:
        The open file, locked where the system can lock; None where the file has gone.
    """
    try:
        stream = path.open("rb+")
    except FileNotFoundError:
        return None
    _lock(stream.fileno(), wait=True)
    return stream


def is_held(path: Path) -> bool | None:
    """Whether somebody holds a file by `hold`; None where that cannot be told."""
    try:
        with path.open("rb+") as stream:
            locked = _lock(stream.fileno())
    except OSError:
        return None
    if locked is None:
        return None
    return not locked


def now_in(folder: Path) -> float:
    """The time by the clock of whatever disk or server a folder lies on, in seconds, as of files' times.

    Raises:
        StoreError: The folder takes no file.
    """
    try:
        with _unfinished(folder) as (part, _):
            return part.stat().st_mtime
    except OSError as error:
        raise StoreError(
            f"The folder cannot be written to: {error.strerror or type(error).__name__}. Name another one."
        ) from None


def remove(*paths: Path) -> None:
    """Remove files that nobody needs; what has gone already, or cannot be removed, is passed over."""
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def slug(text: str, *, most: int = 60, unnamed: str = "unnamed") -> str:
    """A part of a file name that any system accepts: ASCII letters, digits and hyphens.

    Different texts may give the same; whoever needs different names adds what tells them apart.

    Args:
        text: Anything at all.
        most: How many characters may be kept.
        unnamed: What stands for a text that has no such letter or digit.

    >>> slug("Where is the nodule?"), slug("Müller, 2nd CT"), slug("con"), slug("???")
    ('where-is-the-nodule', 'muller-2nd-ct', 'con-file', 'unnamed')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    short = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:most].strip("-") or unnamed
    return f"{short}-file" if short in _RESERVED else short


def _refuse_unsafe(target: Path, overwrite: bool) -> None:
    if target.is_symlink() or target.is_dir():
        raise StoreError("The target is a link or a folder, not a file. Choose another name.")
    if not target.parent.is_dir():
        raise StoreError("The folder to write into does not exist. Make it first.")
    if target.exists() and not overwrite:
        raise _taken()


def _taken() -> StoreError:
    return StoreError("A file of that name exists. Choose another name, or pass overwrite=True.")


@contextmanager
def _unfinished(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file in `folder`, locked; in the end it is removed, unless it was moved away."""
    while True:
        descriptor, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_SUFFIX, dir=folder)
        part = Path(name)
        try:
            with _stream(descriptor) as stream:
                # Whoever sweeps at this very moment may have had the lock first, and removed the file.
                _lock(descriptor, wait=True)
                if part.exists():
                    yield part, stream
                    return
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _stream(descriptor: int) -> Iterator[BinaryIO]:
    try:
        stream = os.fdopen(descriptor, "wb")
    except BaseException:
        os.close(descriptor)
        raise
    with stream:
        yield stream


def _place(part: Path, target: Path) -> None:
    """Give a finished file its name, unless there is a file of that name, even one made this instant.

    Raises:
        FileExistsError: There is one.
    """
    try:
        target.hardlink_to(part)
    except FileExistsError:
        # A network's server that answers late may count its own success as somebody else's.
        if not target.samefile(part):
            raise
    except (OSError, NotImplementedError):
        # No hard links here, as on a memory stick: the name is taken by an empty file, and then filled.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            part.replace(target)
        except BaseException:
            target.unlink()
            raise


def _sweep(folder: Path) -> None:
    """Remove what killed writers left; what cannot be removed does not stop the one who writes now."""
    with suppress(OSError):
        for part in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            with suppress(OSError):
                _remove_if_abandoned(part)


def _remove_if_abandoned(part: Path) -> None:
    untouched = time.time() - part.lstat().st_mtime
    if untouched < QUIET_SECONDS:
        return
    if fcntl is None:
        if untouched > STALE_SECONDS:
            part.unlink()
        return
    # Neither a link is followed nor a pipe waited for; and a lock on a network's file needs it writable.
    special = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(part, os.O_RDWR | special)
    try:
        locked = _lock(descriptor)
        # Removed while it is locked, so that nobody begins to write it in between.
        if locked or (locked is None and untouched > STALE_SECONDS):
            part.unlink()
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, wait: bool = False) -> bool | None:
    """Lock an open file until it is closed: False where somebody else has it, None where nobody can."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
