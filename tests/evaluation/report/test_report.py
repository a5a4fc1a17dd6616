"""The report of a run whose truth is known: numbers, verdicts, files, and what it keeps to itself."""

import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from groundviz import images
from groundviz.datasets.sample import Region
from groundviz.errors import ImageError, OptionError, StoreError
from groundviz.evaluation.report import (
    drawn,
    faithfulness,
    gallery,
    published,
    report,
    reviewers,
    sections,
    writing,
)
from groundviz.evaluation.report.gallery import record_of
from groundviz.evaluation.report.headline import headline, verdicts
from groundviz.evaluation.report.results import Results, name_of, title_of
from groundviz.metrics.statistics import cluster_bootstrap, sign_flip
from groundviz.render.report.tables import Number
from groundviz.study import cases_of
from tests.evaluation.report.conftest import COUNT, MadeRun
from tests.support.browser import needs_browser


@pytest.fixture(scope="module")
def results(run):
    return Results(run, repeats=200)


@pytest.fixture(scope="module")
def written(run):
    report(run, repeats=100)
    return run.path / "report"


def row(table, name):
    (found,) = [dict(zip(table.head, one, strict=True)) for one in table.rows if one[0] == name]
    return found


def test_means_are_those_of_the_scores_and_intervals_are_by_cluster(run, results):
    scores = run.scores()
    chosen = [
        value
        for method, metric, value in zip(scores["method"], scores["metric"], scores["value"], strict=True)
        if (method, metric) == ("good", "energy")
    ]
    found = row(sections.grounding(results), name_of("good"))
    assert found["energy"].value == pytest.approx(np.nanmean(chosen))
    values = results.values("good", "energy")
    interval = cluster_bootstrap(values, results.clusters, repeats=200, seed=0)
    assert (found["energy"].low is None) == np.isnan(interval.low)
    references = sum(bool(sample.regions) for sample in run.dataset.samples[:COUNT])
    assert found["n / patients"] == f"{references} / {interval.clusters}"


def test_priors_and_controls_are_rows_beside_every_method(results):
    table = sections.grounding(results)
    named = ("good", "shuffled:good", "blind", "prior:random", "prior:centre")
    assert [one[0] for one in table.rows] == [name_of(one) for one in named]
    assert table.strong == {3, 4}
    gain = row(table, name_of("good"))[f"Δ pointing game vs {name_of('prior:centre')}"]
    difference = results.values("good", "pointing") - results.values("prior:centre", "pointing")
    assert gain.value == pytest.approx(np.nanmean(difference))


def test_a_method_that_marks_the_reference_beats_the_priors_and_one_that_marks_the_centre_does_not(results):
    found = verdicts(results)
    assert found["good", "prior:centre"].kind == "better"
    assert found["blind", "prior:centre"].kind == "not shown"
    good, blind, tested = headline(results)
    assert (
        "is better than every map here that never saw the image, by the pointing game on 22 samples" in good
    )
    # With its number and its p: 9 patients have 2 of 512 flips as far from zero, and there are 4 comparisons.
    assert "of 9 patients. Mean differences: 0.62 to the random order (p = 0.016), 0.49 to the centre" in good
    assert "ahead" not in good
    assert "not shown to be better" in blind
    assert "no difference from the centre prior is shown (difference 0.00, p = 1.000)" in blind
    assert "over all findings together" in tested
    assert "corrected after Holm over 4 comparisons" in tested
    assert "There are no intervals: they take at least 10 patients." in tested


def of_patients(place, count):
    """The run with its samples shared out to so many patients."""
    made = MadeRun(place)
    codes = [f"patient {at % count}" for at in range(COUNT)]
    object.__setattr__(made, "_answers", {**made.answers(), "cluster_id": codes})
    return Results(made, repeats=50)


