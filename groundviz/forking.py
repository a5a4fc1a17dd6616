"""Repairs a process that was just forked: other threads are gone, but the locks they held are not free."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

# Locks to free and functions to call in a forked process: locks first, since the functions may need them.
_LOCKS: list[Any] = []
_CALLS: list[Callable[[], object]] = []


def after_fork(call: Callable[[], object]) -> None:
    """Run `call()` in each forked process, before any other code of this package.

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
    """Free the module-level locks of a package in a forked process, since their holders are gone.

    For a library that does not do this itself, and that another thread may have used during the fork.
    """
    kinds = type(threading.Lock()), type(threading.RLock())
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == package:
            for value in list(vars(module).values()):
                if isinstance(value, kinds):
                    value._at_fork_reinit()  # type: ignore[union-attr]


def fork_safe_lock() -> threading.RLock:
    """A re-entrant lock that is free in a forked process, whoever held it in the parent process.

    A reference to it is kept forever, so it is for objects that live as long as the process.

    >>> with fork_safe_lock():
    ...     pass
    """
    lock = threading.RLock()
    _LOCKS.append(lock)
    return lock
