"""A reader's session: what may be answered, what is kept, and how it goes on after any end."""

import csv
import json
import re
from dataclasses import replace

import pytest

from groundviz import study
from groundviz.errors import OptionError, StoreError
from groundviz.study import responses
from tests.study.conftest import cases

SPECIFIED = (
    "study_id,schema,rater_id,rater_years,session,trial,case_hash,finding,arm_left,arm_right,is_control,repeat_of,"
    "response,likert_loc,delta_conf,misleading,box_x1,box_y1,box_x2,box_y2,opacity,zoomed,t_first_ms,t_total_ms,"
    "comment,ts_utc,app_version,run_id"
)
COMMON = {"zoomed": 0, "opacity": 0.8, "t_first_ms": 300, "t_total_ms": 2000}
REPLIES = {
    "compare": {"response": "A"},
    "mark": {"response": "mark", "box": [1, 2, 30, 40]},
    "rate": {"response": "rating", "likert_loc": 4, "delta_conf": -1, "misleading": 0},
    "answer": {"response": "correct"},
}


def reply(session, **changes):
    shown = session.shown()
    return session.answer({"number": shown.number, **COMMON, **REPLIES[shown.stage], **changes})


def test_a_study_is_read_to_its_end_in_several_sittings(made):
    session = made.session("r1", rater_years=7)
    stages = []
    while session.stage != "done":
        stages.append(session.stage)
        reply(session)
        # Whoever comes back finds what was there, at any moment.
        again = made.session("r1", rater_years=7)
        assert (again.done, again.stage) == (session.done, session.stage)
        if len(stages) == 5:
            session = again
    rows = responses.read(made.files)
    assert len(rows) == len(stages)
    assert session.done == len(session.trials)
    assert {row.session for row in rows[:5]} == {"1"}
    assert {row.session for row in rows[5:]} == {"2"}
    assert {row.rater_years for row in rows} == {"7"}
    marks = [at for at, stage in enumerate(stages) if stage == "mark"]
    assert all(stages[at + 1] == "rate" for at in marks)
    with pytest.raises(OptionError, match="answered already"):
        session.answer({"number": 1})


def test_the_file_has_the_columns_that_were_agreed_on_and_only_grows(made):
    session = made.session("r1")
    before = b""
    for _ in range(4):
        reply(session)
        now = made.files[0].read_bytes()
        assert now.startswith(before)
        before = now
    assert before.decode().splitlines()[0] == SPECIFIED


def test_nothing_that_a_reader_sees_or_that_lies_in_the_folder_names_a_method_or_a_sample(made):
    session = made.session("r1")
    reply(session)
    everything = "".join(
        path.read_text("utf-8") for path in made.folder.rglob("*") if path.suffix in (".json", ".csv")
    )
    names = " ".join(path.name for path in made.folder.rglob("*"))
    for secret in ("attention", "occlusion", "centre", "secret"):
        assert secret not in everything + names
    key = json.loads((made.folder.parent / "study.key.json").read_text("utf-8"))
    assert set(key["arms"].values()) == {"attention", "occlusion", "prior:centre"}
    assert set(key["cases"].values()) == {f"secret-{number}" for number in range(4)}


def test_codes_of_two_studies_have_nothing_in_common(tmp_path):
    one, other = (study.make(cases(2), tmp_path / name) for name in ("one", "other"))
    assert not {*one.arms, *one.priors, *one.cases} & {*other.arms, *other.priors, *other.cases}


def test_a_study_opens_as_it_was_made(original, made):
    assert replace(made, folder=original.folder) == original
    assert made.session("r1").trials == original.session("r1").trials
    with pytest.raises(StoreError, match=re.escape("There is no study in this folder")):
        study.open(made.folder.parent)


@pytest.mark.parametrize(
    ("stage", "wrong", "says"),
    [
        ("compare", {"response": "C"}, "expected one of"),
        ("compare", {"response": None}, "expected one of"),
        ("compare", {"response": ["A"]}, "expected one of"),
        ("compare", {"response": "rating"}, "expected one of"),
        ("compare", {"number": 2}, "answered already"),
        ("compare", {"zoomed": "yes"}, "zoomed was 'yes'"),
        ("compare", {"opacity": float("nan")}, "opacity was nan"),
        ("compare", {"opacity": 1.2}, "opacity was 1.2"),
        ("compare", {"t_total_ms": -1}, "t_total_ms was -1"),
        ("compare", {"comment": "x" * 2001}, "at most 2000 characters"),
        ("mark", {"response": "mark", "box": None}, "No finding was marked"),
        ("mark", {"box": [1, 2, 3]}, "four numbers"),
        ("mark", {"box": [0, 0, 49, 10]}, "outside the image of 64 by 48"),
        ("mark", {"box": [5, 5, 5, 9]}, "or is empty"),
        ("mark", {"box": [float("nan"), 0, 1, 1]}, "outside the image"),
        ("rate", {"likert_loc": 6}, "likert_loc was 6"),
        ("rate", {"likert_loc": 2.5}, "likert_loc was 2.5"),
        ("rate", {"delta_conf": None}, "delta_conf was None"),
    ],
)
def test_an_impossible_reply_is_refused_and_nothing_is_kept(made, stage, wrong, says):
    session = made.session("r1")
    while session.stage != stage:
        reply(session)
    before = len(responses.read(made.files)) if made.files else 0
    with pytest.raises(OptionError, match=re.escape(says)):
        reply(session, **wrong)
    assert (len(responses.read(session.file.parent.glob("*.csv"))), session.stage) == (before, stage)


