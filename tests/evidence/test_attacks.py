"""Maps, images and interruptions that nobody expects: nothing is told that was not measured."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

import groundviz
from groundviz.errors import OptionError, OutOfMemory
from groundviz.evidence import CHECKS, needs_image, stability
from groundviz.evidence.running.on_demand import OnDemand
from groundviz.evidence.toolkit import covering, remeasuring
from groundviz.runtime import Live
from groundviz.testing.fingerprint import difference, fingerprint

ON_REQUEST = ("marked_place", "sufficient", "stability")


def with_maps(explanation, **values):
    """The explanation with these maps in the place of its own, each the same for every token."""
    (like,) = explanation.record.heatmaps
    laid = [
        replace(
            like,
            method=method,
            values=np.broadcast_to(one, (len(like.targets), 1, 1, *one.shape)).astype(np.float32),
            layers=(),
            params={},
        )
        for method, one in values.items()
    ]
    return explanation.from_record(replace(explanation.record, heatmaps=tuple(laid)))


def checked(explanation, demo, checks=ON_REQUEST, **options):
    found = groundviz.challenge(explanation, demo, checks=checks, **options)
    return found, {(check.name, check.method): check for check in found.record.checks}


@pytest.mark.parametrize("held", [0.0, -1.0])
def test_a_map_that_speaks_against_everywhere_marks_no_place(explained, demo, held):
    values = np.random.default_rng(0).random((14, 14)) - 1.0
    values[0, 0] = held
    found, checks = checked(with_maps(explained, occlusion=values), demo, ON_REQUEST[:2])
    for name in ON_REQUEST[:2]:
        check = checks[name, "occlusion"]
        assert (check.verdict, check.value) == ("not measured", None)
    assert found.evidence.marked_place == {"occlusion": None}
    assert found.evidence.verdict().startswith("Not measured: No cell of the map speaks for the answer")


@pytest.mark.wide
def test_values_that_are_no_numbers_mark_nothing(explained, demo):
    values = np.zeros((14, 14))
    values[3, 4] = 1.0
    expected = checked(with_maps(explained, attention=values), demo, "marked_place")[1]
    values[0, 0], values[1, 1] = np.inf, np.nan
    odd = checked(with_maps(explained, attention=values), demo, "marked_place")[1]
    assert odd["marked_place", "attention"].numbers == expected["marked_place", "attention"].numbers


@pytest.mark.wide
def test_a_map_that_cannot_be_tested_costs_no_other_its_test(explained, demo):
    """The first has no place, the second has: it is measured all the same."""
    against, good = -np.ones((14, 14)), explained.heatmap().values
    against[0, 0] = -2.0
    found, checks = checked(with_maps(explained, occlusion=against, attention=good), demo, ON_REQUEST[:2])
    assert found.evidence.marked_place == {"occlusion": None, "attention": "shown"}
    assert checks["sufficient", "occlusion"].verdict == "not measured"
    assert checks["sufficient", "attention"].verdict in ("shown", "not shown")


@pytest.mark.wide
def test_no_memory_for_one_map_costs_no_other_its_test(explained, demo, monkeypatch):
    whole = covering.lattices
    monkeypatch.setattr(covering, "lattices", lambda live, maps: _full(maps) or whole(live, maps))
    good = explained.heatmap().values
    found, _ = checked(with_maps(explained, rise=good, attention=good), demo, "marked_place")
    assert found.evidence.marked_place == {"rise": None, "attention": "shown"}
    assert found.evidence.verdict("rise") == "Not measured: No room."


def _full(maps):
    if maps[0].method == "rise":
        raise OutOfMemory("No room.")


@pytest.mark.parametrize("level", [0, 255])
def test_an_image_of_one_colour_says_so(demo, level):
    found = groundviz.explain(demo, np.full((50, 80), level, np.uint8), "Where is the nodule?")
    (check,) = [one for one in found.record.checks if one.name == "needs_image"]
    assert check.says.startswith("The image is of one colour and shows nothing, as its twins do. ")
    assert found.evidence.needs_image is False


@pytest.mark.wide
@pytest.mark.parametrize("shape", [(1, 200), (200, 1), (1, 1), (3, 3, 3)])
def test_images_of_hardly_any_pixels_are_measured(demo, shape):
    image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    found = groundviz.explain(demo, image, "Where is the nodule?", methods="attention")
    _, checks = checked(found, demo)
    assert found.evidence.needs_image in (True, False)
    assert checks["marked_place", "attention"].verdict in ("shown", "depends", "not shown")


@pytest.mark.wide
def test_a_word_of_the_question_is_tested_with_the_answer(demo, chest):
    """Its own log-probability was never measured, so it is not spoken of."""
    found = groundviz.explain(
        demo, chest.pixels, "Where is the nodule?", target=groundviz.Question("nodule"), methods="attention"
    )
    found, checks = checked(found, demo, "marked_place")
    assert "the log-probability by" in checks["marked_place", "attention"].says
    assert "weakens the answer" in found.evidence.verdict()


@pytest.mark.wide
def test_a_part_of_the_answer_is_named(demo, chest):
    found = groundviz.explain(
        demo, chest.pixels, "Where is the nodule?", target="middle", methods="gradient_attention"
    )
    found, checks = checked(found, demo, "marked_place")
    assert "log-probability of “middle”" in checks["marked_place", "gradient_attention"].says
    assert "weakens “middle”" in found.evidence.verdict()


@pytest.mark.wide
def test_an_answer_that_the_model_would_not_give_is_more_probable_without_the_image(demo, chest):
    found = groundviz.explain(demo, chest.pixels, "Where is the nodule?", answer="left lower zone")
    found, checks = checked(found, demo, "marked_place")
    assert "more probable without it: p " in found.evidence.verdict()
    assert " changes the log-probability by +" in checks["marked_place", "attention"].says


def test_an_answer_that_was_cut_off_is_called_so(demo, chest):
    found = groundviz.explain(
        demo, chest.pixels, "Where is the nodule?", generation={"max_new_tokens": 1}, methods="attention"
    )
    assert "left (p > .99, cut off by its length)" in found.evidence.line()


@pytest.mark.wide
def test_the_same_seed_gives_the_same_numbers_and_another_moves_other_copies(demo, chest, explained):
    once, again = (checked(explained, demo, "marked_place")[0].record.checks for _ in range(2))
    assert once == again
    other = groundviz.explain(
        demo, chest.pixels, "Where is the nodule?", methods="gradient_attention", seed=1, evidence=None
    )
    with_others = checked(other, demo, "sufficient")[1]["sufficient", "gradient_attention"]
    before = checked(explained, demo, "sufficient")[1]["sufficient", "gradient_attention"]
    assert with_others.numbers["log-probability, alone"] == pytest.approx(
        before.numbers["log-probability, alone"], abs=1e-4
    )


def test_other_images_that_are_the_image_itself_are_refused(demo, chest, explained):
    others = [chest.pixels, np.zeros((9, 9), np.uint8), np.ones((9, 9), np.uint8)]
    with pytest.raises(OptionError, match="number 1 of the others is the image that was asked about"):
        checked(explained, demo, "other_images", others=others)
    with pytest.raises(OptionError, match="numbers 2 and 3 of the others are the same image"):
        checked(explained, demo, "other_images", others=[others[1], others[2], others[2]])


def interrupting(monkeypatch, place, name, after):
    """Have a function be interrupted as by Ctrl-C, after so many calls."""
    before, calls = getattr(place, name), []

    def stop(*args, **options):
        calls.append(name)
        if len(calls) > after:
            raise KeyboardInterrupt
        return before(*args, **options)

    monkeypatch.setattr(place, name, stop)


@pytest.mark.parametrize("after", [1, 3])
def test_stability_keeps_what_was_measured_before_a_stop(explained, demo, monkeypatch, after):
    before = fingerprint(demo.model)
    interrupting(monkeypatch, stability, "again", after)
    _, checks = checked(explained, demo, "stability")
    check = checks["stability", "gradient_attention"]
    assert not difference(before, fingerprint(demo.model))
    assert (check.samples.done, check.samples.asked) == (after, 4)
    assert check.partial
    assert len(check.numbers) == after


def test_a_stop_before_any_change_says_nothing_of_the_answer(explained, demo, monkeypatch):
    """Not that the answer was another one, which nobody saw."""
    interrupting(monkeypatch, stability, "again", 0)
    with warnings.catch_warnings(), pytest.raises(KeyboardInterrupt):
        warnings.simplefilter("ignore")
        checked(explained, demo, "stability")


def test_a_map_that_was_interrupted_is_compared_with_nothing(explained, demo, monkeypatch):
    """A stop inside a method, which keeps what it has: that map rests on less than the first one."""
    rise = groundviz.explain(
        demo, explained.source_image, "Where is the nodule?", methods={"rise": {"masks": 32}}, evidence=None
    )
    scores, calls = Live.scores, []

    def stop(live, *args, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return scores(live, *args, **options)

    monkeypatch.setattr(Live, "scores", stop)
    with warnings.catch_warnings(), pytest.raises(KeyboardInterrupt):
        warnings.simplefilter("ignore")
        checked(rise, demo, "stability")


def test_twins_that_were_not_all_read_decide_nothing(explained, demo, monkeypatch):
    whole = needs_image._scores
    monkeypatch.setattr(needs_image, "_scores", lambda *args: dict(list(whole(*args).items())[:2]))
    found, checks = checked(explained, demo, "needs_image")
    assert checks["needs_image", ""].partial
    assert found.evidence.needs_image is None
    assert "needs the image: not measured" in found.evidence.line()


@pytest.mark.wide
@pytest.mark.parametrize("odd", [np.nan, -np.inf])
def test_scores_that_are_no_numbers_decide_nothing(explained, demo, monkeypatch, odd):
    """NaN is not at least as much as anything, so that a map would beat all copies."""
    scores = Live.scores

    def broken(live, targets, site=None, values=None, **more):
        found = scores(live, targets, site, values, **more)
        return found if values is None else found.index_fill(0, torch.tensor([len(found) - 1]), odd)

    monkeypatch.setattr(Live, "scores", broken)
    found, _ = checked(explained, demo, ["needs_image", *ON_REQUEST[:2]])
    for check in found.record.checks:
        if check.name in ("needs_image", *ON_REQUEST[:2]):
            assert (check.verdict, check.value) == ("not measured", None), check.name
    assert found.evidence.needs_image is None
    assert found.evidence.marked_place == {"gradient_attention": None}


@pytest.mark.wide
def test_fills_and_cells_are_made_once(explained, demo, monkeypatch):
    painted, laid = [], []
    repainted, lattices = Live.repainted, covering.lattices
    monkeypatch.setattr(Live, "repainted", lambda *args: painted.append(args[1]) or repainted(*args))
    monkeypatch.setattr(covering, "lattices", lambda *args: laid.append(1) or lattices(*args))
    good = explained.heatmap().values
    checks = ["needs_image", "marked_place", "sufficient"]
    checked(with_maps(explained, attention=good, rise=good), demo, checks)
    assert sorted(paint.__name__ for paint in painted) == ["blurred", "local_mean"]
    assert len(laid) == 2


def test_a_map_that_points_nowhere_asks_for_no_challenge(explained, demo):
    level = with_maps(explained, attention=np.ones((14, 14)))
    assert level.evidence.untested == ()
    assert OnDemand.of(level.record, demo).unchallenged(level.record) == {}
    both = with_maps(explained, attention=np.ones((14, 14)), rise=explained.heatmap().values)
    assert both.evidence.untested == ("rise",)
    assert OnDemand.of(both.record, demo).unchallenged(both.record)["does"]


def test_a_map_is_measured_again_without_a_warning_about_it(explained, demo):
    """A map that is empty on another image is no news to who asked about this one."""
    with groundviz.runtime.borrow(demo) as live:
        live.encode(explained.source_images, "Where is the nodule?")
        read = remeasuring.reading(live, explained.answer)
        maps = remeasuring.again(read, explained.record.target, explained.heatmap())
    np.testing.assert_allclose(maps[0].values, explained.heatmap().values, atol=1e-5)


@pytest.mark.wide
def test_every_check_names_itself_where_it_is_not_measured(explained, demo):
    found, _ = checked(explained, demo, list(CHECKS))
    for check in found.record.checks:
        assert check.says
        assert check.cost == CHECKS.facts(check.name).cost
    assert torch.is_grad_enabled()
