"""Statistics against published vectors and known truth, and the analysis of readers who follow a rule."""

import csv
import io
import json
import re

import numpy as np
import pytest

from groundviz import study
from groundviz.errors import StoreError
from groundviz.render.report.tables import Number
from groundviz.study import responses
from groundviz.study.agreement import iou, kappa, krippendorff_alpha, reader_ious
from groundviz.study.preference import Comparison, bradley_terry, power, strengths
from groundviz.study.responses import Response

N = None
# "Computing Krippendorff's Alpha-Reliability", 2011, section C.
PUBLISHED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_the_published_table(level, alpha):
    assert krippendorff_alpha(PUBLISHED, level=level) == pytest.approx(alpha, abs=5e-4)


def test_alpha_where_nothing_can_be_told():
    assert np.isnan(krippendorff_alpha([[1, 2, N], [N, N, 3]]))
    assert np.isnan(krippendorff_alpha([[2, 2], [2, 2]]))
    assert krippendorff_alpha([[1, 2, 3], [1, 2, 3]]) == 1.0


def test_kappa_of_a_table_that_was_worked_by_hand():
    # 20 both yes, 15 both no, 5 and 10 apart: (0.7 - 0.5) / (1 - 0.5).
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert kappa(first, second) == pytest.approx(0.4)
    # Weights that grow with the square punish the far miss alone.
    assert kappa([1, 5, 3], [2, 5, 3], ranks=range(1, 6)) > kappa([1, 5, 3], [5, 5, 3], ranks=range(1, 6))
    assert kappa([1, 2, 3], [1, 2, 3], ranks=(1, 2, 3)) == 1.0
    assert np.isnan(kappa([], []))


def test_overlap_of_readers_marks():
    assert iou((0, 0, 4, 4), (2, 2, 6, 6)) == pytest.approx(4 / 28)
    marks = {
        "r1": {"a": (0, 0, 2, 2), "b": None, "c": None},
        "r2": {"a": (0, 0, 2, 2), "b": (0, 0, 1, 1), "c": None},
    }
    assert reader_ious(marks) == [("a", 1.0), ("b", 0.0)]


def test_bradley_terry_finds_the_strengths_that_made_the_judgements():
    true = np.array([0.9, 0.1, -1.0])
    chance = 1 / (1 + np.exp(true[None, :] - true[:, None]))
    found = bradley_terry(20000.0 * chance * (1 - np.eye(3)))
    np.testing.assert_allclose(found, true - true.mean(), atol=1e-3)
    # Two arms have a closed form.
    np.testing.assert_allclose(
        np.diff(bradley_terry(np.array([[0, 29.5], [9.5, 0]]))), [-np.log(3)], atol=1e-9
    )
    assert np.isfinite(bradley_terry(np.array([[0.0, 10.0], [0.0, 0.0]]))).all()


def _judged(rng, readers, cases, spread):
    """Readers who are alike, on cases that are not: what one prefers in a case, the others do, too."""
    for case in range(cases):
        odds = 0.5 + spread * rng.standard_normal()
        for reader in range(readers):
            points = float(rng.random() < 1 / (1 + np.exp(-odds)))
            yield Comparison(rater=f"r{reader}", case=f"c{case}", left="x", right="y", points=points)


def test_intervals_know_that_cases_come_in_clusters():
    rng = np.random.default_rng(0)
    width = {}
    for spread in (0.0, 3.0):
        best, other = strengths(list(_judged(rng, 6, 40, spread)), repeats=200)
        assert best.low < best.strength < best.high
        assert other.strength == pytest.approx(-best.strength)
        width[spread] = best.high - best.low
    assert width[3.0] > 1.3 * width[0.0]
    (alone, _) = strengths([Comparison(rater="r", case="c", left="x", right="y", points=1.0)])
    assert np.isnan(alone.low)


def test_power_rises_with_cases_and_is_small_without_a_preference():
    small, large = (
        power(readers=3, cases=cases, preference=0.7, studies=60, repeats=100) for cases in (10, 120)
    )
    assert small < large
    assert large > 0.85
    assert power(readers=4, cases=40, preference=0.5, studies=100, repeats=100) < 0.25


def read_by_rule(made, rater, rule, years=5):
    """A reader who follows a rule: names of both arms to a response. Attention is rated high."""
    key = json.loads((made.folder.parent / "study.key.json").read_text("utf-8"))
    session = made.session(rater, rater_years=years)
    while session.trial is not None:
        trial, stage = session.trial, session.stage
        left, right = key["arms"].get(trial.left), key["arms"].get(trial.right)
        reply = {
            "number": session.shown().number,
            "zoomed": 0,
            "opacity": 1,
            "t_first_ms": 1,
            "t_total_ms": 2,
        }
        if stage == "compare":
            reply["response"] = rule(left, right)
        elif stage == "mark":
            reply |= {"response": "mark", "box": [4, 4, 20, 20]}
        elif stage == "rate":
            likert = {"attention": 5, "occlusion": 3}.get(left, 1)
            reply |= {"response": "rating", "likert_loc": likert, "delta_conf": 0, "misleading": 0}
        else:
            reply["response"] = "correct"
        session.answer(reply)


