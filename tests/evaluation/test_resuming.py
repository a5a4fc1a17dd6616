"""However a run ends, the next call finishes it, and its tables are the same to the byte."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from groundviz import datasets
from groundviz.errors import DataError, ImageError, MissingExtra, StoreError
from groundviz.evaluation import Run, work_on
from groundviz.evaluation.cases.session import Session
from groundviz.evaluation.storage import leases
from groundviz.evaluation.storage.leases import Leases
from groundviz.record import files
from tests.support.runs import small, tables_of


class Killed(BaseException):
    """What no code of ours catches, as a signal that ends the process."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small(tmp_path_factory.mktemp("whole"))


def test_a_run_is_computed_once(whole: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tables_of(whole.path)
    monkeypatch.setattr(Session, "shard", None)
    assert tables_of(small(whole.path).path) == before


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the files that are written, in their order; nothing is killed."""
    written: list[str] = []
    write = files.write

    def noted(path: Path, content: bytes, **options: Any) -> Path:
        written.append(Path(path).parent.name + "/" + Path(path).name)
        return write(path, content, **options)

    monkeypatch.setattr(files, "write", noted)
    yield written


def test_the_index_of_a_shard_is_written_last(tmp_path: Path, commits: list[str]) -> None:
    small(tmp_path / "run", limit=2)
    shard = [name for name in commits if name.split("/")[0] in ("timings", "answers", "explain")]
    # Behind them come the scores.
    assert shard[:4] == [
        "timings/part-00000.parquet",
        "answers/part-00000.parquet",
        "explain/part-00000.safetensors",
        "explain/part-00000.parquet",
    ]


# Of a run of two shards there are 19 writes: manifest, plan and spec, then a lease and four files for each
# shard, and a lease and two files for the scores of each.
EACH = [pytest.param(number, marks=[] if number in (1, 7, 12) else pytest.mark.wide) for number in range(19)]


@pytest.mark.parametrize("number", EACH)
def test_a_process_that_dies_at_any_write_loses_nothing(
    tmp_path: Path, whole: Run, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    left, write = [number], files.write

    def dying(path: Path, content: bytes, **options: Any) -> Path:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return write(path, content, **options)

    with monkeypatch.context() as patched:
        patched.setattr(files, "write", dying)
        with pytest.raises(Killed):
            small(tmp_path / "run")
    assert tables_of(small(tmp_path / "run").path) == tables_of(whole.path)


@pytest.mark.parametrize("name", ["explain/part-00001.safetensors", "answers/part-00000.parquet"])
def test_damage_is_noticed_and_computed_again(tmp_path: Path, whole: Run, name: str) -> None:
    run = small(tmp_path / "run")
    content = bytearray((run.path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (run.path / name).write_bytes(content)
    assert tables_of(small(run.path).path) == tables_of(whole.path)


def test_damaged_scores_are_made_again_without_the_model(
    tmp_path: Path, whole: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = small(tmp_path / "run")
    (place,) = (run.path / "scores").glob("*/part-00001.parquet")
    place.write_bytes(place.read_bytes()[:-20])
    monkeypatch.setattr(Session, "shard", None)
    assert tables_of(small(run.path).path) == tables_of(whole.path)


def test_samples_that_failed_are_tried_once_more_and_the_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phantoms = datasets.load("phantoms", limit=4)
    bad, opened = phantoms.samples[1].image, []

    def image(name: str, missing: tuple[str, ...]) -> Any:
        if name in missing:
            raise DataError("The share is not mounted.")
        opened.append(name)
        return phantoms.image(next(one for one in phantoms.samples if one.image == name))

    def run(*missing: str, out: str = "run") -> Run:
        given = replace(phantoms, name="shared", opened=lambda name: image(name, missing))
        made = small(tmp_path / out, dataset=given, curves=["blur"], shard_size=4)
        assert made.status().done
        return made

    failed = run(bad)
    statuses = ["error" if one.image == bad else "ok" for one in phantoms.samples]
    before, whole = tables_of(failed.path), tables_of(run(out="whole").path)
    assert failed.answers()["status"] == statuses
    # Nothing that was done is lost while all is away.
    assert tables_of(run(*(one.image for one in phantoms.samples)).path) == before
    # Somebody who is at the run is left in peace.
    lease = Leases(failed.layout.leases).claim("scores-00000")
    assert lease is not None
    with lease:
        assert tables_of(run().path) == before
    opened.clear()
    assert tables_of(run().path) == whole
    assert bad in opened
    monkeypatch.setattr(Session, "shard", None)
    assert tables_of(run().path) == whole


def test_another_run_in_the_folder_is_refused_and_forked(tmp_path: Path, whole: Run) -> None:
    run = small(tmp_path / "run")
    with pytest.raises(StoreError, match=r"asked\.seed: 0, now 3"):
        small(run.path, seed=3)
    other = small(run.path, seed=3, fork=True)
    assert other.path == tmp_path / "run-2"
    assert small(run.path, seed=3, fork=True).path == other.path
    assert tables_of(run.path) == tables_of(whole.path)


def test_a_run_without_results_may_be_deleted(tmp_path: Path) -> None:
    place = small(tmp_path / "run", executor="shards", workers=0).path
    with pytest.raises(
        StoreError, match=r"which has no results yet.*Delete the folder if nobody works on it"
    ):
        small(place, methods="gradient_attention")


@pytest.mark.parametrize(("library", "settings"), [("pyarrow", {}), ("ray", {"executor": "ray"})])
def test_what_is_not_installed_is_noticed_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, settings: dict[str, Any]
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match="pip install"):
        small(tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_a_new_metric_runs_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = small(tmp_path / "run")
    monkeypatch.setattr(Session, "shard", None)
    small(run.path, metrics=["energy"], space="image")
    assert len(run.evaluations()) == 2
    assert set(run.scores()["metric"]) == {"energy"}
    assert set(run.scores()["variant"]) == {"image"}
    # Nor does it need one: the data set alone.
    assert run.score(["auroc"])
    assert set(run.scores()["metric"]) == {"auroc"}


def test_two_workers_share_a_run(tmp_path: Path, whole: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shards: list[int] = []
    compute = Session.shard
    monkeypatch.setattr(
        Session, "shard", lambda self, number, *given: shards.append(number) or compute(self, number, *given)
    )
    path = tmp_path / "run"
    small(path, executor="shards", workers=0)
    workers = [threading.Thread(target=work_on, args=[path], kwargs={"progress": False}) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(shards) == [0, 1]
    assert tables_of(path) == tables_of(whole.path)


def test_parts_of_a_run_are_divided_beforehand(tmp_path: Path, whole: Run) -> None:
    path = tmp_path / "run"
    small(path, executor="shards", workers=0)
    work_on(path, chunk=(0, 2), progress=False)
    assert Run(path).status().explained == 2
    assert Run(path).status().scored == 0
    work_on(path, chunk=(1, 2), progress=False)
    assert Run(path).status().done
    assert tables_of(path) == tables_of(whole.path)


def test_a_lease_of_a_dead_process_is_taken_over(tmp_path: Path, whole: Run) -> None:
    path = tmp_path / "run"
    small(path, executor="shards", workers=0)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    files.folder_for_writing(path / "leases")
    dead = {"worker": "0", "process": child.pid, "computer": leases._computer()}
    (path / "leases" / "explain-00000.0.lease").write_text(json.dumps(dead))
    assert tables_of(small(path).path) == tables_of(whole.path)
    assert not list((path / "leases").iterdir())


def test_images_that_changed_are_not_mixed_with_those_that_were_explained(tmp_path: Path) -> None:
    phantoms = datasets.load("phantoms", limit=4)

    def run(seen: str, **settings: Any) -> Run:
        opened = {"before": phantoms.opened, "after": lambda name: 1 - phantoms.opened(name), "never": Path}
        return small(tmp_path / "run", dataset=replace(phantoms, opened=opened[seen]), **settings)

    before = run("before").layout.index(1)
    # What is done stays, and a new metric looks at no image.
    assert run("after", metrics=["auroc"]).status().done
    before.unlink()
    with pytest.raises(ImageError, match=f"sample {phantoms.samples[0].sample_id}, number 1 of the data set"):
        run("after")
    assert Run(tmp_path / "run").status().explained == 2
    # What cannot be opened is a row, and no other image.
    assert run("never").answers()["status"] == ["ok", "ok", "error", "error"]


KILLING = """
import os, random, signal, sys, time
from pathlib import Path
from groundviz.evaluation import evaluate
from tests.support.runs import SMALL, tables_of
import groundviz

# Loaded once, for all the processes that are made of this one.
model, folder, kills = groundviz.load("demo"), Path(sys.argv[1]), int(sys.argv[2])
settings = {**SMALL, "shard_size": 1, "limit": 6}
rng = random.Random(7)
done = runs = 0
whole = tables_of(evaluate(model, "phantoms", out=folder / "whole", **settings).path)
while done < kills:
    runs += 1
    out = folder / f"run-{runs}"
    while True:
        child = os.fork()
        if not child:
            try:
                evaluate(model, "phantoms", out=out, **settings)
            except BaseException as error:
                print(repr(error), file=sys.stderr)
                os._exit(1)
            os._exit(0)
        until = time.monotonic() + rng.uniform(0.0, 1.2)
        ended = 0
        while done < kills and not ended and time.monotonic() < until:
            ended, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.01)
        if not ended and done < kills:
            os.kill(child, signal.SIGKILL)
            done += 1
        if not ended:
            ended, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break
    assert tables_of(out) == whole, f"run {runs} differs after {done} kills"
print(done, "kills,", runs, "runs")
"""


def killed(folder: Path, kills: int) -> str:
    surroundings = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", KILLING, os.fspath(folder), str(kills)]
    ran = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


@pytest.mark.wide
@pytest.mark.timeout(1200)
@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be copied there")
def test_fifty_kills_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    assert killed(tmp_path, 50).startswith("50 kills")


def test_merged_tables_are_those_of_the_run(tmp_path: Path, whole: Run) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole.path, folder)
    run = Run(folder)
    places = {place.stem: place for place in run.merge()}
    assert set(places) == {"answers", "maps", "scores", "answer_scores"}
    read = {name: parquet.read_table(place).to_pydict() for name, place in places.items()}
    assert read["answers"] == run.answers()
    assert {"score_strict", "score_sigphi", "score_llava_med"} <= set(read["answers"])
    assert read["maps"] == run.maps_table()
    assert len(read["answer_scores"]["flag"]) == 3 * len(run.answers()["text"])
