"""Each metric of a map equals another implementation, or its definition written out, on 1,000 random maps.

A cell that a reference covers in part is as good as twenty pixels of its value, some of them inside: the
other side of each comparison sees such pixels alone.
"""

import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest
import sklearn
from sklearn.metrics import average_precision_score, roc_auc_score

from groundviz.errors import OptionError
from groundviz.metrics.scoring import METRICS
from groundviz.metrics.toolkit.cells import Cells

PARTS = 10
CASES = 1000
SHAPE = (5, 7)
MAPS = ("even", "ties", "signed", "sparse", "constant", "zeros", "negative", "holes", "small")
REFERENCES = ("blob", "parts", "one cell", "sliver", "whole", "empty")


def random_map(kind, draw):
    values = draw.random(SHAPE)
    if kind == "ties":
        values = draw.integers(0, 4, SHAPE).astype(float)
    elif kind == "signed":
        values = draw.normal(size=SHAPE)
    elif kind == "sparse":
        values = np.where(draw.random(SHAPE) < 0.8, 0.0, values)
    elif kind == "constant":
        values = np.full(SHAPE, draw.normal())
    elif kind == "zeros":
        values = np.zeros(SHAPE)
    elif kind == "negative":
        values = -values - 0.1
    elif kind == "holes":
        values = np.where(draw.random(SHAPE) < 0.3, np.nan, values)
    elif kind == "small":
        values = 1e-30 * values
    return values


def random_reference(kind, draw):
    """How many of the parts of each cell lie inside."""
    inside = np.zeros(SHAPE, int)
    if kind == "blob":
        top, left = draw.integers(0, SHAPE[0] - 1), draw.integers(0, SHAPE[1] - 2)
        inside[top : top + 2, left : left + 3] = PARTS
    elif kind == "parts":
        inside = np.where(draw.random(SHAPE) < 0.4, draw.integers(0, PARTS + 1, SHAPE), 0)
    elif kind == "one cell":
        inside[draw.integers(SHAPE[0]), draw.integers(SHAPE[1])] = PARTS
    elif kind == "sliver":
        inside[draw.integers(SHAPE[0])] = 1
    elif kind == "whole":
        inside[:] = PARTS
    return inside


def cases():
    for seed in range(CASES):
        draw = np.random.default_rng(seed)
        yield random_map(MAPS[seed % len(MAPS)], draw), random_reference(REFERENCES[seed % 6], draw)


@pytest.fixture(scope="module")
def compared():
    """For each case the cells, and the same as pixels that lie inside or outside."""
    found = []
    for values, inside in cases():
        kept = ~np.isnan(values)
        pixels = np.repeat(values[kept], PARTS)
        truth = (np.arange(PARTS) < inside[kept][:, None]).ravel()
        found.append((Cells.of(values, inside / PARTS), pixels, truth))
    return found


def points_somewhere(pixels):
    return pixels.size > 0 and np.ptp(pixels) > 0


def pointing(pixels, truth):
    return truth[pixels == pixels.max()].mean()


def energy(pixels, truth):
    if not points_somewhere(pixels):
        return truth.mean()
    positive = [max(value, 0.0) for value in pixels]
    if sum(positive) == 0:
        return np.nan
    return sum(v for v, inside in zip(positive, truth, strict=True) if inside) / sum(positive)


def rank_accuracy(pixels, truth):
    wanted = truth.sum()
    least = sorted(pixels, reverse=True)[wanted - 1]
    above, equal = pixels > least, pixels == least
    return (truth[above].sum() + (wanted - above.sum()) * truth[equal].mean()) / wanted


def contrast(pixels, truth):
    if truth.all():
        return np.nan
    if not points_somewhere(pixels):
        return 0.0
    inside, outside = pixels[truth], pixels[~truth]
    spread = np.sqrt(inside.var() + outside.var())
    return (inside.mean() - outside.mean()) / spread if spread else np.nan


def average_precision(pixels, truth):
    return average_precision_score(truth, pixels)


def auroc(pixels, truth):
    return np.nan if truth.all() else roc_auc_score(truth, pixels)


ORACLES = {
    "pointing": pointing,
    "energy": energy,
    "rank_accuracy": rank_accuracy,
    "cnr": contrast,
    "cnr_abs": lambda pixels, truth: abs(contrast(pixels, truth)),
    "ap": average_precision,
    "auroc": auroc,
}