def test_of_few_patients_nothing_is_told_that_no_data_of_theirs_could_tell(tmp_path):
    one = of_patients(tmp_path, 1)
    assert {found.kind for found in verdicts(one).values()} == {"too few"}
    good, *_ = headline(one)
    assert good.startswith("There are too few patients to tell whether Good is better")
    assert "22 samples of 1 patient, no corrected p below 1.000 is possible" in good
    assert (
        "Mean differences of the pointing game: 0.62 to the random order, 0.49 to the centre prior." in good
    )
    assert writing.described(one, public=True).warned
    for few in (sections.grounding(one), sections.findings(one)):
        assert "no test of this table could give a p below 0.05" in few.note
    # Four comparisons of six patients can reach 4 * 2 / 64, of eight 4 * 2 / 256.
    assert {found.kind for found in verdicts(of_patients(tmp_path, 6)).values()} == {"too few"}
    assert "too few" not in {found.kind for found in verdicts(of_patients(tmp_path, 8)).values()}


def test_a_prior_that_was_not_measured_is_not_beaten(tmp_path):
    made = MadeRun(tmp_path)
    scores = made.scores()
    values = [
        None if method == "prior:random" else value
        for method, value in zip(scores["method"], scores["value"], strict=True)
    ]
    object.__setattr__(made, "_scores", {**scores, "value": values})
    good, *_ = headline(Results(made, repeats=50))
    assert good.endswith("; not measured beside the random order.")


def test_notes_promise_no_interval_that_is_not_there(tmp_path, results):
    many = of_patients(tmp_path, 12)
    for table in (sections.grounding, sections.findings, sections.by_size, sections.everything):
        assert "There are no intervals" in table(results).note
        assert "95 %" not in table(results).note
        numbers = [cell for row in table(many).rows for cell in row if isinstance(cell, Number)]
        told = "95 % intervals are of a cluster bootstrap by patient" in table(many).note
        assert told == any(one.has_interval for one in numbers)
    assert "95 % intervals" in sections.grounding(many).note
    assert "There are no intervals" in drawn.drawn(results)[0].figure.caption
    assert "95 % intervals" in drawn.drawn(many)[0].figure.caption


def test_the_caption_of_sizes_tells_of_lines_only_where_some_are_drawn(results):
    few = Results(results.run, repeats=2)
    known = np.flatnonzero(np.isfinite(few.areas))
    for method in few.methods:
        few.values(method, "pointing")[known[9:]] = np.nan
    for shown, lines in ((results, True), (few, False)):
        (figure,) = [one.figure for one in drawn.drawn(shown) if one.name == "sizes"]
        assert ("lines: means of neighbours in size" in figure.caption) == lines


def test_titles_name_the_data_and_not_the_version_of_its_format(run):
    assert writing.subject(run.manifest) == "tiny on phantoms"
    own = {
        **run.manifest,
        "dataset": {**run.manifest["dataset"], "name": "folder", "path": "/home/me/chests"},
    }
    assert writing.subject(own) == "tiny on the folder chests"
    # A folder may be named after a patient, or a hospital.
    assert writing.subject(own, public=True) == "tiny on a folder"


def test_wrong_answers_are_told_by_a_word(results):
    judged = results.judged
    at = judged.index("wrong")
    assert drawn.answer_of(results, at) == "wrong: no <b>idea"
    at = judged.index("correct")
    assert drawn.answer_of(results, at) == results.answers["text"][at]


def test_where_a_prior_beats_a_method_the_report_says_so_by_itself(tmp_path):
    worse = MadeRun(tmp_path)
    scores = dict(worse.scores())
    # The method that marked the reference now misses it always.
    changed = [
        0.0 if method == "good" and metric == "pointing" else value
        for method, metric, value in zip(scores["method"], scores["metric"], scores["value"], strict=True)
    ]
    better = [
        1.0 if method == "prior:centre" and metric == "pointing" else value
        for method, metric, value in zip(scores["method"], scores["metric"], changed, strict=True)
    ]
    object.__setattr__(worse, "_scores", {**scores, "value": better})
    first, *_ = headline(Results(worse, repeats=50))
    assert "the centre prior beats it (difference \u22121.00" in first
    report(worse, repeats=50)
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "the centre prior beats it" in page
    assert 'class="lead beware"' in page


