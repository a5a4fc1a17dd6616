"""What was checked, in words: the same for every host, grouped where methods differ, and never a guess."""

import json
from dataclasses import replace

import pytest

from groundviz.record.evidence import ABSENCE, SAYS_NOTHING, Evidence
from groundviz.record.types import Samples
from groundviz.render.base import checked, summary
from groundviz.render.base.cards import card
from tests.support import records

PLAIN = replace(records.record(), checks=())
NEEDS = records.checked(PLAIN, "yes")
NOT = records.checked(PLAIN, "no")
BOTH = records.checked(PLAIN, "yes", attention="not shown", occlusion="shown")
ONE = records.checked(PLAIN, "yes", occlusion="depends")


@pytest.mark.parametrize(
    ("record", "shown", "line"),
    [
        (PLAIN, None, "needs the image: not measured · needs the marked place: not measured"),
        (NEEDS, None, "needs the image: yes · needs the marked place: not measured"),
        (NOT, None, "needs the image: no · needs the marked place: not measured"),
        (
            BOTH,
            None,
            "needs the image: yes · needs the marked place: not shown (Attention), shown (Occlusion)",
        ),
        (BOTH, ["occlusion"], "needs the image: yes · needs the marked place: shown"),
        (ONE, ["occlusion", "occlusion"], "needs the image: yes · needs the marked place: depends"),
        (
            ONE,
            ["occlusion", "attention"],
            "needs the image: yes · needs the marked place: depends (Occlusion), not measured (Attention)",
        ),
        (replace(NEEDS, heatmaps=()), None, "needs the image: yes · needs the marked place: not measured"),
    ],
)
def test_the_line(record, shown, line):
    assert checked.line(record, shown) == line


def test_the_answer_stands_first_in_one_line_however_long_it_is():
    (asked, found), *_ = checked.facts(NEEDS)
    assert (asked, found) == ("answer", "nodule in the left upper zone. (p = .35)")
    report = replace(NEEDS.answer, text="No effusion.\nThe heart is large. " * 20)
    (_, found), *_ = checked.facts(replace(NEEDS, answer=report))
    assert len(found) < 80
    assert "\n" not in found
    assert "… (p " in found


def test_verdicts_that_differ_name_their_methods_and_one_that_is_shared_does_not():
    different = checked.verdicts(BOTH)
    assert different[0].startswith("Attention: Not shown")
    assert different[1].startswith("Occlusion: Covering the marked place weakens the answer more")
    assert different[2:] == [SAYS_NOTHING]
    [alone, _] = checked.verdicts(BOTH, ["occlusion"])
    assert alone.startswith("Covering the marked place")
    shared, absent, last = checked.verdicts(NOT)
    assert shared.startswith("This answer does not need this image (still p = .33 without it)")
    assert (absent, last) == (ABSENCE, SAYS_NOTHING)


def test_where_nothing_was_measured_no_verdict_repeats_it():
    assert checked.verdicts(PLAIN) == [SAYS_NOTHING]
    assert checked.sentences(PLAIN) == [
        "Needs the image: not measured; needs the marked place: not measured.",
        SAYS_NOTHING,
    ]


def test_checks_stand_in_groups_with_their_units_and_everything_that_was_measured():
    answer, attention, _ = checked.groups(BOTH)
    assert (answer.name, attention.name) == ("The answer", "Attention")
    assert answer.rows == (
        (
            "Needs image",
            "yes",
            "3 nats",
            "0.693 nats",
            "The image was blurred. Measured: blurred: 3; local mean: 4.",
            "3 forwards; a paper",
        ),
    )
    [row] = attention.rows
    assert row[1:4] == ("not shown", "p = .05", "p = .05")
    assert all(len(row) == len(checked.HEAD) for group in checked.groups(BOTH) for row in group.rows)


def test_a_check_that_was_interrupted_has_no_outcome_and_says_how_far_it_came():
    (image, place) = ONE.checks
    partial = replace(ONE, checks=(image, replace(place, samples=Samples(done=7, asked=19))))
    [row] = list(checked.groups(partial))[1].rows
    assert row[1] == "not measured (partial: 7 of 19 steps)"
    assert checked.line(partial, ["occlusion"]).endswith("needs the marked place: not measured")
    assert "Not measured: The place was covered." in checked.verdicts(partial, ["occlusion"])[0]


def test_no_text_hides_or_reorders_its_neighbours():
    check = replace(NEEDS.checks[0], name="\u202ename", says="a\0b", unit="\u200b", numbers={"\x1b": 1.0})
    told = json.dumps(checked.payload(replace(NEEDS, checks=(check,))), ensure_ascii=False)
    for hidden in ("\u202e", "\\u0000", "\u200b", "\\u001b"):
        assert hidden not in told


def test_the_viewer_is_told_of_the_answer_alone_and_of_each_method():
    found = checked.payload(BOTH)
    assert [one["method"] for one in found["known"]] == ["", "attention", "occlusion"]
    assert found["known"][0]["facts"][-1] == ("needs the marked place", "not measured")
    assert found["known"][2]["facts"][-1] == ("needs the marked place", "shown")
    assert len(found["verdicts"]) == 2
    assert checked.payload(NOT)["verdicts"] == []
    assert ABSENCE in checked.payload(NOT)["always"]


def test_a_line_of_text_and_a_notebook_say_it_too():
    assert "; needs the image: no; maps: " in summary.of(NOT)
    assert "needs the image: not measured" in summary.of(PLAIN)
    shown = card(Evidence(BOTH))
    assert SAYS_NOTHING in shown
    assert shown.count("<table>") == 3
    assert Evidence(BOTH)._repr_html_() == shown
