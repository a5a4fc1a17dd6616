"""One piece of work in a thread of its own, which tells how far it has come and can be stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from groundviz.errors import GroundvizError

# Called with what is being done, how many steps of it are done, and of how many; 0 of 0 for no count.
Tell = Callable[[str, int, int], object]

PAUSE_SECONDS = 0.1
_LOG = logging.getLogger(__name__)


class Errand:
    """Work that has begun in a thread of its own.

    Args:
        what: What is worked at, for sentences and the thread's name.
        work: Called with a `Tell`, through which it is stopped, too: it raises KeyboardInterrupt,
            once for each `stop`, so the work does what it does after Ctrl-C.
        keeps: What is left after a stop that came late enough, for a sentence.
        show: Called with how far it has come, at most ten times a second.
        done: Called at the end with what the work returned and a sentence to be read by the user, or "";
            or with None and the error, in which case the sentence says what went wrong.
    """

    def __init__(
        self,
        what: str,
        work: Callable[[Tell], Any],
        *,
        keeps: str = "its maps rest",
        show: Tell,
        done: Callable[[Any, str, BaseException | None], object],
    ) -> None:
        self._what, self._work, self._show, self._done = what, work, show, done
        self._keeps = keeps
        self._stopping = threading.Event()
        self._cut: tuple[int, int] | None = None
        self._shown = 0.0
        # A daemon, for a process that ends need not wait for maps that nobody will see.
        self._thread = threading.Thread(target=self._run, name=f"groundviz: {what}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Have it end where it is; what was computed until then is kept."""
        self._stopping.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until it is over; false if it is not after so many seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            found = self._work(self._tell)
        except KeyboardInterrupt as stopped:
            self._done(None, f"{self._what} was stopped before anything was measured.", stopped)
        except GroundvizError as refused:
            self._done(None, str(refused), refused)
        except Exception as failed:
            _LOG.exception("%s failed.", self._what)
            self._done(None, f"{self._what} failed: {type(failed).__name__}: {failed}", failed)
        else:
            self._done(found, self._shortfall(), None)

    def _tell(self, doing: str, done: int, total: int) -> None:
        if self._stopping.is_set():
            self._stopping.clear()
            self._cut = (done, total)
            raise KeyboardInterrupt
        now = time.monotonic()
        if now - self._shown >= PAUSE_SECONDS:
            self._shown = now
            self._show(doing, done, total)

    def _shortfall(self) -> str:
        """What is missing after a stop that left something."""
        if self._cut is None:
            return ""
        done, total = self._cut
        return f"{self._what} was stopped: {self._keeps} on {done} of {total} steps."
