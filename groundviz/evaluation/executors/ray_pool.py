"""Workers of a Ray cluster: actors, each with a model of its own, and a pool that loses nothing.

Ray is asked to start an actor again that died, and never to repeat a task: the pool puts the shard back into
its own queue, gives the actor nothing until it answers again, and meanwhile the others take the shard. What
an actor writes lies in the run's folder, as with every other executor: only numbers go through Ray.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from groundviz.errors import MissingExtra, OptionError, StoreError
from groundviz.evaluation.executors.shards import Stage, Work

# A shard whose worker died so often is left until the others are done, and then given up.
MOST_DEATHS = 4
# A shard that somebody outside is at is asked for again after so many seconds.
_PATIENCE_SECONDS = 1.0

# Opens a run where an actor lives: its shards, the stages, and a block in which it computes.
Open = Callable[[str], tuple[Work, Sequence[Stage], AbstractContextManager[None]]]


def compute(work: Work, stages: Sequence[Stage], run: str, count: int, open_run: Open, *, cpus: int) -> None:
    """Let actors compute all shards of a run, stage after stage.

    A cluster that this process is connected to, or that RAY_ADDRESS names, is used; else one is started on
    this machine, and ended again.

    Args:
        work: The run, as this process sees it.
        stages: As this process sees them; they are computed where the actors live.
        run: Its folder, which all machines of the cluster must see.
        count: How many actors.
        open_run: Opens the run in an actor.
        cpus: How many threads each computes with.

    Raises:
        MissingExtra: Ray is not installed.
        StoreError: Some shards could not be computed: their workers died each time.
    """
    ray = library()
    with _cluster(ray, count * cpus):
        pool = _Pool(ray, work, _actors(ray, run, count, open_run, cpus))
        try:
            for stage in stages:
                pool.run(stage)
        finally:
            pool.end()
    if pool.given_up:
        listed = ", ".join(map(str, sorted(pool.given_up)[:8]))
        raise StoreError(
            f"{len(pool.given_up)} of {len(work.sizes)} shards were given up, since their workers died "
            f"{MOST_DEATHS} times each: {listed}. The others are kept. Memory that runs out is the usual "
            "reason; start the same evaluation again with fewer workers."
        )


@dataclass(slots=True)
class _Pool:
    """The actors, and what each of them is at."""

    ray: Any
    work: Work
    actors: list[Any]
    given_up: set[int] = field(default_factory=set)
    _stage: str = ""
    _tasks: dict[Any, tuple[Any, int]] = field(default_factory=dict)
    _waking: dict[Any, Any] = field(default_factory=dict)
    _deaths: Counter[int] = field(default_factory=Counter)

    def run(self, stage: Stage) -> None:
        """Hand out the shards of a stage until all are done or given up."""
        done = self.work.done(stage) | self.given_up
        self._stage = stage.name
        queue = deque(shard for shard in range(len(self.work.sizes)) if shard not in done)
        self.work.watcher.begin(
            stage.name, sum(self.work.sizes[shard] for shard in done), sum(self.work.sizes)
        )
        for actor in self.actors:
            # Its model is being loaded, or it rests: it gets work when it answers.
            if actor not in self._waking.values():
                self._waking[actor.awake.remote()] = actor
        while queue or self._tasks:
            ready, _ = self.ray.wait([*self._tasks, *self._waking], num_returns=1, timeout=_PATIENCE_SECONDS)
            for reference in ready:
                self._settle(reference, queue)

    def end(self) -> None:
        """Let go of the actors."""
        for actor in self.actors:
            self.ray.kill(actor)

    def _settle(self, reference: Any, queue: deque[int]) -> None:
        """Take what came of a task, or of a call to wake up, and give its actor the next shard."""
        if reference in self._waking:
            actor, shard = self._waking.pop(reference), None
        else:
            actor, shard = self._tasks.pop(reference)
        try:
            found = self.ray.get(reference)
        except self.ray.exceptions.RayActorError:
            self._died(actor, shard, queue)
            return
        except self.ray.exceptions.RayTaskError as error:
            # An error of ours, such as a full disk, comes as it would have come here.
            raise error.cause from None
        if shard is not None:
            self._done(shard, found, queue)
        self._next(actor, queue)

    def _done(self, shard: int, statuses: list[str] | None, queue: deque[int]) -> None:
        if statuses is None:
            # Somebody outside the cluster is at it.
            queue.append(shard)
        else:
            self.work.watcher.advance(statuses)

    def _died(self, actor: Any, shard: int | None, queue: deque[int]) -> None:
        if shard is not None:
            self._deaths[shard] += 1
            if self._deaths[shard] < MOST_DEATHS:
                queue.append(shard)
            else:
                self.given_up.add(shard)
        # This call alone waits until Ray has started it again.
        self._waking[actor.awake.options(max_task_retries=-1).remote()] = actor

    def _next(self, actor: Any, queue: deque[int]) -> None:
        if queue:
            shard = queue.popleft()
            self._tasks[actor.shard.remote(shard, self._stage)] = (actor, shard)
        elif self._tasks:
            # It may be needed yet: another one may die.
            self._waking[actor.rest.remote(_PATIENCE_SECONDS)] = actor


def _actors(ray: Any, run: str, count: int, open_run: Open, cpus: int) -> list[Any]:
    resources = ray.cluster_resources()
    share = resources.get("CPU", 1.0) / count
    gpus = min(1.0, resources.get("GPU", 0.0) / count)
    # As many as there are, where there are too few: an actor that gets none would wait for ever.
    cls = ray.remote(num_cpus=min(float(cpus), share), num_gpus=gpus, max_restarts=-1, max_task_retries=0)(
        _Worker
    )
    return [cls.remote(run, open_run) for _ in range(count)]


class _Worker:
    """One actor: a model, a data set, and a run."""

    def __init__(self, run: str, open_run: Open) -> None:
        self._work, stages, self._computing = open_run(run)
        self._stages = {stage.name: stage for stage in stages}

    def awake(self) -> None:
        """Answer, once the model has been loaded."""

    def process(self) -> int:
        """The number of its process."""
        return os.getpid()

    def rest(self, seconds: float) -> None:
        """Do nothing for a while."""
        import time

        time.sleep(seconds)

    def shard(self, number: int, stage: str) -> list[str] | None:
        """Do a stage for a shard; the statuses of its samples, or None where somebody else is at it."""
        with self._computing:
            return self._work.one(number, self._stages[stage])


@contextmanager
def _cluster(ray: Any, cpus: int) -> Iterator[None]:
    """A cluster: the one at hand, or one of this machine for the time of the block."""
    if ray.is_initialized():
        yield
        return
    settings: dict[str, Any] = {
        "address": os.environ.get("RAY_ADDRESS"),
        "log_to_driver": False,
        "logging_level": logging.ERROR,
    }
    if settings["address"] is None:
        # Paths of sockets may have 107 characters.
        folder = tempfile.gettempdir() if len(tempfile.gettempdir()) < 30 else "/tmp"  # noqa: S108
        settings |= {"num_cpus": cpus, "include_dashboard": False, "_temp_dir": f"{folder}/groundviz-ray"}
    try:
        ray.init(**settings)
    except Exception as error:
        # On a busy machine it takes longer to start than the time that it allows itself.
        raise OptionError(
            f"Ray did not start here, or could not be reached ({type(error).__name__}). Start a cluster with "
            "`ray start --head` and set RAY_ADDRESS=auto, or use executor='shards', which needs nothing."
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def library() -> Any:
    """Ray.

    Raises:
        MissingExtra: It is not installed.
    """
    # Ray reports how it is used to its makers unless told otherwise.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # The next release leaves an actor that asks for no accelerator its view of them; so does this one, then.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise MissingExtra(
            "The executor 'ray' needs Ray, which is not installed. Run: pip install \"groundviz[ray]\", "
            "or use executor='shards', which needs nothing."
        ) from None
    return ray
