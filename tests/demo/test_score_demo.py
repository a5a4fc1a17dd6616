"""The scores of the shipped model, on few phantoms; the model card's command scores 300.

python scripts/score_demo.py --seed 1 --images 300
"""

import json

import pytest

from groundviz.demo.phantoms import phantom, with_finding
from groundviz.demo.questions import every_question
from groundviz.models import load
from scripts.demo_exact_match import answers_right, fresh_phantoms, row_name
from scripts.score_demo import main, score, table

ROWS = {f"{kind}_{seen}" for kind in ("presence", "where", "side") for seen in ("present", "absent")}


@pytest.fixture(scope="module", params=[24, pytest.param(45, marks=pytest.mark.slow)])
def images(request):
    """More of them: `pytest -m slow tests/test_score_demo.py`."""
    return request.param


@pytest.fixture(scope="module")
def result(images):
    return score(seed=77, images=images)


@pytest.mark.wide
def test_the_model_answers_and_needs_the_image_to(result):
    match = result["exact_match"]
    assert set(match) == {*ROWS, "report"}
    for row in ROWS:
        assert match[row]["true"] >= 0.9, row
    for row in ("presence_present", "where_present", "side_present"):
        assert match[row]["shuffled"] <= 0.3, row
    # To know that a finding is present is to know that "yes" is right, but not where it is.
    assert match["presence_present"]["constant"] == 1.0
    for row in ("where_present", "side_present"):
        assert match[row]["constant"] < match[row]["true"]
    assert match["report"]["true"] >= 0.8


def test_maps_point_at_nodules_far_beyond_blind_guesses(result, images):
    nodule = result["pointing"]["nodule"]
    assert nodule["n"] >= images / 4
    for method in ("attention", "gradient_attention"):
        assert nodule[method] >= 0.9
        assert nodule[method] > nodule["prior_type_answer"]
    assert nodule["random_weights"] <= 0.2
    assert nodule["random"] < 0.1


def test_the_table_shows_every_row_and_wrong_answers_apart(result, images):
    shown = table(result)
    for row in ROWS:
        assert row in shown
    assert "pointing hit, wrong answers" in shown
    assert f"{images} fresh phantoms, seed 77" in shown
    assert "nodules, right answers" in shown


def test_methods_stand_beside_guesses_that_never_saw_the_image(result):
    rows = result["nodules"]
    assert set(rows) == {"attention", "gradient_attention", "prior_type_answer", "centre", "random"}
    for method in ("attention", "gradient_attention"):
        assert rows[method]["hit"] >= 0.9 > rows["prior_type_answer"]["hit"]
        assert rows[method]["random_weights"] <= 0.2
        assert rows[method]["seconds"] > 0


@pytest.mark.wide
def test_one_pass_decides_what_generating_would_answer():
    vlm = load("demo")
    for seed in fresh_phantoms(78, 4):
        image = phantom(seed)
        questions = list(every_question(image))
        generated = [vlm.generate(image.pixels, q.text) == q.answer for q in questions]
        assert answers_right(vlm, image, questions) == generated


def test_rows_are_named_after_what_is_there():
    names = {row_name(q) for q in every_question(phantom(3, findings=["nodule"]))}
    assert names == {*ROWS, "report"}


def test_a_finding_is_added_only_where_it_is_missing():
    assert with_finding(5, "nodule").mask("nodule").any()
    natural = phantom(11, findings=["nodule"])
    assert with_finding(natural.seed, "nodule").names.count("nodule") == 1


@pytest.mark.wide
def test_the_command_prints_one_json_object(capfd):
    main(["--seed", "79", "--images", "3", "--json", "--methods", "attention"])
    found = json.loads(capfd.readouterr().out)
    assert found["n"] == 3
    assert {
        "attention",
        "gradient_attention",
        "random_weights",
        "centre",
        "random",
        "prior_type_answer",
    } <= set(found["pointing"]["nodule"])
