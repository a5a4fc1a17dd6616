"""The loop of every worker: claim a shard, compute it, commit it; then the scores, in the same way.

However many workers there are, and however they end: a shard is claimed by one of them, and one that dies
leaves nothing but its claim.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from groundviz.errors import OptionError
from groundviz.evaluation.cases.commits import commit, is_whole, kept, reopen
from groundviz.evaluation.cases.covered import Covering
from groundviz.evaluation.cases.outcome import Outcome
from groundviz.evaluation.cases.scoring import Scoring
from groundviz.evaluation.storage.layout import Layout
from groundviz.evaluation.storage.leases import TTL_SECONDS, Leases
from groundviz.record import files

# Between two looks at what others are at.
_PATIENCE_SECONDS = 0.5


# The stages of a run, as claims and progress name them.
EXPLAIN, SCORES, CURVES = "explain", "scores", "curves"
# Called after each sample, with its status.
Tell = Callable[[str], object]


class Computing(Protocol):
    """What computes shards: a model and a data set at hand."""

    def shard(self, number: int, tell: Tell, kept: Mapping[str, Outcome]) -> list[Outcome]:
        """All samples of a shard, one after the other; `tell` is called with the status of each.

        Those that are `kept`, by their ids, are not computed again.
        """


class Committing(Protocol):
    """What makes the curves of shards, and writes them."""

    @property
    def asked(self) -> Covering:
        """How images are covered."""

    def commit(self, shard: int, tell: Tell) -> None:
        """All samples of a shard, one after the other; `tell` is called with the status of each."""

    def is_whole(self, shard: int) -> bool:
        """Whether the curves of a shard are there, whole, and of what has been explained."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the work on every shard.

    Attributes:
        name: Of its claims, and for progress.
        there: The shards for which something was written.
        is_whole: Whether that is all there, and as it was written.
        compute: Does it for one shard, and writes what comes of it.
        divided: Whether a worker that has a part of the shards does it for these alone.
    """

    name: str
    there: Callable[[], set[int]]
    is_whole: Callable[[int], bool]
    compute: Callable[[int, Tell], None]
    divided: bool = True


class Watcher(Protocol):
    """Who is told how far the work has come."""

    def begin(self, what: str, done: int, total: int) -> None:
        """A part of the work begins, of which so many samples are done already."""

    def advance(self, statuses: Sequence[str]) -> None:
        """Some samples are done."""


@dataclass(slots=True)
class Work:
    """The shards of one run, as one worker sees them.

    Attributes:
        layout: The run.
        leases: The claims.
        sizes: The number of samples of each shard.
        watcher: Who is told.
        first: Where this worker begins: workers that begin in different places meet late.
        chosen: The shards that this worker may compute; all when None.
    """

    layout: Layout
    leases: Leases
    sizes: Sequence[int]
    watcher: Watcher
    first: int = 0
    chosen: frozenset[int] | None = None
    _whole: dict[str, set[int]] = field(default_factory=dict)

    def do(self, stage: Stage) -> None:
        """Compute the shards of a stage that nobody has computed, and wait for those that others are at.

        Raises:
            KeyboardInterrupt: Ctrl-C; the shard under way is lost, and no other.
        """
        self._each(stage, self._mine() if stage.divided else range(len(self.sizes)))

    def one(self, shard: int, stage: Stage) -> list[str] | None:
        """Compute one shard; the statuses of its samples, or None where somebody else is at it."""
        if self._is_done(stage, shard):
            return ["ok"] * self.sizes[shard]
        statuses: list[str] = []
        if self._claimed(stage, shard, statuses.append):
            return statuses
        return None

    def explaining(self, session: Computing) -> Stage:
        """The stage in which the model is asked."""

        def compute(shard: int, tell: Tell) -> None:
            commit(self.layout, shard, session.shard(shard, tell, kept(self.layout, shard)))

        return Stage(EXPLAIN, self.layout.explained, self._is_explained, compute)

    def covering(self, curving: Committing) -> Stage:
        """The stage in which images are covered; what is not explained cannot be covered."""
        name = curving.asked.hash
        return Stage(f"{CURVES}-{name}", partial(self.layout.covered, name), curving.is_whole, curving.commit)

    def scoring(self, scoring: Scoring) -> Stage:
        """The stage in which maps and answers are scored."""

        def compute(shard: int, tell: Tell) -> None:
            scoring.commit(shard)
            for _ in range(self.sizes[shard]):
                tell("ok")

        name, there = scoring.evaluation.hash, self.layout.scored
        # Whoever comes last scores what others have explained, too.
        return Stage(f"{SCORES}-{name}", partial(there, name), scoring.is_whole, compute, divided=False)

    def reopen(self) -> None:
        """Let samples that failed be computed again, unless somebody is at the run."""
        if not self.leases.held():
            for shard in self.layout.explained():
                reopen(self.layout, shard)

    @property
    def all_explained(self) -> bool:
        """Whether every shard has been explained."""
        return len(self.explained()) == len(self.sizes)

    def explained(self) -> set[int]:
        """The shards whose maps are whole; each is read once by each worker."""
        return self._known(EXPLAIN, self.layout.explained(), self._is_explained)

    def done(self, stage: Stage) -> set[int]:
        """The shards for which a stage is done; each is read once by each worker."""
        return self._known(stage.name, stage.there(), stage.is_whole)

    def _is_done(self, stage: Stage, shard: int) -> bool:
        return shard in self._known(stage.name, [shard], stage.is_whole)

    def _is_explained(self, shard: int) -> bool:
        return is_whole(self.layout, shard)

    def _known(self, what: str, there: Iterable[int], whole: Callable[[int], bool]) -> set[int]:
        known = self._whole.setdefault(what, set())
        for shard in set(there) - known:
            if shard < len(self.sizes) and whole(shard):
                known.add(shard)
        return set(known)

    def _each(self, stage: Stage, mine: Sequence[int]) -> None:
        """Shard after shard that nobody has done, each claimed while it is worked on, until all are done."""
        seen = self.done(stage).intersection(mine)
        self.watcher.begin(stage.name, self._samples(seen), self._samples(mine))
        while left := [shard for shard in mine if shard not in seen]:
            computed = {shard for shard in left if self._claimed(stage, shard, self._tell)}
            now = self.done(stage).intersection(mine)
            self.watcher.advance(["ok"] * self._samples(now - seen - computed))
            seen = now
            if not computed and len(seen) < len(mine):
                time.sleep(_PATIENCE_SECONDS)

    def _tell(self, status: str) -> None:
        self.watcher.advance([status])

    def _claimed(self, stage: Stage, shard: int, tell: Tell) -> bool:
        """Compute a shard, unless somebody else is at it or has done it meanwhile."""
        lease = self.leases.claim(f"{stage.name}-{shard:05d}")
        if lease is None:
            return False
        with lease:
            if self._is_done(stage, shard):
                return False
            stage.compute(shard, tell)
        return True

    def _mine(self) -> list[int]:
        """The shards of this worker, in the order in which it comes to them."""
        count = len(self.sizes)
        order = [(self.first + step) % count for step in range(count)]
        return [shard for shard in order if self.chosen is None or shard in self.chosen]

    def _samples(self, shards: Iterable[int]) -> int:
        return sum(self.sizes[shard] for shard in shards)


def of(
    layout: Layout,
    planned: list[dict[str, Any]],
    watcher: Watcher,
    *,
    chunk: tuple[int, int] | None = None,
    ttl: float = TTL_SECONDS,
) -> Work:
    """The shards of a run, for one worker.

    Args:
        layout: The run.
        planned: Rows of its plan.
        watcher: Who is told of progress.
        chunk: The number of this worker's part, from 0, and of all parts; every shard when None.
        ttl: Seconds without a sign of life after which a worker on another computer is taken for dead.
    """
    sizes = Counter(row["shard"] for row in planned)
    chosen, first = None, 0
    if chunk is not None:
        index, parts = chunk
        if not 0 <= index < parts:
            raise OptionError(
                f"There is no part {index} of {parts}: parts are counted from 0. Give 0 to {parts - 1}."
            )
        chosen = frozenset(shard for shard in sizes if shard % parts == index)
    leases = Leases(files.folder_for_writing(layout.leases), ttl=ttl)
    if chosen is None:
        # Workers that start together begin in different places.
        first = int(leases.worker, 16) % len(sizes) if layout.explained() else 0
    ordered = [sizes[shard] for shard in range(len(sizes))]
    return Work(layout, leases, ordered, watcher, first=first, chosen=chosen)