def test_correct_by_grounded_counts_every_sample_once(results):
    table = sections.reasons(results)
    right, grounded = results.correct(), results.grounded("good")
    both = np.isfinite(right) & np.isfinite(grounded)
    found = row(table, name_of("good"))
    assert found["correct, grounded"] == int(((right == 1) & (grounded == 1) & both).sum())
    assert sum(value for name, value in found.items() if "," in name) == both.sum()
    quadrants = [one for one in sections.quadrants(results).rows if one[0] == name_of("good")]
    assert sum(one[3] + one[4] for one in quadrants) == np.isfinite(grounded).sum()


def test_nothing_is_left_out_without_being_counted(results):
    counts = dict(sections.statuses(results).rows)
    assert counts["asked"] == COUNT
    assert counts["ended with status 'oom'"] == 1
    assert counts["left out by the data set: no image"] == 2
    without = counts["without a localisation metric: no reference region"]
    assert counts["with a reference region in view"] + without == COUNT
    answers = published.answers(results)
    assert sum(one[3] + one[4] for one in answers.rows) == COUNT
    assert sum(one[4] for one in answers.rows) == 1


def test_a_reference_that_could_not_be_read_is_told_apart_from_none(tmp_path):
    run = MadeRun(tmp_path)
    scores, faults = run.scores(), {}
    faults |= dict.fromkeys(list(dict.fromkeys(scores["sample_id"]))[:2], "It is drawn on {} rows.")
    faults[list(dict.fromkeys(scores["sample_id"]))[2]] = "A mask's file is missing. Get it again."
    kept = [at for at, sample_id in enumerate(scores["sample_id"]) if sample_id not in faults]
    for name, column in scores.items():
        column[:] = [column[at] for at in kept]
        lost = {"sample_id": list(faults), "value": [None] * 3, "chance": [None] * 3}
        lost["flag"] = [why.format(10 + at) for at, why in enumerate(faults.values())]
        column += lost.get(name, [""] * 3)
    results = Results(run, repeats=10)
    counts = dict(sections.statuses(results).rows)
    unread = "without a localisation metric: reference that cannot be read. "
    assert counts[f"{unread}It is drawn on … rows."] == 2
    assert counts[f"{unread}A mask's file is missing. Get it again."] == 1
    assert sum(n for what, n in counts.items() if "localisation metric" in what or "in view" in what) == COUNT
    told = dict(reviewers.questions(results))["What about negative and absent findings?"]
    assert "2: reference that cannot be read. It is drawn on … rows;" in told
    assert "1: reference that cannot be read. A mask's file is missing. Get it again" in told


def test_what_was_not_measured_says_so(results):
    reliance = row(sections.reliance(results), "its tokens averaged")
    assert reliance["loss (nats), or share"] is None
    told = dict(reviewers.questions(results))
    assert told["Does masking the region change the answer?"].startswith("Not measured")
    controls = told["Is it better than random weights, and than the map of another image?"]
    assert "against random weights: not measured" in controls
    assert len(told) == 17


