"""Intervals against closed forms, against resampling written out, and against the truth they should cover."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from groundviz.errors import OptionError
from groundviz.metrics.statistics import (
    cluster_bootstrap,
    correct_and_grounded,
    macro,
    micro,
    ratio,
    report_bootstrap,
    spearman,
    stratify,
    terciles,
)
from groundviz.metrics.statistics.bootstrap import draws


def clustered(seed, clusters=60, size=5, between=0.5):
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(clusters), size)
    return draw.normal(0, between, clusters)[labels] + draw.normal(0, 1, labels.size), labels


def test_the_interval_has_the_width_that_cluster_means_give():
    values, labels = clustered(1, clusters=200)
    means = values.reshape(200, 5).mean(axis=1)
    found = cluster_bootstrap(values, labels, repeats=4000)
    width = 2 * 1.96 * means.std(ddof=1) / np.sqrt(200)
    assert found.mean == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(width, rel=0.06)
    assert (found.n, found.clusters, found.dropped) == (1000, 200, 0)
    # By itself each value would have a far narrower one.
    alone = cluster_bootstrap(values, np.arange(1000), repeats=1000)
    assert alone.high - alone.low < 0.85 * width


def test_it_is_what_drawing_whole_clusters_gives():
    draw = np.random.default_rng(3)
    labels = draw.integers(0, 25, 90)
    values = draw.random(90)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    drawn = []
    for _ in range(4000):
        picked = [members[i] for i in draw.integers(len(members), size=len(members))]
        drawn.append(values[np.concatenate(picked)].mean())
    found = cluster_bootstrap(values, labels, repeats=4000)
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.006)


def test_each_draw_takes_as_many_clusters_as_there_are_in_blocks_or_not(monkeypatch):
    whole = np.concatenate(list(draws(40, 50, 7)))
    assert (whole.sum(axis=1) == 40).all()
    monkeypatch.setattr("groundviz.metrics.statistics.bootstrap._BLOCK", 90)
    np.testing.assert_array_equal(np.concatenate(list(draws(40, 50, 7))), whole)


def test_the_same_seed_gives_the_same_interval_and_the_order_of_names_does_not_matter():
    values, labels = clustered(2)
    first = cluster_bootstrap(values, labels, seed=4)
    assert first == cluster_bootstrap(values, [f"patient {label}" for label in labels], seed=4)
    assert first != cluster_bootstrap(values, labels, seed=5)


def test_few_clusters_have_no_interval():
    found = cluster_bootstrap(np.arange(18.0), np.arange(18) // 2)
    assert (found.clusters, np.isnan(found.low), np.isnan(found.high)) == (9, True, True)
    assert str(found) == "8.500"


def test_values_that_are_missing_are_left_out_and_counted():
    values, labels = clustered(6)
    gaps = values.copy()
    gaps[:7] = np.nan
    found = cluster_bootstrap(gaps, labels)
    assert (found.n, found.clusters, found.dropped) == (293, 59, 7)
    assert found == replace(cluster_bootstrap(values[7:], labels[7:]), dropped=7)
    nothing = cluster_bootstrap([np.nan, np.nan], [1, 2])
    assert (nothing.n, nothing.dropped, np.isnan(nothing.mean)) == (0, 2, True)


def test_macro_weighs_classes_alike_and_micro_values():
    values = [1, 1, 1, 1, 0, 0.5]
    classes = ["a", "a", "a", "a", "b", "b"]
    assert macro(values, classes, range(6)).mean == pytest.approx((1 + 0.25) / 2)
    assert micro(values, range(6)).mean == pytest.approx(4.5 / 6)
    draw = np.random.default_rng(1)
    numbers, kinds, labels = draw.random(200), draw.integers(0, 3, 200), draw.integers(0, 50, 200)
    drawn = []
    for _ in range(3000):
        picked = np.concatenate([np.flatnonzero(labels == k) for k in draw.integers(50, size=50)])
        drawn.append(np.mean([numbers[picked][kinds[picked] == k].mean() for k in range(3)]))
    found = macro(numbers, kinds, labels)
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.008)


def test_a_class_whose_values_are_all_missing_counts_nowhere():
    assert macro([1, np.nan, 0.5], ["a", "b", "a"], [1, 2, 3]).mean == 0.75
    assert macro([1, np.nan, 0.5], ["a", "c", "b"], [1, 2, 3]).mean == 0.75


def test_a_ratio_is_drawn_together():
    values, labels = clustered(9)
    beside = values * 2
    found = ratio(values, beside, labels)
    assert [found.mean, found.low, found.high] == pytest.approx([0.5, 0.5, 0.5])
    assert ratio([1, np.nan, 3], [2, 2, np.nan], [1, 2, 3]).dropped == 2
    assert np.isnan(ratio([1.0, 2.0], [0.0, 0.0], [1, 2]).mean)


def test_reports_are_drawn_one_by_one():
    scores = np.random.default_rng(2).random(400)
    median, low, high = report_bootstrap(400, lambda picked: scores[picked].mean(), repeats=500)
    assert median == pytest.approx(scores.mean(), abs=0.003)
    assert high - low == pytest.approx(2 * 1.96 * scores.std() / 20, rel=0.15)
    with pytest.raises(OptionError, match="no report"):
        report_bootstrap(0, lambda picked: 0.0)


def test_correct_by_grounded_is_counted():
    correct = [1, 1, 1, 1, 0, 0, np.nan, 1]
    grounded = [1, 1, 1, 0, 1, 0, 1, np.nan]
    found = correct_and_grounded(correct, grounded, range(8))
    assert found.counts == {(True, True): 3, (True, False): 1, (False, True): 1, (False, False): 1}
    assert found.right_for_wrong_reason.mean == 0.25
    assert found.grounded_though_wrong.mean == 0.5
    assert found.risk_difference.mean == 0.25
    assert found.risk_difference.dropped == 2
    draw = np.random.default_rng(4)
    right = draw.random(2000) < 0.7
    based = draw.random(2000) < np.where(right, 0.6, 0.4)
    found = correct_and_grounded(right, based, np.arange(2000))
    counts = right.sum(), (~right).sum()
    error = np.sqrt(0.24 / counts[0] + 0.24 / counts[1])
    assert found.risk_difference.high - found.risk_difference.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    with pytest.raises(OptionError, match="each 1, 0 or NaN"):
        correct_and_grounded([0.5], [1], [1])
    nothing = correct_and_grounded([np.nan], [1], [1])
    assert (sum(nothing.counts.values()), np.isnan(nothing.risk_difference.mean)) == (0, True)


def test_rank_correlation_is_scipys_and_draws_are_ranked_anew():
    draw = np.random.default_rng(5)
    for _ in range(50):
        one, other = draw.integers(0, 6, 30).astype(float), draw.random(30)
        expected = stats.spearmanr(one, other).statistic
        assert spearman(one, other, repeats=1).mean == pytest.approx(expected, abs=1e-12)
    other = one + draw.normal(size=30)
    drawn = []
    for _ in range(2000):
        picked = draw.integers(30, size=30)
        drawn.append(stats.spearmanr(one[picked], other[picked]).statistic)
    found = spearman(one, other, repeats=2000)
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.03)
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]).mean)


def test_strata_keep_their_order_and_their_counts():
    values, labels = clustered(7)
    names = np.where(np.arange(300) % 3 == 0, "effusion", "nodule")
    found = stratify(values, names, labels)
    assert list(found) == ["effusion", "nodule"]
    assert found["nodule"] == cluster_bootstrap(values[names == "nodule"], labels[names == "nodule"])
    assert terciles([3, 1, 2, np.nan, 9, 8, 7]) == [
        "medium",
        "small",
        "small",
        None,
        "large",
        "large",
        "medium",
    ]
    assert terciles([5, 5, 5]) == ["small"] * 3
    assert terciles([np.nan]) == [None]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cluster_bootstrap([1, 2], [1]), "one cluster for each"),
        (lambda: cluster_bootstrap([1, np.inf], [1, 2]), "infinite"),
        (lambda: cluster_bootstrap([1, 2], [1, 2], repeats=0), "at least 1"),
        (lambda: cluster_bootstrap([1, 2], [1, 2], level=1.0), "between 0 and 1"),
        (lambda: macro([1, 2], ["a"], [1, 2]), "1 classes"),
        (lambda: ratio([1, 2], [1], [1, 2]), "give one for each"),
        (lambda: spearman([1, 2], [1]), "give one for each"),
        (lambda: stratify([1, 2], ["a"], [1, 2]), "1 strata"),
    ],
)
def test_what_does_not_fit_is_refused(call, says):
    with pytest.raises(OptionError, match=says):
        call()


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_promise():
    hits = alone = 0
    for seed in range(400):
        values, labels = clustered(seed, clusters=96, size=11, between=np.sqrt(0.3 / 0.7))
        inside = cluster_bootstrap(values, labels, repeats=500)
        hits += inside.low <= 0 <= inside.high
        naive = cluster_bootstrap(values, np.arange(values.size), repeats=500)
        alone += naive.low <= 0 <= naive.high
    assert hits / 400 == pytest.approx(0.95, abs=0.035)
    assert alone / 400 < 0.8
