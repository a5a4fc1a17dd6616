"""What must happen in a process that was just forked, where threads are gone and what they held is not."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

# What is done in a forked process: locks first, since what is called may need them.
_LOCKS: list[Any] = []
_CALLS: list[Callable[[], object]] = []


def after_fork(call: Callable[[], object]) -> None:
    """Have `call()` run in each forked process before anything else of this package does.

    Where processes are never forked, as on Windows, nothing happens.
    """
    _CALLS.append(call)


def _after() -> None:
    for lock in _LOCKS:
        lock._at_fork_reinit()
    for call in _CALLS:
        call()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after)


def free_locks(package: str) -> None:
    """Free the locks that modules of a package hold, in a forked process: their holders are gone.

    For a library that does not do so itself and was in use by a thread that this process does not have.
    """
    kinds = type(threading.Lock()), type(threading.RLock())
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == package:
            for value in list(vars(module).values()):
                if isinstance(value, kinds):
                    value._at_fork_reinit()  # type: ignore[union-attr]


def fork_safe_lock() -> threading.RLock:
    """A re-entrant lock that is free in a forked process, whoever held it in the other one.

    It is never forgotten, so it is for what lives as long as the process.

    >>> with fork_safe_lock():
    ...     pass
    """
    lock = threading.RLock()
    _LOCKS.append(lock)
    return lock