@pytest.mark.parametrize("name", ORACLES)
def test_it_equals_its_definition(name, compared):
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        expected = [ORACLES[name](pixels, truth) if truth.any() else np.nan for _, pixels, truth in compared]
    found = [METRICS[name].on(cells) for cells, *_ in compared]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    # Most are numbers, so that the comparison compares.
    assert np.isfinite(found).sum() > 600


def mass(pixels, share):
    positive = np.maximum(pixels, 0)
    reaches = [
        t for t in np.unique(pixels) if positive[pixels >= t].sum() >= share * positive.sum() * (1 - 1e-12)
    ]
    return pixels >= max(reaches) if positive.any() else np.zeros(pixels.shape, bool)


def stretched(pixels):
    return (pixels - pixels.min()) / (pixels.max() - pixels.min())


def otsu(pixels):
    shades = np.uint8(255 * stretched(pixels))
    return cv2.threshold(shades[:, None], 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1].ravel() > 0


RULES = {
    "mass:0.5": lambda pixels: mass(pixels, 0.5),
    "mass:0.9": lambda pixels: mass(pixels, 0.9),
    "fraction:0.6": lambda pixels: stretched(pixels) > 0.6,
    "pm1:0.1": lambda pixels: 2 * stretched(pixels) - 1 > 0.1,
    "raw:0.4": lambda pixels: pixels > 0.4,
    "quantile:0.9": lambda pixels: pixels >= np.quantile(pixels[::PARTS], 0.9),
    "otsu": otsu,
}


@pytest.mark.parametrize("rule", RULES)
def test_overlap_counts_the_pixels_that_a_rule_selects(rule, compared):
    for cells, pixels, truth in compared:
        if not truth.any():
            assert np.isnan(METRICS["iou"].on(cells, rule))
            continue
        chosen = RULES[rule](pixels) if points_somewhere(pixels) else np.ones(pixels.shape, bool)
        both = (chosen & truth).sum()
        expected = {
            "iou": both / (chosen | truth).sum(),
            "dice": 2 * both / (chosen.sum() + truth.sum()),
            "precision": both / chosen.sum() if chosen.any() else np.nan,
            "recall": both / truth.sum(),
        }
        found = {name: METRICS[name].on(cells, rule) for name in expected}
        np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-9, atol=1e-9)


def test_by_area_as_much_is_selected_as_the_reference_has(compared):
    for cells, pixels, truth in compared:
        if truth.any():
            hits = rank_accuracy(pixels, truth) * truth.sum()
            found = METRICS["iou"].on(cells, "area")
            assert found == pytest.approx(hits / (2 * truth.sum() - hits), rel=1e-9)
            assert METRICS["precision"].on(cells, "area") == pytest.approx(
                METRICS["recall"].on(cells, "area"), rel=1e-9
            )


def test_steps_are_averaged():
    values, coverage = np.array([0.05, 0.15, 0.25, 0.6]), np.array([0, 0, 1, 1.0])
    expected = [2 / 3, 1, 1 / 2, 1 / 2, 1 / 2]
    assert METRICS["miou"](values, coverage) == pytest.approx(np.mean(expected), rel=1e-12)


def test_hits_by_cell_and_by_pixel():
    draw = np.random.default_rng(5)
    for _ in range(200):
        values, coverage = draw.integers(0, 5, 12).astype(float), draw.random(12) * 0.3
        centres = draw.random(12) < 0.5
        highest = values == values.max()
        assert METRICS["hit_cell"](values, coverage) == (coverage[highest] >= 0.1).mean()
        cells = Cells.of(values, coverage, centres=centres)
        assert METRICS["hit_pixel"].on(cells) == pytest.approx(centres[highest].mean())
        assert METRICS["hit_first"](values, coverage) == coverage[np.argmax(values)]
        # Of shares alone nobody knows where centres lie; of a mask everybody does.
        assert np.isnan(METRICS["hit_pixel"](values, coverage))
        assert METRICS["hit_pixel"](values, centres) == pytest.approx(centres[highest].mean())


def test_a_tenth_is_a_hit_although_shares_are_computed():
    assert METRICS["hit_cell"]([1.0, 0.0], [0.1 - 1e-12, 0.0]) == 1.0
    assert METRICS["hit_cell"]([1.0, 0.0], [0.0999, 0.0]) == 0.0


