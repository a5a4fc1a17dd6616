"""What stands in the tables of a run: answers, maps and scores, and samples that cannot be done."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

import groundviz
from groundviz import datasets
from groundviz.datasets.sample import Dataset, Region
from groundviz.errors import OptionError, OutOfMemory, UnknownName, UnsupportedMethod, UnsupportedModel
from groundviz.evaluation import Run, opening
from groundviz.evaluation.cases import case as cases
from groundviz.evaluation.cases.references import References
from groundviz.evaluation.cases.session import partner, stretched
from groundviz.evaluation.storage import maps
from groundviz.evaluation.unscored import unscored
from groundviz.runtime.identity.weight_hash import weights_fingerprint
from tests.support.runs import small


@pytest.fixture(scope="module")
def phantoms() -> Dataset:
    return datasets.load("phantoms", kinds="presence", absent=0, limit=4)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, phantoms: Dataset) -> Run:
    controls = ("shuffled", "random_weights")
    methods = ["attention", "gradient_attention"]
    return small(
        tmp_path_factory.mktemp("run"), dataset=phantoms, methods=methods, controls=controls, limit=3
    )


def rows_of(table: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def test_an_answer_is_what_explain_gives(run: Run, phantoms: Dataset) -> None:
    for row, sample in zip(rows_of(run.answers()), phantoms.samples, strict=False):
        told = groundviz.explain("demo", phantoms.image(sample), row["question"], methods="attention")
        assert row["text"] == told.answer.text
        assert row["token_ids"] == told.answer.token_ids.tolist()
        assert row["confidence"] == pytest.approx(told.answer.confidence, abs=1e-6)
        needs = told.evidence
        assert (row["needs_image"] == "yes") == needs.needs_image
        assert row["vr_blurred"] == pytest.approx(needs.drops["blurred"], abs=1e-5)
        assert row["image_sha256"] == told.source_image.sha256


def test_a_map_is_what_explain_gives_to_eleven_digits_of_two(run: Run, phantoms: Dataset) -> None:
    rows = [row for row in rows_of(run.maps_table()) if row["method"] == "attention"]
    for row, sample in zip(rows, phantoms.samples, strict=False):
        told = groundviz.explain("demo", phantoms.image(sample), sample.question, methods="attention")
        (kept,), own = run.maps(row["explain_key"]), told.heatmap("attention")
        np.testing.assert_allclose(kept.values, own.values, rtol=2**-11, atol=1e-9)
        np.testing.assert_array_equal(kept.grid.to_source, own.grid.to_source)
        np.testing.assert_array_equal(kept.grid.valid, own.grid.valid)


def test_every_method_stands_beside_its_priors_and_controls(run: Run) -> None:
    own = {"attention", "gradient_attention"}
    assert set(run.scores()["method"]) == {
        *own,
        *(f"shuffled:{name}" for name in own),
        *(f"random_weights:{name}" for name in own),
        *("prior:random", "prior:centre", "prior:class_mean"),
    }


def test_scores_are_those_of_the_metrics(run: Run, phantoms: Dataset) -> None:
    for row in rows_of(run.scores()):
        if row["method"] != "attention" or row["metric"] != "energy":
            continue
        (sample,) = (one for one in phantoms.samples if one.sample_id == row["sample_id"])
        image = groundviz.images.load(phantoms.image(sample))
        mask = datasets.regions.reference(sample.regions, image.shape)
        (heatmap,) = run.maps(row["explain_key"])
        assert groundviz.metrics.score(heatmap, mask, metrics=["energy"]) == {"energy": row["value"]}


def test_the_model_comes_back_as_it_was(tmp_path: Path) -> None:
    vlm = groundviz.load("demo")
    before = weights_fingerprint(vlm.model)
    from groundviz.evaluation import evaluate

    evaluate(vlm, "phantoms", out=tmp_path / "run", methods="attention", limit=1, progress=False)
    assert weights_fingerprint(vlm.model) == before


class Failing:
    """Images of which one cannot be read."""

    def __init__(self, dataset: Dataset, error: Exception) -> None:
        self.good, self.bad, self.error = dataset.opened, dataset.samples[-1].image, error

    def __call__(self, image: str) -> Any:
        if image == self.bad:
            raise self.error
        return self.good(image)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (FileNotFoundError("/home/Miller_Jane.dcm"), "error", "FileNotFoundError was raised"),
        (MemoryError(), "oom", "Memory ran out"),
    ],
)
def test_an_image_that_cannot_be_read_is_a_row(
    tmp_path: Path, phantoms: Dataset, error: Exception, status: str, reason: str
) -> None:
    # Two questions on one image, which is broken, and one on another.
    broken = replace(phantoms, name="broken", samples=phantoms.samples[1:4], opened=Failing(phantoms, error))
    from groundviz.evaluation import evaluate

    run = evaluate(
        groundviz.load("demo"), broken, out=tmp_path / "run", methods="attention", controls=(), progress=False
    )
    bad = [row for row in rows_of(run.answers()) if row["status"] != "ok"]
    assert {row["status"] for row in bad} == {status}
    assert all(row["reason"].startswith(reason) and "Miller" not in row["reason"] for row in bad)
    assert run.failed() == {status: len(bad)}
    assert len(run.answers()["text"]) == len(broken)
    assert {row["status"] for row in rows_of(run.maps_table())} == {"ok", status}


@pytest.mark.parametrize(
    ("error", "status"), [(UnsupportedMethod("No gradients."), "skipped"), (OutOfMemory("Too large."), "oom")]
)
def test_a_method_that_cannot_do_a_sample_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str
) -> None:
    measure = cases.measure

    def failing(recipes: Mapping[str, Any], *arguments: Any) -> Any:
        if "gradient_attention" in recipes:
            raise error
        return measure(recipes, *arguments)

    monkeypatch.setattr(cases, "measure", failing)
    run = small(tmp_path / "run", methods=["attention", "gradient_attention"], limit=1)
    found = {row["method"]: (row["status"], row["reason"]) for row in rows_of(run.maps_table())}
    assert found == {"attention": ("ok", ""), "gradient_attention": (status, str(error))}
    assert run.answers()["status"] == ["ok"]
    with pytest.raises(UnknownName, match=str(error)):
        run.maps(
            next(r["explain_key"] for r in rows_of(run.maps_table()) if r["method"] == "gradient_attention")
        )


def test_ctrl_c_keeps_what_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure, calls = cases.measure, [3]

    def interrupted(*arguments: Any) -> Any:
        calls[0] -= 1
        if not calls[0]:
            raise KeyboardInterrupt
        return measure(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(cases, "measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            small(tmp_path / "run")
    assert Run(tmp_path / "run").status().explained == 2
    assert Run(tmp_path / "run").status().working == ()
    assert small(tmp_path / "run").status().done


def test_the_reference_answer_is_explained_when_asked_for(tmp_path: Path, phantoms: Dataset) -> None:
    run = small(tmp_path / "run", answers="reference", limit=2)
    assert run.answers()["text"] == [sample.answer for sample in phantoms.samples[:2]]
    assert set(run.answers()["source"]) == {"reference"}


def test_the_finding_is_the_target_where_the_answer_names_it(tmp_path: Path) -> None:
    from groundviz.evaluation import evaluate

    reports = datasets.load("phantoms", kinds=("report",), absent=0, limit=4)
    run = evaluate("demo", reports, out=tmp_path / "run", methods="attention", controls=(), progress=False)
    assert {row["target_source"] for row in rows_of(run.answers())} <= {"finding", "answer"}
    for row in rows_of(run.answers()):
        if row["target_source"] == "finding":
            assert row["target"].lower() == row["finding"]


def test_a_finding_is_asked_for_where_there_is_no_question(tmp_path: Path, phantoms: Dataset) -> None:
    unasked = replace(phantoms, samples=tuple(replace(one, question=None) for one in phantoms.samples))
    run = small(tmp_path / "run", dataset=unasked, prompt="Is there a {finding}?", limit=2)
    assert run.answers()["question"] == [f"Is there a {one.finding}?" for one in phantoms.samples[:2]]
    assert run.manifest["asked"]["prompt"] == "Is there a {finding}?"
    other = small(tmp_path / "other", dataset=unasked, prompt="Do you see a {finding}?", limit=2)
    assert set(run.answers()["answer_key"]).isdisjoint(other.answers()["answer_key"])
    with pytest.raises(OptionError, match=r"None of the 2 samples can be asked\. The sample has an answer"):
        small(tmp_path / "not asked", dataset=unasked, limit=2)
    assert not (tmp_path / "not asked").exists()


def test_what_was_asked_for_want_of_a_question_is_told(tmp_path: Path, phantoms: Dataset) -> None:
    first, second, third, _ = phantoms.samples
    report = replace(first, question=None, answer="Clear lungs.", answer_type="report")
    mixed = replace(phantoms, samples=(report, replace(second, question=None), third))
    run = small(tmp_path / "run", dataset=mixed, limit=3)
    assert run.manifest["default_question"] == {"text": "Describe the findings.", "samples": 1}
    assert run.answers()["question"] == ["Describe the findings."] * 2 + [third.question]
    ((status, reason),) = run.reasons()
    assert (status, run.failed()) == ("skipped", {"skipped": 1})
    assert "not the question that it belongs to" in reason


def test_every_sample_without_a_number_is_counted_with_its_reason(tmp_path: Path, phantoms: Dataset) -> None:
    first, second, third, fourth = phantoms.samples
    lost = replace(first, regions=(Region(kind="png", data=("none.png", None)),))
    blank = replace(fourth, regions=(Region(kind="mask", data=np.zeros((4, 4))),))
    mixed = replace(phantoms, root=tmp_path, samples=(lost, replace(second, regions=()), third, blank))
    run = small(tmp_path / "run", dataset=mixed)
    found = unscored(run.answers(), run.maps_table(), run.scores())
    unread, *_ = found
    assert unread.startswith("reference that cannot be read. A mask's file is missing")
    assert found == {
        unread: [lost.sample_id],
        "no reference region": [second.sample_id],
        "empty reference": [fourth.sample_id],
    }
    without_maps = {**run.maps_table(), "status": ["error"] * 4}
    assert unscored(run.answers(), without_maps, run.scores())["no map"] == [second.sample_id]


@pytest.mark.parametrize("readable", [True, False])
def test_results_of_other_weights_are_refused(tmp_path: Path, *, readable: bool) -> None:
    session = opening.again(small(tmp_path / "run", executor="shards", workers=0).path).session()
    session.weights = "those of another model"
    if not readable:
        session.dataset = replace(session.dataset, opened=lambda name: 1 / 0)
    with pytest.raises(UnsupportedModel, match="weights have changed"):
        session.shard(0, lambda status: None)


@pytest.mark.wide
def test_a_worker_keeps_nothing_of_the_cases_behind_it(tmp_path: Path) -> None:
    planned = small(tmp_path / "run", executor="shards", workers=0, limit=4, shard_size=1)
    session = opening.again(planned.path).session()

    def held() -> Counter[str]:
        """Tensors, and everything of ours, that is alive."""
        gc.collect()
        kinds = [type(one) for one in gc.get_objects()]
        ours = [
            one for one in kinds if str(one.__module__).startswith("groundviz") or issubclass(one, Tensor)
        ]
        return Counter(f"{one.__module__}.{one.__qualname__}" for one in ours)

    found = []
    for shard in range(3):
        # Outcomes are let go of at once.
        assert len(session.shard(shard, lambda status: None)) == 1
        counts = held()
        # The last phantoms stay drawn, a fixed number of them.
        found.append({kind: count for kind, count in counts.items() if ".demo." not in kind})
    assert found[2] == found[1]


@pytest.mark.parametrize(("most", "drawn"), [(1 << 20, 4), (0, 8)])
def test_a_reference_is_drawn_once_while_there_is_room(
    phantoms: Dataset, monkeypatch: pytest.MonkeyPatch, most: int, drawn: int
) -> None:
    reference, calls = datasets.regions.reference, []

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        return reference(*arguments, **options)

    monkeypatch.setattr(datasets.regions, "reference", counted)
    references = References(phantoms, most=most)
    for sample in (*phantoms.samples, *phantoms.samples):
        np.testing.assert_array_equal(
            references.of(sample, (112, 112)), reference(sample.regions, (112, 112))
        )
    assert len(calls) == drawn


def test_another_patient_stands_in_and_is_the_same_for_every_worker() -> None:
    plan = [{"cluster_id": str(number // 2)} for number in range(10)]
    others = [partner(plan, order, seed=0) for order in range(10)]
    assert others == [partner(plan, order, seed=0) for order in range(10)]
    assert all(other is not None and other // 2 != order // 2 for order, other in enumerate(others))
    assert partner([{"cluster_id": "1"}] * 3, 0, seed=0) is None


def test_the_other_image_has_this_ones_size() -> None:
    tall = groundviz.images.load(np.tile(np.linspace(0, 255, 40).astype(np.uint8)[:, None], (1, 20)))
    like = groundviz.images.load(np.zeros((12, 16), np.uint8))
    resized = stretched(tall, like)
    assert resized.shape == (12, 16)
    assert resized.sha256 != tall.sha256
    assert np.all(np.diff(resized.pixels[:, 0]) > 0)


@pytest.mark.parametrize("largest", [3e-9, 1e-3, 1.0, 5e6])
def test_stored_maps_keep_eleven_binary_digits(largest: float) -> None:
    values = np.geomspace(largest * 1e-8, largest, 64).astype(np.float32).reshape(8, 8)
    values[0, 0] = np.nan
    halves, scale = maps.halved(values)
    assert halves.dtype == np.float16
    np.testing.assert_allclose(maps.doubled(halves, scale), values, rtol=2**-11)


@pytest.mark.parametrize("constant", [0.0, -2.0])
def test_constant_maps_are_stored_as_they_are(constant: float) -> None:
    values = np.full((3, 3), constant, np.float32)
    assert np.array_equal(maps.doubled(*maps.halved(values)), values)


@pytest.mark.parametrize(
    "settings",
    [
        {"executor": "slurm"},
        {"workers": 2},
        {"executor": "shards", "workers": -1},
        {"limit": 0},
        {"answers": "gold"},
        {"controls": ["mirror"]},
        {"space": "voxel"},
        {"prompt": "Is there {findings}?"},
        {"data": 5},
        {"generation": ["greedy"]},
    ],
)
def test_settings_that_cannot_be_used_are_refused_first(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        small(tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()
