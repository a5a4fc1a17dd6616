"""Challenges: which checks are made, with which other images, and what is kept."""

import copy
from dataclasses import replace

import numpy as np
import pytest

import groundviz
from groundviz.demo.phantoms import phantom
from groundviz.errors import OptionError, UnknownName, UnsupportedModel
from groundviz.evidence import CHECKS
from groundviz.evidence.toolkit.similarity import spearman
from groundviz.testing.fingerprint import difference, fingerprint

QUESTION = "Where is the nodule?"


@pytest.fixture(scope="module")
def others():
    return [phantom(1_000_000_100 + number).pixels for number in range(3)]


def by_name(explanation):
    return {check.name: check for check in explanation.record.checks}


def test_every_check_states_its_facts():
    for name in CHECKS:
        facts = CHECKS.facts(name)
        assert all((facts.asks, facts.cost, facts.source, facts.known_failure)), name
        assert facts.when in ("always", "request", "cohort")


def test_by_default_the_checks_on_request_are_made_and_those_before_stay(explained, demo):
    found = by_name(groundviz.challenge(explained, demo))
    assert set(found) == {"image_share", "needs_image", "place", "marked_place", "stability", "sufficient"}
    for check in found.values():
        assert check.cost and check.source
    assert by_name(explained).keys() == {"image_share", "needs_image", "place"}


@pytest.mark.wide
def test_full_evidence_is_that_of_a_challenge(explained, demo):
    image = explained.source_image
    full = groundviz.explain(demo, image, QUESTION, methods="gradient_attention", evidence="full")
    challenged = by_name(groundviz.challenge(explained, demo))
    for name, check in by_name(full).items():
        if name != "needs_image":
            assert check.verdict == challenged[name].verdict, name
            assert check.value == pytest.approx(challenged[name].value, abs=1e-4), name


@pytest.mark.wide
def test_a_check_that_is_made_again_replaces_the_first(explained, demo):
    once = groundviz.challenge(explained, demo, checks="marked_place")
    twice = groundviz.challenge(once, demo, checks="marked_place", copies=29)
    (check,) = [one for one in twice.record.checks if one.name == "marked_place"]
    assert check.numbers["copies"] == 29


def test_other_images_take_the_answer_away(explained, demo, others):
    found = by_name(groundviz.challenge(explained, demo, checks="other_images", others=others))[
        "other_images"
    ]
    assert found.verdict == "yes"
    drops = []
    for image in others:
        given = groundviz.explain(demo, image, QUESTION, answer=explained.answer.text, evidence=None)
        before = explained.answer.logprobs[list(explained.answer.spoken)].sum(dtype=float)
        drops.append(before - given.answer.logprobs[list(given.answer.spoken)].sum(dtype=float))
    assert list(found.numbers.values()) == pytest.approx(drops, abs=1e-3)
    assert found.value == pytest.approx(np.median(drops), abs=1e-3)


def test_an_answer_of_absence_is_told_from_blindness_by_images_that_show_the_finding(demo):
    absent = groundviz.explain(
        demo, phantom(1_000_000_003, findings=["nodule"]).pixels, "Is there an effusion?"
    )
    sick = [phantom(1_000_000_200 + number, findings=["effusion"]).pixels for number in range(3)]
    found = groundviz.challenge(absent, demo, checks="other_images", others=sick)
    assert absent.answer.text == "no"
    assert found.evidence.needs_image is False
    assert "On 3 of 3 other images the answer keeps at most half of its probability." in str(found.evidence)


def test_a_saved_cohort_will_do(explained, demo, others, tmp_path):
    files = []
    for number, image in enumerate(others):
        one = groundviz.explain(demo, image, QUESTION, evidence=None)
        files.append(one.save(tmp_path / f"{number}.gvz"))
    from_files = by_name(groundviz.challenge(explained, demo, checks="other_images", others=files))
    from_images = by_name(groundviz.challenge(explained, demo, checks="other_images", others=others))
    assert from_files == from_images


