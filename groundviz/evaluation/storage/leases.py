"""Who computes which shard: exclusive claims in files, taken over when their holder is dead.

A claim is a file that can be made once. Whoever takes over makes the file of the next generation, which
can be made once, too, so nothing is renamed or removed that another worker may believe in. A worker that was
taken for dead and wakes up computes the same bytes once more, and no harm is done.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from groundviz.errors import StoreError
from groundviz.evaluation.storage.keys import sha256_of
from groundviz.record import files

# A lease that nobody touched for so long is taken over; its holder touches it ten times as often.
TTL_SECONDS = 600.0
# Between the making of a lease and the lock on it.
_YOUNG_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Leases:
    """The claims of one run.

    Attributes:
        folder: Where they lie.
        ttl: Seconds without a sign of life after which a holder on another computer is taken for dead.
        worker: A random name of this worker.
    """

    folder: Path
    ttl: float = TTL_SECONDS
    worker: str = field(default_factory=lambda: secrets.token_hex(4))
    # Files of times that are yet to come: the time, and when this was seen.
    _ahead: dict[Path, tuple[float, float]] = field(default_factory=dict, repr=False, compare=False)

    def claim(self, name: str) -> Lease | None:
        """Claim a piece of work; None where somebody else has it.

        Raises:
            StoreError: The disk refused.
        """
        held = self._generations(name)
        if held and self._is_alive(held[max(held)]):
            return None
        generation = max(held, default=-1) + 1
        path = self.folder / f"{name}.{generation}.lease"
        try:
            files.write(path, self._says(), overwrite=False)
        except StoreError:
            if path.exists():
                return None
            raise
        lock = files.hold(path)
        if lock is None:
            return None
        return Lease(path, tuple(held.values()), lock, self.ttl)

    def held(self) -> list[str]:
        """The names of all pieces of work that somebody is at."""
        names = {path.name.rsplit(".", 2)[0] for path in self.folder.glob("*.lease")}
        alive = []
        for name in sorted(names):
            generations = self._generations(name)
            if generations and self._is_alive(generations[max(generations)]):
                alive.append(name)
        return alive

    def _says(self) -> bytes:
        return json.dumps({"worker": self.worker, "process": os.getpid(), "computer": _computer()}).encode()

    def _generations(self, name: str) -> dict[int, Path]:
        found = {}
        for path in self.folder.glob(f"{name}.*.lease"):
            number = path.name.rsplit(".", 2)[1]
            if number.isdecimal():
                found[int(number)] = path
        return found

    def _untouched(self, path: Path) -> float:
        """Seconds since the last sign of life."""
        touched = path.stat().st_mtime
        # The file server's clock, against which its times are.
        untouched = files.now_in(self.folder) - touched
        if untouched >= 0:
            return untouched
        # A clock that was wrong, and may have been put right since: what counts is when it was seen first.
        seen, since = self._ahead.get(path, (touched, time.monotonic()))
        if seen != touched:
            since = time.monotonic()
        self._ahead[path] = touched, since
        return time.monotonic() - since

    def _is_alive(self, path: Path) -> bool:
        try:
            untouched = self._untouched(path)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        if untouched > self.ttl:
            return False
        # One that cannot be read may be being written; it is as old as its file.
        computer, process = _holder(path)
        if computer != _computer():
            return True
        if not _runs(process):
            return False
        # The process may be another one of the same number, or the same one that let go.
        return files.is_held(path) is not False or untouched < _YOUNG_SECONDS


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim that this worker holds; in a `with` block it is kept alive, and given back in the end.

    Attributes:
        path: Its file.
        older: The files of dead holders.
        lock: The open file, locked.
        ttl: As in `Leases`.
    """

    path: Path
    older: tuple[Path, ...]
    lock: BinaryIO
    ttl: float
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Lease:
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        files.remove(self.path, *self.older)
        self.lock.close()

    def _beat(self) -> None:
        while not self._over.wait(self.ttl / 10):
            with suppress(OSError):
                os.utime(self.path)


def _computer() -> str:
    """A name for this computer that does not tell which one it is."""
    return sha256_of(platform.node().encode())[:16]


def _holder(path: Path) -> tuple[str, int]:
    """The computer and the process that hold a lease; empty and 0 where the file does not say."""
    try:
        says = json.loads(path.read_text("utf-8"))
        return str(says["computer"]), int(says["process"])
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return "", 0


def _runs(process: int) -> bool:
    """Whether a process of that number runs on this computer."""
    if process <= 0:
        return False
    if sys.platform == "win32":
        # There a signal of this number would end it. Its silence tells.
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # It is somebody else's.
        return True
    return True
