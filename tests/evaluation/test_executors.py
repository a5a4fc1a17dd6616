"""Actors of Ray and processes write the same tables as this process, and one that dies loses nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from groundviz.evaluation import Run, work_on
from groundviz.evaluation.executors import ray_pool
from tests.support.runs import small, tables_of

pytestmark = [pytest.mark.wide, pytest.mark.timeout(1200)]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    # An address of a cluster elsewhere is no matter of tests.
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.fspath(Path(__file__).parents[2]))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_actors_write_the_same_and_one_that_dies_loses_nothing(
    tmp_path: Path, cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes: list[int] = []
    killed: list[int] = []
    settle = ray_pool._Pool._settle

    def deadly(self: Any, reference: Any, queue: Any) -> None:
        if not processes:
            processes.extend(self.ray.get([actor.process.remote() for actor in self.actors]))
        settle(self, reference, queue)
        # One of two actors dies once, while both work.
        if not killed and len(self._tasks) == 2:
            killed.append(processes[0])
            os.kill(processes[0], signal.SIGKILL)

    monkeypatch.setattr(ray_pool._Pool, "_settle", deadly)
    by_actors = small(tmp_path / "ray", executor="ray", workers=2, shard_size=1, curves=["blur"])
    assert killed
    assert by_actors.status().done
    here = small(tmp_path / "local", shard_size=1, curves=["blur"])
    assert tables_of(by_actors.path) == tables_of(here.path)


def test_processes_write_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.fspath(Path(__file__).parents[2]))
    by_processes = small(tmp_path / "shards", executor="shards", workers=2, curves=["blur"])
    assert by_processes.status().done
    assert tables_of(by_processes.path) == tables_of(small(tmp_path / "local", curves=["blur"]).path)
    # Another way to score is computed by whoever comes next.
    small(tmp_path / "shards", executor="shards", workers=0, metrics=["auroc"])
    work_on(tmp_path / "shards", progress=False)
    assert set(Run(tmp_path / "shards").scores()["metric"]) == {"auroc"}
