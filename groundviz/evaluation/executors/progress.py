"""How far a run has come, on standard error: samples done, what failed, and the time left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any

_SAYS = {"explain": "Explaining", "scores": "Scoring", "curves": "Covering"}


class Bars:
    """A bar for each part of the work."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._failed: Counter[str] = Counter()

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def begin(self, what: str, done: int, total: int) -> None:
        """A part of the work begins, of which so many samples are done already."""
        from tqdm import tqdm

        self._close()
        says = _SAYS.get(what.partition("-")[0], what)
        self._bar = tqdm(desc=says, initial=done, total=total, unit="sample", leave=False)

    def advance(self, statuses: Sequence[str]) -> None:
        """Some samples are done."""
        failed = [status for status in statuses if status != "ok"]
        if failed:
            self._failed.update(failed)
            self._bar.set_postfix(self._failed)
        self._bar.update(len(statuses))

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class Unwatched:
    """Nobody is told."""

    def begin(self, what: str, done: int, total: int) -> None:
        """Pass over it."""

    def advance(self, statuses: Sequence[str]) -> None:
        """Pass over it."""
