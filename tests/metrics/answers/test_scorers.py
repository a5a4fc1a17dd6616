"""Each scorer on the inputs on which the published scripts differ, and on what they drop."""

import math
import random
import warnings

import nltk.translate.bleu_score as nltk_bleu
import pytest

from groundviz.errors import OptionError, UnknownName
from groundviz.metrics import published
from groundviz.metrics.answers import SCORERS, average_of_six, pair, score_answers, side_by_side

HIT, MISS, LEFT_OUT = 1.0, 0.0, None


@pytest.mark.parametrize(
    ("truth", "prediction", "sigphi", "llava_med", "run_eval", "strict"),
    [
        ("no", "There is an abnormality", HIT, HIT, HIT, MISS),
        ("male", "female", HIT, HIT, MISS, MISS),
        ("MRI", "MRI", HIT, HIT, MISS, HIT),
        ("Right.", "right", MISS, HIT, MISS, HIT),
        ("no", "normal", HIT, HIT, HIT, MISS),
        ("no", "cannot determine", HIT, HIT, HIT, MISS),
        ("yes", "no", MISS, MISS, LEFT_OUT, MISS),
        ("yes", "Yes", HIT, HIT, HIT, HIT),
        ("yes", "Yes, there is.", HIT, HIT, HIT, MISS),
        ("two", "2", MISS, HIT, MISS, MISS),
    ],
)
def test_closed_questions_as_each_script_scores_them(truth, prediction, sigphi, llava_med, run_eval, strict):
    row = {"id": "1", "prediction": prediction, "reference": truth, "answer_type": "CLOSED"}
    found = side_by_side([row])
    numbers = {name: scores.answers[0].numbers for name, scores in found.items()}
    assert numbers["sigphi"]["accuracy"] == sigphi
    assert numbers["llava_med"]["accuracy"] == llava_med
    earlier = numbers["llava_med"]["accuracy_run_eval"]
    assert earlier == run_eval or (run_eval is LEFT_OUT and math.isnan(earlier))
    assert numbers["strict"]["accuracy"] == strict


@pytest.mark.parametrize(
    ("prediction", "reference", "recall", "precision", "exact"),
    [
        ("left left left", "left lung", 0.75, 1.0, 1 / 3),
        ("lung left", "left lung", 1.0, 1.0, 1.0),
        ("", "left lung", 0.0, 0.0, 0.0),
        ("the a", "left lung", 0.0, 0.0, 0.0),
        ("left", "the", 0.0, 0.0, 0.0),
        ("a", "the", 0.0, 0.0, 0.0),
        ("left", "left lung lung", 1 / 3, 1.0, 1.0),
    ],
)
def test_open_questions_are_scored_by_words(prediction, reference, recall, precision, exact):
    for name in ("sigphi", "llava_med"):
        found = SCORERS[name].score(prediction, reference, "open")
        assert (found["recall"], found["precision"], found["exact"]) == pytest.approx(
            (recall, precision, exact)
        )


def test_the_strict_one_counts_words_as_often_as_both_have_them():
    found = SCORERS["strict"].score("left left left", "left lung", "open")
    assert (found["accuracy"], found["recall"], found["precision"]) == (0.0, 0.5, pytest.approx(1 / 3))
    assert SCORERS["strict"].score("Lung, left", "left lung", "open")["accuracy"] == 0.0
    assert SCORERS["strict"].score("The left lung.", "left lung", "open")["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("prediction", "reference", "accuracy"),
    [
        ("", "A", MISS),
        ("The", "A", MISS),
        ("...", "A", MISS),
        ("(a)", "A", HIT),
        ("", "?", MISS),
        ("!", "?", MISS),
        ("?", "?", HIT),
        ("", "", MISS),
        ("+", "-", MISS),
        ("-", "-", HIT),
        ("<5 mm", ">5 mm", MISS),
        ("< 5 mm.", "<5 mm", HIT),
        ("HER2+", "HER2-", MISS),
        ("\u0926\u094b", "\u0926\u093e", MISS),
        ("\u0e0b\u0e49\u0e32\u0e22", "\u0e0b\u0e32\u0e22", MISS),
    ],
)
def test_the_strict_one_takes_no_two_texts_for_alike_that_are_not(prediction, reference, accuracy):
    found = SCORERS["strict"].score(prediction, reference, "closed")
    assert found["accuracy"] == accuracy
    # An exact match shares all of its words.
    assert accuracy == MISS or found["f1"] == 1.0


def test_single_orders_of_bleu_are_nltks():
    stream = random.Random(0)
    words = "left right lung upper of".split()
    smoothed = nltk_bleu.SmoothingFunction().method1
    for _ in range(300):
        prediction = stream.choices(words, k=stream.randrange(1, 7))
        reference = stream.choices(words, k=stream.randrange(1, 6))
        texts = " ".join(prediction), " ".join(reference)
        for order, weights in ((1, (1, 0, 0, 0)), (2, (0, 1, 0, 0)), (3, (0, 0, 1, 0))):
            expected = nltk_bleu.sentence_bleu([reference], prediction, weights, smoothing_function=smoothed)
            assert SCORERS["sigphi"].score(*texts, "open")[f"bleu_{order}"] == pytest.approx(
                expected, abs=1e-12
            )
            found = SCORERS["llava_med"].score(*texts, "open")[f"bleu_{order}"]
            if found > 1e-300:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    plain = nltk_bleu.sentence_bleu([reference], prediction, weights)
                assert found == pytest.approx(plain, abs=1e-12)


