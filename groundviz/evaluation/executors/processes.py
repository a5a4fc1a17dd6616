"""Workers of this machine: processes of their own, which share one run through its folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from groundviz.errors import StoreError
from groundviz.evaluation.executors.shards import CURVES, EXPLAIN, SCORES, Work

# Between two looks at what the workers have done.
_GLANCE_SECONDS = 0.5
# After Ctrl-C, until a worker is ended that does not end by itself.
_PATIENCE_SECONDS = 20.0

Process = subprocess.Popen[bytes]


def share(work: Work, evaluation: str, count: int, *, coverings: Sequence[str] = ()) -> None:
    """Let workers compute a run, and tell how far they come; they end with this process, if not before.

    Each is `groundviz worker RUN`. One that dies is not replaced: the others take over its shard.

    Args:
        work: The run, as this process sees it.
        evaluation: The hash of how is scored.
        count: How many workers.
        coverings: The hashes of how images are covered.

    Raises:
        StoreError: All of them ended before the run was done; standard error tells why.
    """
    stages: dict[str, Callable[[], set[int]]] = {
        EXPLAIN: work.layout.explained,
        **{f"{CURVES}-{name}": partial(work.layout.covered, name) for name in coverings},
        f"{SCORES}-{evaluation}": partial(work.layout.scored, evaluation),
    }
    started = [_started(work.layout.root, number) for number in range(count)]
    try:
        for name, done in stages.items():
            _follow(work, name, done, started)
        for one in started:
            one.wait()
    finally:
        _end(started)
    if any(len(done()) < len(work.sizes) for done in stages.values()):
        codes = ", ".join(str(one.returncode) for one in started)
        raise StoreError(
            f"The {count} workers ended before the run was done, with exit codes {codes}. "
            "Standard error tells why. Start the same evaluation again when that is mended: nothing is lost."
        )


def _started(run: Path, number: int) -> Process:
    # Each takes the accelerator of its number, as under torchrun.
    surroundings = {**os.environ, "LOCAL_RANK": str(number)}
    command = [sys.executable, "-m", "groundviz", "worker", os.fspath(run), "--quiet"]
    return subprocess.Popen(command, env=surroundings)  # noqa: S603


def _follow(work: Work, what: str, done: Callable[[], set[int]], started: list[Process]) -> None:
    """Tell how far a part of the work has come, until it is done or no worker is left."""
    seen: set[int] = set()
    work.watcher.begin(what, 0, sum(work.sizes))
    while len(seen) < len(work.sizes):
        over = all(one.poll() is not None for one in started)
        now = done()
        work.watcher.advance(["ok"] * sum(work.sizes[shard] for shard in now - seen))
        seen = now
        if over:
            return
        time.sleep(_GLANCE_SECONDS)


def _end(started: list[Process]) -> None:
    for one in started:
        if one.poll() is None:
            one.terminate()
    for one in started:
        with suppress(subprocess.TimeoutExpired):
            one.wait(_PATIENCE_SECONDS)
        if one.poll() is None:
            one.kill()
            one.wait()