def test_cells_that_show_the_image_in_part_weigh_by_what_they_show():
    """The same image in pixels, of which some lie beyond its border."""
    draw = np.random.default_rng(8)
    for _ in range(100):
        shown = draw.integers(1, PARTS + 1, 12)
        inside = draw.integers(0, shown + 1)
        values = draw.integers(0, 6, 12) - 1.0
        pixels = np.repeat(values, shown)
        truth = np.concatenate([np.arange(n) < k for n, k in zip(shown, inside, strict=True)])
        if not truth.any() or truth.all() or not points_somewhere(pixels):
            continue
        for name, oracle in ORACLES.items():
            found = METRICS[name](values, inside / PARTS, shown / PARTS)
            np.testing.assert_allclose(found, oracle(pixels, truth), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS.facts(name).against == "region"])
def test_chance_is_what_dealing_the_values_to_the_cells_gives(name):
    draw = np.random.default_rng(11)
    loose = {"cnr": 0.12, "cnr_abs": 0.12}
    tied = draw.integers(0, 3, 40).astype(float)
    for values in (draw.random(40), tied)[: 1 if name == "hit_first" else 2]:
        for coverage in (
            (draw.random(40) < 0.2).astype(float),
            np.where(draw.random(40) < 0.3, draw.random(40), 0),
        ):
            cells = Cells.of(values, coverage, centres=coverage >= 0.5)
            others = [replace(cells, values=draw.permutation(values)) for _ in range(500)]
            dealt = [METRICS[name].on(other) for other in others]
            error = 4 * np.std(dealt) / np.sqrt(len(dealt)) + 2e-3
            assert METRICS[name].chance(cells) == pytest.approx(np.mean(dealt), abs=loose.get(name, error))


def test_a_map_that_points_nowhere_scores_as_chance_does():
    coverage = np.array([1, 0.5, 0, 0, 0.25])
    for values in (np.full(5, 3.0), np.full(5, np.nan), np.array([0, np.inf, 0, 0, 0])):
        for name in METRICS:
            if METRICS.facts(name).against == "region" and name != "hit_pixel":
                cells = Cells.of(values, coverage)
                assert cells.flag
                expected = METRICS[name].chance(cells)
                assert METRICS[name](values, coverage) == pytest.approx(expected, rel=1e-9), name


def test_rounding_makes_no_map():
    flat = np.full(9, 0.1, np.float32)
    flat[3] = np.nextafter(flat[3], np.float32(1))
    assert Cells.of(flat, np.eye(3).ravel()).flag == "constant map"
    assert Cells.of(flat.astype(np.float64) + np.arange(9) * 1e-6, np.eye(3).ravel()).flag == ""


def test_without_a_reference_there_is_no_score(recwarn):
    for name in METRICS:
        if METRICS.facts(name).against == "region":
            assert np.isnan(METRICS[name]([1.0, 2.0], [0.0, 0.0]))
    assert not recwarn.list


def test_nothing_warns(compared):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for cells, *_ in compared[:120]:
            for name in METRICS:
                METRICS[name].on(cells)


@pytest.mark.parametrize(
    ("values", "coverage", "valid", "says"),
    [
        ([1.0, 2.0], [1.0], None, "one shape"),
        ([1.0, 2.0], [1.0, 1.5], None, "from 0 to 1"),
        ([1.0, 2.0], [1.0, -0.1], None, "not below 0"),
        ([1.0, 2.0], [1.0, np.nan], None, "finite"),
        ([1.0, 2.0], [0.5, 0.5], [0.2, 1.0], "more of a cell than"),
        ([1.0, 2.0], [0.5, 0.5], [2.0, 1.0], "shares from 0 to 1"),
    ],
)
def test_what_does_not_fit_is_refused(values, coverage, valid, says):
    with pytest.raises(OptionError, match=says):
        METRICS["ap"](values, coverage, valid)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("masses:0.5", "no rule called"),
        ("mass:2", "from 0 to 1"),
        ("mass:half", "from 0 to 1"),
        ("mass", "lacks its number"),
        ("otsu:3", "takes no number"),
    ],
)
def test_a_rule_says_what_is_wrong_with_it(rule, says):
    with pytest.raises(OptionError, match=says):
        METRICS["iou"]([1.0, 2.0], [0.0, 1.0], rule=rule)


def test_every_metric_states_its_facts():
    for name in METRICS:
        facts = METRICS.facts(name)
        for told in (facts.shows, facts.unit, facts.chance, facts.source, facts.known_failure):
            assert told and told != "not stated", name