def test_maps_are_this_images_own_and_depend_on_the_weights(explained, demo, others):
    before = fingerprint(demo.model)
    found = by_name(groundviz.challenge(explained, demo, checks=["own_map", "weights"], others=others))
    assert not difference(before, fingerprint(demo.model))
    assert found["own_map"].value > found["own_map"].reference
    # What is left without the decoder's weights is the tower's part; all images have much in common.
    assert -1 <= found["weights"].value < 0.95
    assert 0 < found["weights"].reference < 1
    assert list(found["weights"].numbers)[-1] == "last 4 of 4 layers"


def test_cohort_checks_without_others_say_what_they_need(explained, demo):
    found = by_name(groundviz.challenge(explained, demo, checks="other_images"))["other_images"]
    assert found.verdict == "not measured"
    assert "at least 3 other images, and has 0" in found.says


def test_stability_is_that_of_the_changed_images(explained, demo):
    check = by_name(groundviz.challenge(explained, demo, checks="stability"))["stability"]
    pixels = explained.source_image.pixels
    again = groundviz.explain(
        demo, pixels**0.9, QUESTION, methods="gradient_attention", answer=explained.answer.text, evidence=None
    )
    alike = spearman(explained.heatmap().values.astype(float), again.heatmap().values.astype(float))
    assert check.numbers["gamma 0.9"] == pytest.approx(alike, abs=0.02)
    assert check.samples.complete
    assert set(check.numbers) <= {"moved", "noise", "gamma 0.9", "gamma 1.1"}


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"checks": "everything"}, UnknownName, "no check called 'everything'"),
        ({"checks": []}, OptionError, "No check is named"),
        ({"copies": 18}, OptionError, "at least 19"),
        ({"copies": True}, OptionError, "copies=True"),
        ({"others": [np.full((9, 9), n, np.uint8) for n in (0, 9)], "checks": "own_map"}, None, "at least 3"),
    ],
)
def test_what_will_not_do_is_refused_in_words(explained, demo, options, error, says):
    if error is None:
        (check,) = [
            c for c in groundviz.challenge(explained, demo, **options).record.checks if c.name == "own_map"
        ]
        assert says in check.says
        return
    with pytest.raises(error, match=says):
        groundviz.challenge(explained, demo, **options)


def test_another_model_is_refused(explained, demo):
    other = copy.deepcopy(demo.model)
    other.lm_head.weight.data += 1
    with pytest.raises(UnsupportedModel, match="not the model that answered"):
        groundviz.challenge(explained, replace(demo, model=other))


def test_ranks_are_shared_by_equal_values():
    one, other = np.array([1.0, 1.0, 2.0, 3.0]), np.array([3.0, 2.0, 2.0, 5.0])
    # By hand: ranks 1.5 1.5 3 4 and 3 1.5 1.5 4.
    assert spearman(one, other) == pytest.approx(0.5)
    assert spearman(one, one) == 1.0
    assert spearman(one, np.ones(4)) is None


@pytest.mark.wide
def test_a_map_that_is_measured_again_has_not_been_put_to_the_test(explained, demo):
    challenged = groundviz.challenge(explained, demo, checks="marked_place")
    other = groundviz.explain_more(challenged, demo, "attention")
    assert other.evidence.marked_place["gradient_attention"] is not None
    again = groundviz.explain_more(challenged, demo, "gradient_attention")
    assert again.evidence.marked_place == {"gradient_attention": None}
    assert again.evidence.needs_image is not None


def test_a_map_that_points_nowhere_is_told_so_and_nothing_was_interrupted(explained, demo):
    (maps,) = explained.record.heatmaps
    level = replace(maps, values=np.ones_like(maps.values))
    flat = groundviz.Explanation(replace(explained.record, heatmaps=(level,)))
    found = groundviz.challenge(flat, demo, checks=["marked_place", "stability"])
    assert found.evidence.marked_place == {"gradient_attention": None}
    assert "marked_place" not in by_name(found)
