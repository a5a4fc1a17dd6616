"""Reports: words by their definition, labels as scikit-learn has them, results of others from files."""

import json
import sys
import types

import numpy as np
import pytest
from sklearn.metrics import f1_score

from groundviz.errors import MissingExtra, OptionError
from groundviz.metrics.reports import (
    FINDINGS,
    FIVE,
    bleu,
    label_f1,
    matched,
    rad_eval,
    read_labels,
    read_results,
    rouge_l,
)
from groundviz.metrics.statistics import report_bootstrap

TRUTH = ["no pleural effusion or pneumothorax", "the heart is enlarged", "small nodule"]
FOUND = ["no effusion and no pneumothorax", "the heart is enlarged", "clear lungs"]


def longest_common(one, other):
    lengths = np.zeros((len(one) + 1, len(other) + 1), int)
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            lengths[i + 1, j + 1] = lengths[i, j] + 1 if a == b else max(lengths[i, j + 1], lengths[i + 1, j])
    return lengths[-1, -1]


def test_rouge_l_is_f1_of_the_longest_common_subsequence():
    expected = []
    for found, truth in zip(FOUND, TRUTH, strict=True):
        common = longest_common(found.split(), truth.split())
        recall, precision = common / len(truth.split()), common / len(found.split())
        expected.append(2 * recall * precision / (recall + precision) if common else 0.0)
    assert rouge_l(FOUND, TRUTH) == pytest.approx(expected)
    # Without a stemmer, "effusions" is another word.
    assert rouge_l(["effusions"], ["effusion"]) == [0.0]


def test_bleu_is_of_all_reports_together_and_out_of_a_hundred():
    assert bleu(TRUTH, TRUTH) == pytest.approx(100.0)
    found = "the heart is very enlarged today".split()
    truth = "the heart is enlarged today".split()
    matches = []
    for order in range(1, 5):
        runs = [tuple(found[i : i + order]) for i in range(len(found) - order + 1)]
        known = [tuple(truth[i : i + order]) for i in range(len(truth) - order + 1)]
        matches.append((sum(run in known for run in runs), len(runs)))
    # Orders without a match are halved, and halved again (sacrebleu's "exp").
    precisions, half = [], 1.0
    for hits, count in matches:
        if not hits:
            half /= 2
        precisions.append(hits / count if hits else half / count)
    expected = 100 * np.exp(np.mean(np.log(precisions)))
    assert bleu([" ".join(found)], [" ".join(truth)]) == pytest.approx(expected)