def sees(left, right):
    """Prefers attention to occlusion to anything else, and no side of the same."""
    order = ["attention", "occlusion", "prior:centre"]
    if left == right:
        return "tie"
    return "A" if order.index(left) < order.index(right) else "B"


@pytest.fixture(scope="module")
def read(original):
    made = original
    read_by_rule(made, "r1", sees)
    read_by_rule(made, "r2", sees)
    read_by_rule(made, "blind", lambda left, right: "A")
    yield made
    for path in made.folder.glob("responses/*"):
        path.unlink()


def table(found, name):
    (one,) = [table for table in found.tables if table.name == name]
    return one


def test_readers_who_see_and_one_who_does_not(read):
    found = study.analyse([read.folder], key=read.folder.parent / "study.key.json", repeats=50)
    assert (found.readers, found.blinded) == (3, False)
    assert [row[0] for row in table(found, "preference").rows] == ["attention", "occlusion", "prior:centre"]
    controls = {row[0]: row for row in table(found, "controls").rows}
    assert controls["r1"][1] == "1 of 1"
    assert controls["r1"][2] == "0 left, 0 right of 1"
    assert controls["blind"][2] == "1 left, 0 right of 1"
    assert controls["blind"][3] == Number(1.0, percent=True)
    ratings = {row[0]: row[1].value for row in table(found, "ratings").rows}
    assert ratings == {"attention": 5.0, "occlusion": 3.0, "prior:centre": 1.0}
    tests = table(found, "rating_tests").rows
    assert tests[0][:3] == ("localisation, 1 to 5", "attention", "occlusion")
    assert tests[0][3].value == 2.0
    agreement = {row[0]: row[1].value for row in table(found, "agreement").rows}
    assert agreement["localisation, 1 to 5: alpha between readers"] == 1.0
    assert agreement["localisation, 1 to 5: kappa within readers"] == 1.0
    assert agreement["marked findings: IoU between readers"] == 1.0
    assert table(found, "answers").rows[0] == ("blind", 4, 0, 0, 0)


def test_without_the_key_the_analysis_stays_blind(read, tmp_path):
    found = study.analyse(sorted(read.files), repeats=20)
    assert found.blinded
    text = str(found)
    assert "attention" not in text
    written = found.save(tmp_path / "out")
    assert {path.suffix for path in written} == {".md", ".json", ".csv", ".tex"}
    kept = json.loads((tmp_path / "out" / "study.json").read_text("utf-8"))
    assert len(kept["tables"]["preference"]["rows"]) == 3
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "preference.csv").read_text("utf-8"))))
    assert float(rows[0]["strength (log-odds)"]) > float(rows[0]["strength (log-odds) low"])


def test_a_trial_counts_once_however_often_its_line_is_there(read, tmp_path):
    found = study.analyse([read.folder], repeats=20)
    assert found.left_out == 0
    assert "left out" not in str(found)
    copied = tmp_path / "r1 (copy).csv"
    lines = (read.folder / "responses" / "r1.csv").read_text("utf-8").splitlines()
    # Whoever has the same code and came later judged otherwise, and does not count.
    later = [line.replace(",A,", ",B,").replace("T", "T9", 1) for line in lines[1:]]
    copied.write_text("\n".join([lines[0], *later]) + "\n", "utf-8")
    twice = study.analyse([copied, read.folder, read.folder / "responses" / "blind.csv"], repeats=20)
    blind = len((read.folder / "responses" / "blind.csv").read_text("utf-8").splitlines()) - 1
    assert (twice.responses, twice.left_out) == (found.responses, len(later) + blind)
    assert str(twice).endswith(str(found).partition("\n\n")[2])
    assert f"{twice.left_out} more are left out" in str(twice)
    twice.save(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "study.json").read_text("utf-8"))["left_out"] == twice.left_out


def test_what_cannot_be_analysed_is_refused(read, tmp_path):
    key = tmp_path / "key.json"
    key.write_text(json.dumps({"study_id": "other", "arms": {}}), "utf-8")
    with pytest.raises(StoreError, match="key is of study other"):
        study.analyse([read.folder], key=key)
    (tmp_path / "no.csv").write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(StoreError, match=re.escape("columns ['app_version'")):
        study.analyse([tmp_path / "no.csv"])
    with pytest.raises(StoreError, match="not there"):
        study.analyse([tmp_path / "nowhere.csv"])
    with pytest.raises(StoreError, match="no response"):
        study.analyse([])
    other = Response(study_id="x", rater_id="r", session="1", trial="1", case_hash="c", response="A")
    responses.append(tmp_path / "x.csv", other)
    with pytest.raises(StoreError, match="of 2 studies"):
        study.analyse([read.folder, tmp_path / "x.csv"])
