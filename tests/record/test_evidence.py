"""What checks are made into words: the first verdict that applies, and nothing that was not measured."""

from dataclasses import replace

import numpy as np
import pytest

from groundviz.errors import UnknownName
from groundviz.record import store
from groundviz.record.evidence import ABSENCE, SAYS_NOTHING, Evidence, kept, probability
from groundviz.record.types import Check, Samples
from tests.support.records import record as example


def check(name, verdict, **more):
    return Check(name=name, value=1.0, reference=2.0, verdict=verdict, says="It says so.", **more)


def needs(verdict, drop):
    return check("needs_image", verdict, numbers={"blurred": drop, "local mean": drop + 1})


def marked(verdict, method="attention", **more):
    return check("marked_place", verdict, method=method, numbers={"copies": 19.0, "beats": 19.0}, **more)


def evidence(*checks, certificate="certified", flat=False):
    record = example()
    made = replace(record.provenance, certificate=certificate)
    maps = record.heatmaps
    if flat:
        maps = tuple(replace(one, values=np.ones_like(one.values)) for one in maps)
    return Evidence(replace(record, checks=checks, provenance=made, heatmaps=maps))


YES, NO = needs("yes", 3.0), needs("no", 0.05)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (evidence(), "Not measured: the marked place."),
        (evidence(YES), "Not measured: the marked place."),
        (evidence(YES, marked("shown")), "Covering the marked place weakens the answer more than covering"),
        (evidence(YES, marked("shown")), "(beats 19 of 19, with both fills)."),
        (evidence(YES, marked("depends")), "Depends on how the place is covered (one fill of two)."),
        (evidence(YES, marked("not shown")), "right maps also land here."),
        (evidence(NO, marked("shown")), "This answer does not need this image (still "),
        (evidence(NO), "The map is no evidence for it."),
        (evidence(NO, marked("shown"), flat=True), "No map: all cells alike."),
        (evidence(YES, certificate="geometry off by up to 2 patches"), "Misplaced: do not read this map."),
        (evidence(NO, flat=True, certificate="geometry off"), "Misplaced: do not read this map."),
        (evidence(YES, marked("shown", "another")), "Not measured: the marked place."),
        (evidence(YES, marked("shown", samples=Samples(done=7, asked=19))), "Not measured: It says so."),
        (evidence(check("needs_image", "not measured")), "Not measured: the marked place."),
        (evidence(YES, marked("anything else")), "Not measured: the marked place."),
    ],
)
def test_the_first_verdict_that_applies(found, verdict):
    assert verdict in found.verdict("attention")


def test_needs_image_is_true_false_or_unknown():
    assert [evidence(one).needs_image for one in (YES, NO)] == [True, False]
    assert evidence().needs_image is None
    assert evidence(YES).drops == {"blurred": 3.0, "local mean": 4.0}
    assert evidence().drops == {}


def test_the_line_says_what_was_measured_and_what_was_not():
    assert "needs the image: yes · needs the marked place: not measured" in evidence(YES).line()
    assert "needs the image: no" in evidence(NO).line()
    assert "needs the marked place: shown" in evidence(YES, marked("shown")).line("attention")
    assert "(p " in evidence().line()


def test_every_account_ends_with_what_it_does_not_say():
    for found in (evidence(), evidence(YES), evidence(NO)):
        assert list(found.sentences())[-1] == SAYS_NOTHING
    assert ABSENCE in list(evidence(NO).sentences())
    assert ABSENCE not in list(evidence(YES).sentences())
    _, *alone = str(evidence(YES)).splitlines()
    assert alone == [
        "Not measured: the marked place.",
        "Evidence says nothing about whether the answer is right.",
    ]


def test_other_images_stand_in_the_place_of_the_general_remark():
    found = evidence(NO, check("other_images", "yes"))
    assert "It says so." in list(found.sentences())
    assert ABSENCE not in list(found.sentences())


@pytest.mark.parametrize("found", [evidence(), evidence(YES, marked("shown")), evidence(NO)])
def test_nothing_is_called_correct(found):
    assert "correct" not in str(found).lower()


def test_methods_are_told_apart_and_unknown_ones_refused():
    found = evidence(YES, marked("shown"))
    assert found.marked_place["attention"] == "shown"
    assert set(found.marked_place) == {maps.method for maps in found.record.heatmaps}
    with pytest.raises(UnknownName, match="no maps of 'rise'"):
        found.verdict("rise")


def test_checks_are_kept_in_files_and_old_files_have_none():
    found = evidence(YES, marked("not shown", samples=Samples(done=3, asked=19)), check("place", "x"))
    again = store.unpack(store.pack(found.record))
    assert again.checks == found.record.checks
    assert Evidence(again).verdict() == found.verdict()


def test_a_value_that_was_not_measured_is_none_in_a_file():
    found = evidence(replace(check("stability", "not measured"), value=None, reference=None))
    assert store.unpack(store.pack(found.record)).checks[0].value is None


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.5, "= .50"), (0.9999, "> .99"), (0.005, "= .005"), (1e-9, "< .001"), (1.0, "> .99")],
)
def test_probabilities_have_as_many_digits_as_they_need(share, text):
    assert probability(share) == text


@pytest.mark.parametrize(
    ("drop", "text"), [(-1.0, "all"), (0.0, "all"), (0.6931, "50%"), (20.0, "less than 1%")]
)
def test_shares_that_are_left(drop, text):
    assert kept(drop) == text


def test_places_that_were_given_are_spoken_of():
    found = evidence(YES, marked("not shown", "given:lesion"), marked("shown", "given:ring"))
    assert found.places == {"lesion": "not shown", "ring": "shown"}
    told = "Needs a place that was given: not shown (lesion), shown (ring)."
    assert list(found.sentences())[-2:] == [told, SAYS_NOTHING]
    assert not any("given" in one for one in evidence(YES, marked("shown")).sentences())


def test_what_could_not_be_tested_says_why_and_is_left_out_of_what_is_left_to_test():
    found = evidence(YES, check("marked_place", "not measured", method="attention"))
    assert found.verdict("attention") == "Not measured: It says so."
    assert "attention" not in found.untested
    assert "attention" in evidence(YES).untested
    assert "attention" in evidence(YES, marked("shown", samples=Samples(done=7, asked=19))).untested
    assert evidence(YES, flat=True).untested == ()


def test_an_answer_that_the_image_speaks_against_is_more_probable_without_it():
    assert "(more probable without it: p " in evidence(needs("no", -2.0)).verdict()
    assert "(still " in evidence(needs("no", -0.1)).verdict()
