"""Deletion and insertion curves of a run: a stage of its own, beside maps that are there already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import groundviz
from groundviz import datasets
from groundviz.datasets.sample import Dataset
from groundviz.errors import OptionError
from groundviz.evaluation import Run, conducting
from groundviz.evaluation.cases import case as cases
from groundviz.evaluation.cases.covered import DELETION, DRAWS, INSERTION, STEPS
from groundviz.evaluation.executors.shards import CURVES, EXPLAIN
from groundviz.methods.toolkit.baselines import blurred
from groundviz.metrics import priors
from tests.support.runs import small, tables_of

METHOD = "gradient_attention"
SETTINGS: dict[str, Any] = {"methods": METHOD, "limit": 1, "curves": ["blur"]}


@pytest.fixture(scope="module")
def phantoms() -> Dataset:
    return datasets.load("phantoms", kinds="presence", absent=0, limit=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, phantoms: Dataset) -> Run:
    return small(tmp_path_factory.mktemp("curves"), dataset=phantoms, **SETTINGS)


def curves_of(run: Run, sample_id: str, method: str) -> dict[tuple[str, int | None], np.ndarray]:
    table = run.curves()
    rows = (dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True))
    return {
        (row["kind"], row["draw"]): np.array(row["values"])
        for row in rows
        if row["sample_id"] == sample_id and row["method"] == method
    }


def test_every_map_stands_beside_orders_that_never_saw_the_image(run: Run) -> None:
    assert run.status().done
    assert run.status().covered == 1
    answers = run.answers()
    for at, sample_id in enumerate(answers["sample_id"]):
        whole = sum(answers["logprobs"][at][token] for token in answers["target_tokens"][at])
        drawn = curves_of(run, sample_id, priors.RANDOM)
        assert len(drawn) == 2 * DRAWS
        assert len({values.tobytes() for values in drawn.values()}) == 2 * DRAWS
        for method, draw in ((METHOD, None), (priors.CENTRE, None), (priors.RANDOM, 0)):
            found = curves_of(run, sample_id, method)
            deletion, insertion = found[DELETION, draw], found[INSERTION, draw]
            assert deletion.shape == insertion.shape == (STEPS + 1,)
            assert deletion[0] == insertion[-1] == pytest.approx(whole, abs=1e-4)
            assert deletion[-1] == insertion[0]


def test_a_step_is_what_the_model_says_of_the_image_covered_by_hand(run: Run, phantoms: Dataset) -> None:
    answers, sample = run.answers(), phantoms.samples[0]
    pixels = phantoms.image(sample)
    key = run.maps_table()["explain_key"][0]
    (heatmap,) = run.maps(key)
    side = 112 // heatmap.values.shape[0]
    # The demo model sees the pixels as they are, and no two cells of this map are alike.
    values = np.maximum(heatmap.values, 0).reshape(-1)
    third = round(3 * values.size / STEPS)
    assert np.unique(values).size > third
    covered = np.zeros(values.size, bool)
    covered[np.argsort(-values, kind="stable")[:third]] = True
    by_pixel = np.kron(covered.reshape(heatmap.values.shape), np.ones((side, side), bool))
    kinds = {DELETION: by_pixel, INSERTION: ~by_pixel}
    for kind, mask in kinds.items():
        changed = np.where(mask, blurred(pixels), pixels)
        told = groundviz.explain(
            "demo", changed, answers["question"][0], answer=answers["text"][0], methods="attention"
        )
        expected = sum(told.answer.logprobs[token] for token in answers["target_tokens"][0])
        found = curves_of(run, sample.sample_id, METHOD)[kind, None]
        assert found[3] == pytest.approx(expected, abs=2e-3)


@pytest.mark.wide
def test_curves_are_made_of_a_run_that_is_there_without_its_methods(
    tmp_path: Path, run: Run, phantoms: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = small(tmp_path / "run", dataset=phantoms, **{**SETTINGS, "curves": ()})
    assert before.curves()["values"] == []
    assert before.status().covered is None
    monkeypatch.setattr(cases, "measure", None)
    after = small(tmp_path / "run", dataset=phantoms, **SETTINGS)
    assert tables_of(after.path) == tables_of(run.path)
    # Whole or not at all: a damaged table is made again.
    place = next(after.path.glob("curves/*/part-00000.parquet"))
    place.write_bytes(place.read_bytes()[:100])
    small(tmp_path / "run", dataset=phantoms, **SETTINGS)
    assert tables_of(after.path) == tables_of(run.path)
    assert (tmp_path / "run" / "merged" / "curves.parquet") in after.merge()


def test_what_is_no_cover_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="'mirror': an image is covered with blur, mean"):
        small(tmp_path / "run", curves=["mirror"])
    assert not (tmp_path / "run").exists()


def test_an_actor_does_the_curves_of_everybody_who_asked(tmp_path: Path, phantoms: Dataset) -> None:
    """Not those alone that somebody asked for last: it may be told to do any of them."""
    folder = tmp_path / "run"
    for cover in ("mean", "blur", "mean"):
        again = small(folder, dataset=phantoms, **{**SETTINGS, "curves": [cover]})
    work, stages, _ = conducting._in_actor(str(again.path))
    covered = {f"{CURVES}-{name}" for name in again.coverings()}
    assert len(covered) == 2
    assert {stage.name for stage in stages} == {EXPLAIN, *covered}
    assert all(work.done(stage) == {0} for stage in stages)
