"""The settings of papers, on tiny checkpoints and data sets in the forms in which they were published."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from groundviz.errors import OptionError, UnknownName
from groundviz.evaluation import Run, evaluate, recipes
from groundviz.evaluation.report import gallery, report
from groundviz.metrics.answers import SCORERS
from groundviz.runtime.passes.generation_settings import checked
from tests.models.checkpoints.references import FIXTURES
from tests.support import publishers

CHECKPOINT = FIXTURES / "sigphi_phi2" / "checkpoint"


@pytest.fixture
def vqa_rad(tmp_path: Path) -> Path:
    folder = tmp_path / "vqa_rad"
    folder.mkdir()
    publishers.vqa_rad(folder)
    return folder


def planned(folder: Path, out: Path, **settings: Any) -> Run:
    return evaluate(
        CHECKPOINT, f"vqa_rad:{folder}", out=out, executor="shards", workers=0, progress=False, **settings
    )


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_a_recipe_names_what_there_is(name: str) -> None:
    recipe = recipes.RECIPES[name]
    assert checked(recipe.generation) == dict(recipe.generation)
    assert recipe.scorer in (*SCORERS, "")


def test_a_recipe_settles_split_and_decoding(vqa_rad: Path, tmp_path: Path) -> None:
    facts = planned(vqa_rad, tmp_path / "run", recipe="sigphi").manifest
    assert facts["asked"]["generation"] == {"do_sample": True, "temperature": 0.4, "max_new_tokens": 1024}
    assert facts["dataset"]["splits"] == {"test": 2}
    assert facts["recipe"]["scorer"] == "sigphi"
    assert "without a seed" in facts["recipe"]["caveat"]


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"recipe": "gpt"}, UnknownName),
        ({"recipe": "llava_rad"}, OptionError),
        ({"recipe": "sigphi", "generation": {"temperature": 0.1}}, OptionError),
        ({"recipe": "sigphi", "data": {"split": "train"}}, OptionError),
    ],
)
def test_what_contradicts_a_recipe_is_refused(
    vqa_rad: Path, tmp_path: Path, settings: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        planned(vqa_rad, tmp_path / "run", **settings)


def test_a_published_layout_is_evaluated_as_published(
    vqa_rad: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A random model would never end its answer.
    short = replace(
        recipes.RECIPES["sigphi"], generation={"do_sample": True, "temperature": 0.4, "max_new_tokens": 3}
    )
    monkeypatch.setattr(recipes, "RECIPES", MappingProxyType({"sigphi": short}))
    settings: dict[str, Any] = {"methods": "attention", "recipe": "sigphi", "progress": False}
    run = evaluate(CHECKPOINT, f"vqa_rad:{vqa_rad}", out=tmp_path / "run", **settings)
    answers = run.answers()
    assert answers["status"] == ["ok", "ok"]
    assert all(len(ids) == 3 for ids in answers["token_ids"])
    assert all(0 <= score <= 1 for score in answers["score_strict"])
    # The script drops "CLOSED " in silence; here the row says so.
    assert [score is None for score in answers["score_sigphi"]] == [True, False]
    _stands_beside_what_was_published(report(run), run)
    again = evaluate(CHECKPOINT, f"vqa_rad:{vqa_rad}", out=tmp_path / "again", **settings)
    assert again.answers() == answers


def _stands_beside_what_was_published(written: list[Path], run: Run) -> None:
    """No sample has a region, so the report is about answers; published rows stand in every format."""
    content = {place.name: place.read_text("utf-8") for place in written}
    assert "No sample of this run has a reference region" in content["report.html"]
    for name in ("report.html", "report.md", "report.tex"):
        told = content[name].replace("\\", "").replace("&#x27;", "'")
        for printed in (
            "published: SigPhi-Med, fine-tuned",
            "67.76 %",
            "88.24 %",
            "published: SigPhi-Med, zero",
        ):
            assert printed in told, (name, printed)
        for caveat in ("without a seed", "LLaVA-Med issue 28", "202 of the test images", "lead of 88.24"):
            assert caveat in told, (name, caveat)
    rows = list(csv.DictReader(io.StringIO(content["answers.csv"])))
    names = [row["scorer"] for row in rows]
    assert names.index("published: SigPhi-Med, fine-tuned") == names.index("sigphi") + names.count("sigphi")
    closed = next(
        row for row in rows if row["scorer"].endswith("fine-tuned") and row["questions"] == "closed"
    )
    assert (float(closed["score"]), closed["n"]) == (pytest.approx(0.8824), "272")
    kept = json.loads(content["report.json"])["tables"]["answers"]
    assert [row["score"]["value"] for row in kept["rows"] if "zero-shot" in row["scorer"]] == [
        pytest.approx(0.4588),
        pytest.approx(0.7463),
    ]
    assert "Grounded" not in gallery(run).read_text("utf-8")
