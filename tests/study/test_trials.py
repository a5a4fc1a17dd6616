"""The order of a study: balanced, with its controls, frozen by its seed, and another for every reader."""

from collections import Counter
from itertools import pairwise

import pytest

from groundviz.errors import OptionError
from groundviz.study.trials import IDENTICAL_SHARE, PRIOR_SHARE, REPEAT_SHARE, controls_for, ordered

CASES = [f"case{number:02}" for number in range(20)]


def order(cases=CASES, arms=("x", "y"), priors=("p",), passes=("compare",), rater="r1", seed=0):
    return ordered(cases, arms, priors, passes=passes, study_id="s", rater_id=rater, seed=seed)


@pytest.mark.parametrize("pairs", [1, 7, 20, 33, 100, 999])
def test_controls_make_up_at_least_their_shares_and_not_many_more(pairs):
    prior, identical, repeats = controls_for(pairs)
    total = pairs + prior + identical + repeats
    for count, share in ((prior, PRIOR_SHARE), (identical, IDENTICAL_SHARE), (repeats, REPEAT_SHARE)):
        assert share * total <= count + 1e-9 < share * total + 1


def test_every_case_meets_every_pair_and_the_controls_are_all_there():
    trials = order(arms=("x", "y", "z"))
    real = [one for one in trials if not one.control and not one.repeat_of]
    assert Counter(tuple(sorted((one.left, one.right))) for one in real) == {
        ("x", "y"): 20,
        ("x", "z"): 20,
        ("y", "z"): 20,
    }
    assert {one.case for one in real} == set(CASES)
    prior, identical, repeats = controls_for(60)
    assert len([one for one in trials if one.control == "prior" and not one.repeat_of]) == prior
    assert len([one for one in trials if one.control == "identical"]) == identical
    assert len([one for one in trials if one.repeat_of]) == repeats
    assert [one.number for one in trials] == list(range(1, len(trials) + 1))
    assert all(one.left == one.right for one in trials if one.control == "identical")
    assert all("p" in (one.left, one.right) for one in trials if one.control == "prior")


@pytest.mark.parametrize("rater", ["r1", "r2", "r3"])
def test_each_side_has_each_arm_in_half_of_the_cases(rater):
    real = [one for one in order(rater=rater) if not one.control and not one.repeat_of]
    assert Counter(one.left for one in real) == {"x": 10, "y": 10}


def test_repeats_come_later_with_sides_exchanged_and_name_their_first_trial():
    trials = order()
    by_number = {one.number: one for one in trials}
    repeats = [one for one in trials if one.repeat_of]
    assert repeats
    for one in repeats:
        first = by_number[one.repeat_of]
        assert (first.case, first.left, first.right) == (one.case, one.right, one.left)
        assert one.number - first.number >= 6
        assert first.repeat_of == 0


def test_no_case_follows_itself():
    for rater in ("a", "b", "c", "d"):
        trials = [one for one in order(rater=rater, arms=("x", "y", "z")) if not one.repeat_of]
        again = sum(one.case == other.case for one, other in pairwise(trials))
        assert again <= 1


def test_the_order_is_frozen_by_the_seed_and_differs_between_readers():
    assert order() == order()
    assert order() != order(rater="r2")
    assert order() != order(seed=1)


def test_answers_are_judged_after_every_map():
    trials = order(passes=("answer", "rate", "compare"))
    parts = [one.part for one in trials]
    assert parts == sorted(parts, key=["compare", "rate", "answer"].index)
    by_number = {one.number: one for one in trials}
    rated = [one for one in trials if one.part == "rate" and one.repeat_of]
    assert rated
    assert all(by_number[one.repeat_of].case == one.case for one in rated)
    assert all(by_number[one.repeat_of].part == "rate" for one in rated)


def test_one_method_is_compared_with_a_prior_and_nothing_with_nothing():
    trials = [one for one in order(arms=("x",)) if not one.control]
    assert {frozenset((one.left, one.right)) for one in trials} == {frozenset("xp")}
    with pytest.raises(OptionError, match="nothing to compare: 1 arms and 0 priors"):
        order(arms=("x",), priors=())