def test_tables_are_written_in_four_formats_with_the_same_numbers(written, results):
    kept = json.loads((written / "report.json").read_text("utf-8"))
    rows = list(csv.DictReader(io.StringIO((written / "grounding.csv").read_text("utf-8"))))
    mean = results.interval(results.values("good", "pointing")).mean
    assert float(rows[0]["pointing game"]) == pytest.approx(mean)
    assert kept["tables"]["grounding"]["rows"][0]["pointing game"]["value"] == pytest.approx(mean)
    assert f"{mean:.2f}" in (written / "report.md").read_text("utf-8")
    latex = (written / "report.tex").read_text("utf-8")
    assert f"{mean:.2f}" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == len(kept["tables"])
    assert not re.search(r"(?<!\\)[%#_]", re.sub(r"\\label\{[^}]*\}|\\usepackage.*", "", latex))
    assert (written / "report.csv").read_bytes() == (written / "grounding.csv").read_bytes()
    for name in ("forest", "sizes"):
        assert (written / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_the_table_of_samples_holds_no_formula(run):
    every = Results(run, repeats=2)
    every.findings[:] = ["=1+1" if name == "nodule" else name for name in every.findings]
    rows = list(csv.DictReader(io.StringIO(writing.samples(every))))
    assert {"'=1+1"} < {row["finding"] for row in rows}
    assert min(float(row["cnr"]) for row in rows if row["cnr"]) < 0.0


def test_the_page_is_whole_and_everything_in_it_is_text(written):
    page = (written / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert "default-src &#x27;none&#x27;" in page
    assert "no &lt;b&gt;idea" in page
    for place in re.findall(r'<a href="#(.*?)">', page):
        assert f'<article id="{place}">' in page
    assert page.count("<a href=") == page.count("<article") == 6
    assert "<details><summary>All metrics: " in page
    assert page.count("<details") == 1
    assert "<b>idea" not in page
    assert page.count("data:image/jpeg") == 12
    for address in ("http://", "https://www", 'src="/'):
        assert address not in page.replace("https://groundviz", "")


@needs_browser
def test_on_a_telephone_the_main_table_shows_numbers_beside_its_methods(browser, written):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto((written / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    room = page.locator(".room").first
    edge = room.bounding_box()["x"] + room.bounding_box()["width"]
    heads = [one.bounding_box() for one in room.locator("thead th").all()]
    assert heads[2]["x"] < edge - 20
    assert heads[0]["height"] < 80
    # The names of the methods stay while the numbers move under them.
    before = heads[0]["x"]
    room.evaluate("one => { one.scrollLeft = 1e4; }")
    assert room.locator("thead th").first.bounding_box()["x"] == pytest.approx(before, abs=1)
    last = room.locator("thead th").last.bounding_box()
    assert last["x"] + last["width"] == pytest.approx(edge, abs=1)
    context.close()


def test_the_same_run_gives_the_same_files(run, written, tmp_path):
    report(run, repeats=100, out=tmp_path)
    for path in sorted(tmp_path.iterdir()):
        if path.name != "gallery.html":
            assert path.read_bytes() == (written / path.name).read_bytes(), path.name


def test_public_numbers_samples_and_patients_for_hashes_of_codes_can_be_guessed(run, results, tmp_path):
    own = list(csv.DictReader(io.StringIO(writing.samples(results))))
    report(run, repeats=50, public=True, out=tmp_path)
    hashes = {*results.clusters, *results.rows}
    with_one = [
        one.name for one in tmp_path.iterdir() if any(name.encode() in one.read_bytes() for name in hashes)
    ]
    assert with_one == []
    # They are numbered in the order of their hashes, which tells nothing of that of the data set.
    samples, patients = sorted(results.rows), sorted(set(results.clusters))
    public = list(csv.DictReader((tmp_path / "samples.csv").read_text("utf-8").splitlines()))
    for one in public:
        one["sample_id"] = samples[int(one["sample_id"].removeprefix("sample ")) - 1]
        one["cluster_id"] = patients[int(one["cluster_id"].removeprefix("patient ")) - 1]
    assert public != own
    assert sorted(map(str, public)) == sorted(map(str, own))


def test_public_holds_no_phrase_no_answer_no_path_and_no_pixel(run, tmp_path):
    report(run, repeats=50, public=True, out=tmp_path)
    everything = " ".join(
        path.read_text("utf-8")
        for path in tmp_path.iterdir()
        if path.suffix in (".html", ".md", ".json", ".csv", ".tex")
    )
    answers = run.answers()
    private = {*answers["question"], "no <b>idea", "no &lt;b&gt;idea", "/home/somebody", "left apex"}
    assert [one for one in private if one in everything] == []
    assert "data:image/jpeg" not in everything
    assert "Made to be published" in everything
    names = {path.name for path in tmp_path.iterdir()}
    assert "gallery.html" not in names


@pytest.fixture
def changed(tmp_path):
    """A run in which other images lie where those of the first ten samples lay."""
    made = MadeRun(tmp_path)
    made.answers()
    before = made.dataset
    gone = {one.image for one in before.samples[:10]}
    other = before.samples[COUNT].image
    after = replace(before, opened=lambda name: before.opened(other if name in gone else name))
    object.__setattr__(made, "dataset", after)
    return made


def test_no_map_is_shown_on_an_image_that_it_is_not_of(changed, run):
    results = Results(changed, repeats=1)
    first, right = changed.dataset.samples[0], images.load(run.dataset.image(run.dataset.samples[COUNT]))
    with pytest.raises(
        ImageError, match=f"sample {first.sample_id}, number 1 of the data set, is not the one"
    ):
        drawn.image_and_reference(results, 0)
    assert drawn.image_and_reference(results, COUNT - 1)[0].sha256 != right.sha256
    shown = [case.image.sha256 for row in drawn.rows(results)[0] for case in row.cases]
    assert right.sha256 not in shown
    assert len(shown) < sum(len(row.cases) for row in drawn.rows(Results(run, repeats=1))[0])
    for page in (gallery(changed), report(changed, repeats=1)[0]):
        assert re.search(r"\d+ cases are left out. The image of sample \w+, number", page.read_text("utf-8"))
    with pytest.warns(RuntimeWarning, match="cases are left out. The image of sample"):
        cases = list(cases_of(changed, arms=("good",), limit=COUNT))
    assert cases
    assert right.sha256 not in [one.image.sha256 for one in cases]


def test_a_primary_metric_that_was_not_scored_is_refused(run):
    with pytest.raises(OptionError, match=r"'auroc' was not scored: found pointing"):
        report(run, primary="auroc")


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"seed": -1}, OptionError, "The seed is -1"),
        ({"repeats": 1.5}, OptionError, r"repeats=1\.5: expected a whole number above 0"),
        ({"out": "a\0b"}, StoreError, "No file can have this name"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(run, settings, error, says):
    with pytest.raises(error, match=says):
        report(run, **{"repeats": 10, **settings})


@pytest.mark.parametrize("most", [0, -1, 1.5])
def test_a_gallery_has_a_whole_number_of_cases(run, most):
    with pytest.raises(OptionError, match=f"most={most}: expected a whole number above 0"):
        gallery(run, most=most)


def test_names_are_read_and_not_keys():
    assert title_of("iou@mass:0.5") == "IoU at mass:0.5"
    assert title_of("made_up") == "made up"
    assert name_of("prior:class_mean") == "class-mean prior"
    assert name_of("random_weights:attention") == "Attention with random weights"
    assert str(Number(-0.001)) == "0.00"
    assert str(Number(-0.4, -0.5, -0.3)) == "\u22120.40 [\u22120.50, \u22120.30]"


def test_second_readers_are_a_ceiling_where_there_are_any(run, tmp_path):
    few = MadeRun(tmp_path)
    assert not np.isfinite(reviewers.second_readers(Results(few, repeats=10))).any()
    whole = few.dataset
    first = replace(
        whole.samples[0],
        regions=(
            Region(kind="box", data=(0.0, 0.0, 40.0, 40.0), size=(112, 112)),
            Region(kind="box", data=(20.0, 0.0, 60.0, 40.0), size=(112, 112), role="extra"),
        ),
    )
    object.__setattr__(few, "dataset", replace(whole, samples=(first, *whole.samples[1:])))
    results = Results(few, repeats=10)
    assert reviewers.second_readers(results)[0] == pytest.approx(1 / 3)
    told = dict(reviewers.questions(results))["How well do readers agree with each other?"]
    assert "IoU of 0.33 on 1 samples" in told


STATED = {"primary": "pointing", "correction": "holm", "families": {
    "headline": [["good", "prior:centre"]],
    "grounding": [["good", "strongest prior"]],
    "findings": [["good", "strongest prior", "nodule"]],
    "curves": [["good", "prior:random", "blur", "deletion"]],
}}  # fmt: skip


def test_the_families_that_were_declared_are_those_that_are_corrected(tmp_path):
    made = MadeRun(tmp_path)
    every = Results(MadeRun(tmp_path), repeats=10)
    object.__setattr__(made, "manifest", {**made.manifest, "comparisons": STATED})
    stated = Results(made, repeats=10)
    assert set(verdicts(stated)) == {("good", "prior:centre")}
    assert set(sections.comparisons(stated)) == {"good"} < set(sections.comparisons(every))
    # One test alone is not corrected.
    gain = stated.gain("good", stated.strongest_prior)
    assert sections.comparisons(stated)["good"].p == sign_flip(gain, stated.clusters, seed=0)
    assert "were declared" in sections.grounding(stated).note
    assert "exploratory" in sections.grounding(every).note
    # Whoever names another metric afterwards is told so.
    assert "exploratory" in sections.grounding(Results(made, repeats=10, primary="ap")).note


def curves_of(made):
    """Maps of "good" lose all at the first step, every other order loses evenly; a blurred image has -10."""
    steps, rows = np.linspace(0.0, 1.0, 6), []
    for sample_id in made.answers()["sample_id"][:12]:
        for method, draw in (
            ("good", None),
            ("prior:centre", None),
            ("prior:random", 0),
            ("prior:random", 1),
        ):
            fall = np.minimum(5 * steps, 1.0) if method == "good" else steps
            deletion, insertion = -1 - 9 * fall, -10 + 9 * fall
            for kind, values in (("deletion", deletion), ("insertion", insertion)):
                rows.append((sample_id, method, draw, "blur", kind, values.tolist()))
    # A map that gives no order.
    rows.append((made.answers()["sample_id"][12], "blind", None, None, None, None))
    names = ("sample_id", "method", "draw", "cover", "kind", "values")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def test_curves_stand_beside_random_orders(tmp_path):
    made = MadeRun(tmp_path)
    object.__setattr__(made, "curves", lambda: curves_of(made))
    results = Results(made, repeats=50)
    table = faithfulness.table(results)
    orders = [name_of(one) for one in ("good", "prior:centre", "prior:random")]
    assert [one[:2] for one in table.rows] == [(one, way) for way in ("covered", "shown") for one in orders]
    assert table.strong == {1, 2, 4, 5}
    patients = len(set(results.clusters[:12]))
    for at in (0, 3):
        good, centre = (dict(zip(table.head, one, strict=True)) for one in table.rows[at : at + 2])
        assert good["n"] == 12
        # Between none and all are four steps: random orders lose 9 (.2 + .4 + .6 + .8) / 4, the map all 9.
        assert good["loss, or gain (nats)"].value == pytest.approx(9.0)
        assert good["Δ vs random order"].value == pytest.approx(4.5)
        assert centre["Δ vs random order"].value == pytest.approx(0.0)
        # Two of all flips of patients are as far from zero; the family has four tests that could be made.
        for other in ("random order", "centre prior"):
            assert float(good[f"p vs {other} (Holm)"]) == pytest.approx(4 * 2 / 2**patients, abs=6e-4)
    assert [chart.name for chart in drawn.drawn(results)] == ["forest", "sizes", "deletion", "insertion"]
    told = dict(reviewers.questions(results))["Does masking the region change the answer?"]
    assert "Good: the answer loses 9.00 nats" in told
    assert "Blind: not measured." in told
    assert "Deletion" not in sections.grounding(results).note


def test_an_answer_that_is_next_to_impossible_is_not_shown_as_certain(tmp_path):
    run = MadeRun(tmp_path)
    run.answers()["confidence"][0] = 0.0
    results = Results(run, repeats=10)
    image, _ = drawn.image_and_reference(results, 0)
    assert record_of(results, 0, image, []).answer.confidence == 0.0
    assert record_of(results, 1, image, []).answer.confidence == pytest.approx(0.51)


def test_a_finding_that_is_markup_stays_a_name_in_the_markdown_of_a_public_report(tmp_path):
    run, name = MadeRun(tmp_path), "<img src=x onerror=alert(1)> ![](http://host/x.png)"
    run.answers()["finding"][:] = [name] * COUNT
    report(run, repeats=10, public=True)
    text = (tmp_path / "report-public" / "report.md").read_text("utf-8")
    assert "&lt;img src=x" in text
    assert "<img" not in text
    assert "](" not in text.replace("\\](", "")