@pytest.mark.parametrize("package", ["rouge_score", "sacrebleu"])
def test_without_the_extra_it_says_what_to_install(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.rouge_scorer", None)
    with pytest.raises(MissingExtra, match=r"groundviz\[reports\]"):
        (rouge_l if package == "rouge_score" else bleu)(FOUND, TRUTH)


@pytest.mark.parametrize("call", [rouge_l, bleu])
def test_as_many_reports_as_references(call):
    with pytest.raises(OptionError, match="as many texts"):
        call(FOUND, TRUTH[:2])
    with pytest.raises(OptionError, match="as many texts"):
        call("text", "text")
    with pytest.raises(OptionError, match="no report"):
        call([], [])


def test_labels_are_scored_as_scikit_learn_scores_them():
    draw = np.random.default_rng(0)
    for _ in range(15):
        ours, theirs = (
            draw.choice([1.0, 0.0, -1.0, np.nan], (12, 14), p=[0.2, 0.3, 0.2, 0.3]) for _ in range(2)
        )
        for findings in (FINDINGS, FIVE):
            columns = [FINDINGS.index(name) for name in findings]
            for uncertain, positive in (("negative", [1.0]), ("positive", [1.0, -1.0])):
                found = label_f1(ours, theirs, findings=findings, uncertain=uncertain)
                arrays = [np.isin(labels[:, columns], positive).astype(int) for labels in (theirs, ours)]
                assert found.micro == pytest.approx(
                    f1_score(*arrays, average="micro", zero_division=0), rel=1e-12
                )
                assert found.macro == pytest.approx(
                    f1_score(*arrays, average="macro", zero_division=0), rel=1e-12
                )
                each = f1_score(*arrays, average=None, zero_division=0)
                assert list(found.each.values()) == pytest.approx(each)
                assert list(found.support.values()) == arrays[0].sum(axis=0).tolist()


def test_the_median_of_500_draws_is_close_to_the_number_itself():
    draw = np.random.default_rng(1)
    theirs = draw.choice([1.0, np.nan], (300, 14), p=[0.3, 0.7])
    ours = np.where(draw.random((300, 14)) < 0.8, theirs, np.nan)
    point = label_f1(ours, theirs).micro
    median, low, high = report_bootstrap(300, lambda picked: label_f1(ours[picked], theirs[picked]).micro)
    assert low < point < high
    assert median == pytest.approx(point, abs=0.005)


def test_the_output_of_a_labeller_is_read(tmp_path):
    path = tmp_path / "labelled.csv"
    head = "Report Impression,study," + ",".join(FINDINGS)
    path.write_text(f'{head}\n"text, with a comma",s1,1.0,,-1.0,0.0,,,,,,,,,,\n', "utf-8")
    found = read_labels(path, id_column="study")
    np.testing.assert_array_equal(found["s1"], [1, np.nan, -1, 0, *[np.nan] * 10])
    for content, says in [
        ("study,Edema\n1,1\n", "lacks the columns"),
        (head + "\n", "no row"),
        (head + "\n" + "x,s1,2" + "," * 13 + "\n", "must be 1, 0, -1"),
        (head + "\n" + ("x,s1,1" + "," * 13 + "\n") * 2, "twice"),
    ]:
        path.write_text(content, "utf-8")
        with pytest.raises(OptionError, match=says):
            read_labels(path, id_column="study")
    with pytest.raises(OptionError, match="cannot be read"):
        read_labels(tmp_path / "nothing.csv", id_column="study")


def test_labels_of_another_form_are_refused():
    with pytest.raises(OptionError, match=r"\(report, 14\)"):
        label_f1(np.zeros((2, 5)), np.zeros((2, 5)))
    with pytest.raises(OptionError, match="1, 0, -1 or NaN"):
        label_f1(np.full((1, 14), 3.0), np.zeros((1, 14)))
    with pytest.raises(OptionError, match="give as many"):
        label_f1(np.zeros((2, 14)), np.zeros((1, 14)))
    with pytest.raises(OptionError, match="among"):
        label_f1(np.zeros((1, 14)), np.zeros((1, 14)), findings=("Edemas",))


ROWS = [{"id": "a", "f1": 0.5, "note": "x"}, {"id": "b", "f1": None}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.csv", "id,f1,note\na,0.5,x\nb,,\n"),
        ("r.json", json.dumps(ROWS)),
        ("r.json", json.dumps({"a": {"f1": 0.5, "note": "x"}, "b": {"f1": None}})),
        ("r.jsonl", "\n".join(map(json.dumps, ROWS)) + "\n"),
    ],
)
def test_results_of_others_are_read_by_id(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, "utf-8")
    found = read_results(path)
    values, missing = matched(found, ["b", "a", "c"], "f1")
    np.testing.assert_array_equal(values, [np.nan, 0.5, np.nan])
    assert missing == {"without a result": 2, "results of other reports": 0}
    with pytest.raises(OptionError, match="no number called 'f2'"):
        matched(found, ["a"], "f2")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("r.csv", "name,f1\na,1\n", "no 'id'"),
        ("r.csv", "id,f1\na,1\na,2\n", "twice"),
        ("r.csv", "id,f1\n", "no row"),
        ("r.json", "{", "cannot be read"),
        ("r.json", "3", "neither a list"),
        ("r.json", '{"a": 3}', "neither a list"),
        ("r.jsonl", "3\n", "no 'id'"),
    ],
)
def test_a_file_of_results_says_what_is_wrong_with_it(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_text(content, "utf-8")
    with pytest.raises(OptionError, match=says):
        read_results(path)


def test_rad_eval_is_called_with_two_metrics_alone(monkeypatch):
    calls = []

    class RadEval:
        def __init__(self, **options):
            self.options = options

        def __call__(self, refs, hyps):
            calls.append((self.options, refs, hyps))
            if self.options.get("do_per_sample"):
                return {"radgraph_partial": [0.25, 0.75]}
            return {"radgraph_partial": 0.5}

    module = types.ModuleType("RadEval")
    module.RadEval = RadEval
    monkeypatch.setitem(sys.modules, "RadEval", module)
    found = rad_eval(FOUND[:2], TRUTH[:2], metrics=["radgraph"])
    assert found == {"radgraph_partial": 0.5, "radgraph_partial_each": [0.25, 0.75]}
    assert calls[0] == ({"do_radgraph": True}, TRUTH[:2], FOUND[:2])
    with pytest.raises(OptionError, match="may send texts to a service"):
        rad_eval(FOUND, TRUTH, metrics=["mammo_green"])
    monkeypatch.setitem(sys.modules, "RadEval", None)
    with pytest.raises(MissingExtra, match="read_results"):
        rad_eval(FOUND, TRUTH)
