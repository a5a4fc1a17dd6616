"""The localisation curve: known maps give known curves, and the demo model sees its nodules."""

from dataclasses import replace

import numpy as np
import pytest

import groundviz
from groundviz.demo.phantoms import phantom
from groundviz.metrics import measure
from groundviz.record.localization import localization_curve, share_inside
from groundviz.record.types import Grid, Heatmaps, Target

TARGET = Target(tokens=(0,), text="nodule")
MASK = np.zeros((6, 8), bool)
MASK[:3, :2] = True  # The first cell of two by two, 3 by 4 pixels each, to one half.


def maps(*layers):
    values = np.array(layers, np.float32).reshape(1, len(layers), 1, 2, 2)
    grid = Grid(
        rows=2,
        cols=2,
        positions=np.where(np.isfinite(values[0, 0].reshape(-1)), np.arange(4), -1),
        to_source=np.array([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]]),
        valid=np.ones((2, 2), bool),
        stage="language",
    )
    return Heatmaps(
        values=values,
        targets=(TARGET,),
        layers=tuple(range(len(layers))),
        reduce=("mean", "mean", "mean"),
        method="stage_audit",
        unit="share",
        signed=False,
        grid=grid,
    )


def test_a_cell_counts_by_how_much_of_it_lies_inside():
    curve, chance = localization_curve(maps([4, 0, 0, 0], [1, 1, 1, 1], [0, 2, 3, 0]), TARGET, MASK)
    np.testing.assert_allclose(curve, [0.5, 0.125, 0.0])
    assert chance == pytest.approx(0.125)


def test_only_proportions_count():
    measured = localization_curve(maps([3, 1, 0, 0], [300, 100, 0, 0]), TARGET, MASK)[0]
    np.testing.assert_allclose(measured, [0.375, 0.375])


def test_an_empty_layer_has_nothing_inside():
    assert localization_curve(maps([0, 0, 0, 0]), TARGET, MASK)[0].tolist() == [0.0]


def test_cells_without_a_token_do_not_count():
    curve, chance = localization_curve(maps([1, 1, np.nan, np.nan]), TARGET, MASK)
    assert (curve.tolist(), chance) == ([0.25], 0.25)


@pytest.mark.parametrize("seed", [3, 11, 12])
def test_the_demo_model_keeps_the_place_of_a_nodule_from_the_tower_to_the_decoder(seed):
    image = phantom(seed, findings=["nodule"])
    told = groundviz.explain("demo", image.pixels, "Where is the nodule?", methods="stage_audit")
    (measured,) = told.record.heatmaps
    curve, chance = localization_curve(measured, told.record.target, image.mask("nodule"))
    above = dict(zip(measured.params["sites"], curve / chance, strict=True))
    assert list(above) == [
        *(f"vision.{k}" for k in range(4)),
        "projector",
        *(f"language.{k}" for k in range(3)),
    ]
    assert min(above["vision.3"], above["projector"], above["language.0"]) > 5


def test_it_is_the_metric_called_energy_of_many_maps():
    draw = np.random.default_rng(0)
    # The last column of cells reaches beyond the image, and one cell holds no token.
    amounts = draw.random((5, 4))
    amounts[:, 0] = np.nan
    several = maps(*amounts)
    mask = draw.random((6, 7)) < 0.4
    shares, chance = share_inside(several.values, several.grid, mask)
    for share, values in zip(shares.ravel(), several.values[0, :, 0], strict=True):
        heatmap = replace(several.at(TARGET, layer=0), values=values)
        (energy,) = measure(heatmap, mask, metrics=["energy"])
        assert (share, chance) == pytest.approx((energy.value, energy.chance), rel=1e-6)
