"""Locks in a process that was just forked."""

import os
import sys
import threading
import types

import pytest

from groundviz.forking import fork_safe_lock, free_locks

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")


def in_a_fork(work):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if work() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def held_elsewhere(lock):
    """Another thread that holds a lock until it is told to let go."""
    held, end = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            end.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(5)
    return thread, end


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("own", [True, False])
def test_a_lock_that_another_thread_holds_is_free_in_a_fork(own, monkeypatch):
    lock = fork_safe_lock() if own else threading.Lock()
    module = types.ModuleType("somebodys.library")
    module.lock = lock
    monkeypatch.setitem(sys.modules, module.__name__, module)
    thread, end = held_elsewhere(lock)

    def free():
        if not own:
            free_locks("somebodys")
        return lock.acquire(timeout=2)

    assert in_a_fork(free) == 0
    assert not lock.acquire(blocking=False)
    end.set()
    thread.join(5)


def test_locks_of_others_stay_as_they_are():
    lock = threading.Lock()
    module = types.ModuleType("another.library")
    module.lock = lock
    with lock:
        free_locks("somebodys")
        assert lock.locked()