def rows(*types):
    return [
        {"id": number, "prediction": "yes", "reference": "yes", "answer_type": each}
        for number, each in enumerate(types)
    ]


def test_what_each_drops_is_counted():
    given = rows("OPEN", "open", "CLOSED", "close", "CLOSED ", "closed", "yes/no", None, "other")
    found = side_by_side(given)
    assert dict(found["sigphi"].dropped) == {
        "answer_type 'CLOSED '": 1,
        "answer_type 'yes/no'": 1,
        "answer_type None": 1,
        "answer_type 'other'": 1,
    }
    assert (found["sigphi"].count("open"), found["sigphi"].count("closed")) == (2, 3)
    assert sum(found["llava_med"].dropped.values()) == 5
    assert found["strict"].dropped == {}
    assert (found["strict"].count("open"), found["strict"].count("closed")) == (2, 7)
    assert found["strict"].sources == {"publisher": 7, "inferred from the reference": 2}
    assert score_answers(rows("report"), "strict").dropped == {"answer_type 'report'": 1}


def test_a_missing_prediction_is_wrong_for_the_strict_one_and_dropped_by_the_others():
    given = [{"id": 1, "prediction": None, "reference": "no", "answer_type": "CLOSED"}]
    found = side_by_side(given)
    assert found["strict"].mean("closed") == 0.0
    assert found["strict"].dropped == {"no prediction, scored as wrong": 1}
    assert found["sigphi"].dropped == {"no prediction": 1}
    assert math.isnan(found["sigphi"].mean("closed"))
    assert score_answers([{**given[0], "reference": None}], "strict").dropped == {"no reference": 1}


def test_wrong_answers_that_the_earlier_scripts_leave_out_are_counted():
    given = [
        {"id": 1, "prediction": "yes", "reference": "no", "answer_type": "CLOSED"},
        {"id": 2, "prediction": "no", "reference": "no", "answer_type": "CLOSED"},
    ]
    found = score_answers(given, "llava_med")
    assert found.mean("closed") == 50.0
    assert found.mean("closed", "accuracy_run_eval") == 100.0
    assert found.dropped == {"wrong with a yes or a no, left out by accuracy_run_eval alone": 1}
    printed = [row for row in found.rows() if row["printed"]]
    assert [(row["number"], row["percent"], row["n"]) for row in printed] == [("accuracy", 50.0, 2)]
    assert [row["n"] for row in found.rows() if row["number"] == "accuracy_run_eval"] == [1]


def test_answers_find_their_references_by_id_or_are_paired_as_they_stand():
    references = [{"id": n, "reference": str(n), "answer_type": "OPEN"} for n in (1, 2, 3)]
    predictions = [{"id": n, "prediction": str(n)} for n in (2, 1, 4)]
    by_id, counts = pair(references, predictions)
    assert [row["prediction"] for row in by_id] == ["1", "2", None]
    assert counts == {"reference without a prediction": 1, "prediction without a reference": 1}
    as_they_stand, counts = pair(references, predictions[:2], by="position")
    assert [row["prediction"] for row in as_they_stand] == ["2", "1"]
    assert counts == {"paired with the prediction of another id": 2, "without a partner": 1}
    with pytest.raises(OptionError, match="repeat an id"):
        pair(references, [*predictions, predictions[0]])
    with pytest.raises(OptionError, match="not by 'order'"):
        pair(references, predictions, by="order")


def test_numbers_are_texts_too():
    given = [{"id": 1, "prediction": 2, "reference": 2, "answer_type": "OPEN"}]
    assert score_answers(given, "strict").mean("open") == 100.0


def test_what_does_not_fit_is_refused():
    with pytest.raises(UnknownName, match="sigphi, llava_med, strict"):
        score_answers([], "gpt")
    with pytest.raises(OptionError, match="lacks answer_type"):
        score_answers([{"id": 1, "prediction": "", "reference": ""}], "strict")
    with pytest.raises(OptionError, match="two rows"):
        score_answers([*rows("OPEN"), *rows("OPEN")], "strict")


@pytest.mark.parametrize(
    "row", [row for row in published.VQA_ROWS if row.numbers], ids=lambda row: row.setting
)
def test_the_published_averages_are_means_of_six(row):
    assert average_of_six(row.numbers) == pytest.approx(row.average, abs=0.006)
    assert row.caveats


def test_a_lead_of_eleven_questions_is_what_it_is_called():
    closed = published.VQA_TEST_SETS["vqa_rad"][3]
    lead = (88.24 - 84.19) / 100 * closed
    assert round(lead) == 11
    assert math.sqrt(0.8824 * (1 - 0.8824) / closed) * 100 == pytest.approx(1.95, abs=0.01)
    for images, questions, open_ones, closed_ones in published.VQA_TEST_SETS.values():
        assert questions == open_ones + closed_ones > images