def test_a_row_that_a_failure_tore_is_judged_again_and_spoils_no_other(made):
    session = made.session("r1")
    for _ in range(3):
        reply(session, comment='a "comment", with a comma')
    content = session.file.read_bytes()
    # In the middle of the last comment, behind its first quotation mark.
    session.file.write_bytes(content[: content.rindex(b'"a ""comm') + 6])
    again = made.session("r1")
    assert again.done == 2
    reply(again)
    reply(again)
    assert [row.trial for row in responses.read(made.files)] == ["1", "2", "3", "4"]


def test_comments_stay_comments(made):
    session = made.session("r1")
    for comment in ("two\nlines", "=HYPERLINK(1)", "-2 of 5", "plain", "ünï\u202e"):
        reply(session, comment=comment)
    comments = [row.comment for row in responses.read(made.files)]
    assert comments == ["two lines", "'=HYPERLINK(1)", "'-2 of 5", "plain", "ünï\u202e"]
    with session.file.open(encoding="utf-8", newline="") as stream:
        assert [row["comment"] for row in csv.DictReader(stream)] == comments


def test_halves_of_letters_are_cleaned_and_kept(made):
    session = made.session("r1")
    reply(session, comment="left \ud800 lung")
    assert [row.comment for row in responses.read(made.files)] == ["left ? lung"]


def test_two_windows_of_a_reader_write_no_trial_twice(made):
    one, other = made.session("r1"), made.session("r1")
    stages = []
    while one.stage != "done":
        stages.append(one.stage)
        stale = {"number": other.shown().number, **COMMON, **REPLIES[other.stage]}
        reply(one)
        with pytest.raises(OptionError, match="answered already, perhaps in another window"):
            other.answer(stale)
        # The other window has gone on, too.
        assert other.shown() == one.shown()
        one, other = other, one
    assert {"compare", "mark", "rate", "answer"} == set(stages)
    assert len(responses.read(made.files)) == len(stages)


def test_no_order_in_the_folder_tells_of_names_or_of_how_cases_were_chosen(tmp_path):
    named = []
    for number in range(12):
        made = study.make(cases(3), tmp_path / f"{number}")
        design = json.loads((made.folder / "study.json").read_text("utf-8"))
        key = json.loads((tmp_path / f"{number}.key.json").read_text("utf-8"))
        assert design["arms"] == sorted(design["arms"])
        assert list(design["cases"]) == sorted(design["cases"])
        written = sorted((made.folder / "maps").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        assert [path.stem.split("-")[1] for path in written[:3]] == sorted(key["arms"])
        named.append([key["arms"][arm] for arm in design["arms"]])
    assert ["attention", "occlusion"] in named
    assert ["occlusion", "attention"] in named


def test_a_study_of_names_that_no_file_can_hold_opens_as_it_was_made(tmp_path):
    odd = [replace(case, finding="nodule \ud800") for case in cases(2)]
    made = study.make(odd, tmp_path / "study")
    assert study.open(made.folder).cases == made.cases


def test_a_reader_has_a_code_and_not_a_name_or_a_path(made):
    for name in ("Dr. Müller", "../r1", "", "a" * 41):
        with pytest.raises(OptionError, match="reader's code"):
            made.session(name)
    assert not list(made.folder.glob("responses/*"))


def test_a_file_of_another_study_is_refused(tmp_path):
    one, other = (study.make(cases(2), tmp_path / name) for name in ("one", "other"))
    reply(one.session("r1"))
    (other.folder / "responses" / "r1.csv").write_bytes(one.files[0].read_bytes())
    with pytest.raises(StoreError, match="another study"):
        other.session("r1")


def test_what_cannot_be_made_is_refused(tmp_path):
    study.make(cases(2), tmp_path / "one")
    with pytest.raises(StoreError, match="not empty"):
        study.make(cases(2), tmp_path / "one", key=tmp_path / "other.json")
    with pytest.raises(StoreError, match="key's place"):
        study.make(cases(2), tmp_path / "two", key=tmp_path / "one.key.json")
    with pytest.raises(OptionError, match="no cases"):
        study.make([], tmp_path / "three")
    with pytest.raises(OptionError, match="passes were"):
        study.make(cases(2), tmp_path / "four", passes=("judge",))
    few = [*cases(1), *cases(1, ("attention",))]
    with pytest.raises(OptionError, match="differ from case to case"):
        study.make(few, tmp_path / "five")
