"""Files of a run that are lost, cut, damaged, copied, or of a holder that is gone."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from groundviz.demo.phantoms import phantom
from groundviz.errors import StoreError
from groundviz.evaluation import Run
from groundviz.evaluation.cases.session import Session
from groundviz.evaluation.storage import leases, tables
from groundviz.evaluation.storage.leases import Leases
from groundviz.evaluation.storage.schemas import TIMINGS
from tests.support.runs import small, tables_of


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("left", [None, 0, 0.5])
@pytest.mark.parametrize(
    "name", ["plan.parquet", "scores/*/spec.json", "scores/*/answers/part-00001.parquet"]
)
def test_what_is_lost_or_cut_is_made_again_without_the_model(
    tmp_path: Path, whole: Run, monkeypatch: pytest.MonkeyPatch, name: str, left: float | None
) -> None:
    shutil.copytree(whole.path, tmp_path / "run")
    (place,) = (tmp_path / "run").glob(name)
    content = place.read_bytes()
    place.unlink()
    if left is not None:
        place.write_bytes(content[: int(left * len(content))])
        with pytest.raises(StoreError):
            _ = (run := Run(tmp_path / "run")).plan, run.evaluations(), run.answers()
    monkeypatch.setattr(Session, "shard", None)
    assert tables_of(small(tmp_path / "run").path) == tables_of(whole.path)


def test_no_flipped_bit_of_a_table_makes_another_table_of_it(tmp_path: Path) -> None:
    place, rng = tmp_path / "table.parquet", random.Random(0)
    rows = [{"sample_id": "a", "what": "answer", "seconds": 0.5}] * 3
    tables.write(place, rows, TIMINGS, {"one": "1"})
    content = place.read_bytes()
    for _ in range(400):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        place.write_bytes(damaged)
        try:
            read, kept = tables.read(place)
        except StoreError:
            continue
        assert (read, kept["one"]) == (rows, "1")


def test_the_last_evaluation_is_the_last_in_a_copy_of_the_run_too(tmp_path: Path, whole: Run) -> None:
    shutil.copytree(whole.path, tmp_path / "run")
    run = Run(tmp_path / "run")
    for metrics in (["energy"], ["auroc"], ["pointing"]):
        assert run.score(metrics)
    asked = list(run.evaluations())
    # Those of earlier versions have times alone.
    first, second, third, _ = places = [run.layout.scoring(name) / "spec.json" for name in asked]
    for place, seconds in zip(places, (40, 30, 20, 10), strict=True):
        os.utime(place, (seconds, seconds))
    assert list(Run(run.path).evaluations()) == asked
    for place in (first, second):
        facts = json.loads(place.read_text())
        del facts["number"]
        place.write_text(json.dumps(facts))
    os.utime(first, (1, 1))
    assert list(Run(run.path).evaluations()) == asked
    third.write_text(third.read_text().replace("auroc", "aurox"))
    with pytest.raises(StoreError, match=r"spec\.json of the run is damaged"):
        Run(run.path).evaluations()


def test_masks_in_files_are_part_of_what_the_run_was_made_on(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(2):
        drawn = phantom(number, findings=["nodule"])
        Image.fromarray((255 * drawn.pixels).astype(np.uint8)).save(folder / f"{number}.png")
        Image.fromarray(drawn.mask("nodule")).save(folder / f"mask-{number}.png")
    lines = ["image,question,finding,mask", *(f"{n}.png,Where?,nodule,mask-{n}.png" for n in range(2))]
    (folder / "samples.csv").write_text("\n".join(lines))
    run = small(tmp_path / "run", dataset=f"folder:{folder}", limit=1)
    # The mask of a sample that is not planned does not matter.
    (folder / "mask-1.png").unlink()
    assert Run(run.path).score(["energy"])
    Image.fromarray(np.eye(512, dtype=bool)).save(folder / "mask-0.png")
    with pytest.raises(StoreError, match="says something else than when the run was made"):
        Run(run.path).score(["auroc"])
    with pytest.raises(StoreError, match=r"differs in dataset\.annotation_files"):
        small(run.path, dataset=f"folder:{folder}", limit=1)
    # Runs of earlier versions know the names of these files alone.
    facts = json.loads(run.layout.manifest.read_text())
    del facts["dataset"]["annotation_files"]
    run.layout.manifest.write_text(json.dumps(facts))
    assert Run(run.path).score(["auroc"])
    assert small(run.path, dataset=f"folder:{folder}", limit=1).status().done


DAY = 86_400


def is_taken(claims: Leases) -> bool:
    lease = claims.claim("explain-00000")
    if lease is not None:
        with lease:
            return False
    return True


@pytest.mark.parametrize(
    ("says", "age", "alive"),
    [
        ("", DAY, False),
        ("[]", DAY, False),
        ("{}", DAY, False),
        ('{"computer": "x", "process": "y"}', DAY, False),
        ("[]", 0, True),
        ('{"computer": "x", "process": 1}', DAY, False),
        ('{"computer": "x", "process": 1}', 0, True),
    ],
)
def test_a_lease_is_as_old_as_its_file_whatever_it_says(
    tmp_path: Path, says: str, age: float, alive: bool
) -> None:
    place = tmp_path / "explain-00000.0.lease"
    place.write_text(says)
    os.utime(place, (time.time() - age,) * 2)
    assert is_taken(Leases(tmp_path)) == alive


@pytest.mark.parametrize("computer", ["x", leases._computer()])
def test_a_lease_of_a_time_to_come_counts_from_when_it_was_seen(tmp_path: Path, computer: str) -> None:
    place = tmp_path / "explain-00000.0.lease"
    # This process runs, and holds nothing.
    place.write_text(json.dumps({"computer": computer, "process": os.getpid()}))
    os.utime(place, (time.time() + 30 * DAY,) * 2)
    claims = Leases(tmp_path, ttl=0.3)
    assert is_taken(claims)
    time.sleep(0.2)
    # A sign of life, by a clock that goes wrong.
    os.utime(place, (time.time() + 31 * DAY,) * 2)
    assert is_taken(claims)
    time.sleep(0.2)
    assert is_taken(claims)
    time.sleep(0.2)
    assert not is_taken(claims)
