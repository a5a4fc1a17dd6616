"""Maps that never saw the image: by hand, and against leaving a patient out by counting anew."""

import numpy as np
import pytest

from groundviz.errors import OptionError
from groundviz.metrics import box_mask, measure, score
from groundviz.metrics.priors import CENTRE, CLASS_MEAN, ClassMean, centre
from groundviz.record.types import Grid, Heatmap, Target


def heatmap(rows, cols, to_source, positions=None):
    if positions is None:
        positions = np.arange(rows * cols)
    grid = Grid(
        rows=rows,
        cols=cols,
        positions=positions,
        to_source=np.asarray(to_source, float),
        valid=np.ones((rows, cols), bool),
        stage="language",
    )
    values = np.zeros((rows, cols), np.float32)
    target = Target(tokens=(0,), text="nodule")
    return Heatmap(
        values=values, grid=grid, target=target, method="attention", unit="x", signed=True, layer=3
    )


def test_the_centre_is_in_the_middle_of_the_image_and_not_of_the_grid():
    # A model that sees the left half alone.
    one = centre(heatmap(4, 4, [[2, 0, 0], [0, 1, 0]]), (8, 8))
    assert one.values.argmax() in (7, 11)
    assert one.values[1, 3] == pytest.approx(np.exp(-((0.5 / 8) ** 2 + (1 / 8) ** 2) / 0.25**2 / 2))
    assert (one.method, one.signed, one.layer) == (CENTRE, False, None)
    with pytest.raises(OptionError, match="above zero"):
        centre(one, (8, 8), spread=0)
    for prior in (centre, lambda one, shape: ClassMean().map("nodule", without=1, on=one, shape=shape)):
        with pytest.raises(OptionError, match="rows and columns"):
            prior(one, (8, 8, 3))


def test_cells_without_a_token_stay_so():
    one = heatmap(2, 2, [[4, 0, 0], [0, 4, 0]], positions=np.array([0, 1, -1, 2]))
    assert np.isnan(centre(one, (8, 8)).values).tolist() == [[False, False], [True, False]]


def test_one_patient_is_left_out_as_if_never_added():
    draw = np.random.default_rng(0)
    boxes = []
    for index in range(30):
        left, top = draw.integers(0, 40, 2)
        boxes.append((f"patient {index // 3}", "ab"[index % 2], [left, top, left + 20, top + 10]))
    prior = ClassMean()
    for patient, finding, box in boxes:
        prior.add(finding, patient, [box], shape=(64, 64))
    for patient in ("patient 0", "patient 7", "nobody"):
        others = [box_mask([box], (64, 64)) for p, f, box in boxes if f == "a" and p != patient]
        np.testing.assert_allclose(prior.mean("a", without=patient), np.mean(others, axis=0), atol=1e-12)


def test_images_of_any_size_are_stretched_to_one_canvas():
    prior = ClassMean()
    prior.add("nodule", 1, [[0, 0, 300, 100]], shape=(200, 600))
    prior.add("nodule", 2, [[0, 0, 50, 50]], shape=(100, 100))
    canvas = prior.mean("nodule", without=3)
    assert (canvas[:32, :32] == 1).all() and canvas.sum() == 32 * 32
    # Another image, of which the model saw the upper half.
    on = heatmap(2, 4, [[10, 0, 0], [0, 20, 0]])
    found = prior.map("nodule", without=3, on=on, shape=(40, 80))
    assert found.values.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]]
    assert (found.method, found.unit) == (CLASS_MEAN, "share of references")


def test_where_no_other_patient_has_the_class_the_prior_knows_nothing():
    prior = ClassMean()
    prior.add("nodule", 1, [[0, 0, 4, 4]], shape=(8, 8))
    prior.add("nodule", 2, np.zeros((8, 8), bool))
    assert prior.mean("nodule", without=1) is None
    assert prior.mean("edema", without=1) is None
    blank = prior.map("nodule", without=1, on=heatmap(2, 2, [[4, 0, 0], [0, 4, 0]]), shape=(8, 8))
    (found,) = measure(blank, [[0, 0, 4, 4]], shape=(8, 8), metrics=["pointing"])
    assert (found.value, found.flag) == (0.25, "map without values")


def test_a_class_that_is_always_in_one_place_is_found_without_looking():
    """As cardiomegaly is, whose class mean points right in 99 of 100 images of the NIH."""
    draw = np.random.default_rng(1)
    prior, boxes = ClassMean(), []
    for patient in range(40):
        left, top = draw.integers(20, 25, 2)
        boxes.append([left, top, left + 30, top + 20])
        prior.add("cardiomegaly", patient, [boxes[-1]], shape=(64, 64))
    on = heatmap(16, 16, [[4, 0, 0], [0, 4, 0]])
    hits = []
    for patient, box in enumerate(boxes):
        blind = prior.map("cardiomegaly", without=patient, on=on, shape=(64, 64))
        hits.append(score(blind, [box], shape=(64, 64), metrics=["pointing"])["pointing"])
    assert np.mean(hits) > 0.95
