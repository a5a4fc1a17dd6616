"""Writing to disk: whole files or none, under safe names. Nothing else opens a file for writing."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from groundviz.errors import StoreError

_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


def write(path: str | os.PathLike[str], content: bytes, *, overwrite: bool = True) -> Path:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part.

    Raises:
        StoreError: The folder does not exist, the target is a link or a folder, it exists and
            `overwrite` is False, or the disk refused.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(pathlib.Path(folder) / "note.txt", b"whole").read_bytes()
    b'whole'
    """
    target = Path(path)
    _refuse_unsafe(target, overwrite)
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".groundviz-", suffix=".part", dir=target.parent)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(target)
    except OSError as error:
        raise StoreError(
            f"The file could not be written: {error.strerror or type(error).__name__}. "
            "Nothing was changed; free some space or choose another place."
        ) from None
    finally:
        if temporary is not None:
            with suppress(FileNotFoundError):
                Path(temporary).unlink()
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
    try:
        descriptor, name = tempfile.mkstemp(prefix="groundviz-", suffix=suffix)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
    except OSError as error:
        raise StoreError(
            f"No temporary file could be written: {error.strerror or type(error).__name__}. "
            "Free some space, or name a place to write to."
        ) from None
    return Path(name)


def safe_name(text: str) -> str:
    """An ASCII file name that any system accepts, different for different texts.

    >>> safe_name("Where is the nodule?")
    'where-is-the-nodule-9bf55e2b'
    """
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-") or "unnamed"
    if slug in _RESERVED:
        slug = f"{slug}-file"
    return f"{slug}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _refuse_unsafe(target: Path, overwrite: bool) -> None:
    if target.is_symlink() or target.is_dir():
        raise StoreError("The target is a link or a folder, not a file. Choose another name.")
    if not target.parent.is_dir():
        raise StoreError("The folder to write into does not exist. Make it first.")
    if target.exists() and not overwrite:
        raise StoreError("A file of that name exists. Choose another name, or pass overwrite=True.")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
