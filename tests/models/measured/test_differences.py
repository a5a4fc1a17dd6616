"""Geometry without gradients: codebooks and quantised layers, by finite differences."""

import numpy as np
import pytest

import groundviz
from groundviz.errors import UnsupportedMethod
from groundviz.models import certify, resolve
from groundviz.models.certification.block_probe import WRONG
from groundviz.models.measured import differences
from groundviz.record.geometry import apply, held_cells
from groundviz.testing.fingerprint import difference, fingerprint
from tests.support.conditions import MODELS
from tests.support.newest import newest
from tests.zoo.chameleon import tiny_chameleon
from tests.zoo.emu3 import tiny_emu3
from tests.zoo.llavas import tiny_vipllava

pytestmark = newest
QUESTION = "Is there a nodule?"


def noise(rows, cols, seed=3):
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, cols, 3), dtype=np.uint8)
    return groundviz.images.load(pixels)


def centres(grid):
    """The source places of the cells, float (row, col, 2)."""
    cells = np.mgrid[: grid.rows, : grid.cols] + 0.5
    return apply(grid.to_source, np.moveaxis(cells, 0, -1))


@pytest.fixture(scope="module")
def chameleon():
    return resolve(*tiny_chameleon())


def test_codes_lie_over_the_part_of_the_image_that_they_are_of(chameleon):
    """Of 60 by 40 pixels the middle 40 by 40 become 24 by 24, in cells of four."""
    before = fingerprint(chameleon.model)
    (grid,) = chameleon.encode((noise(60, 40),), QUESTION).prompt.grids
    assert (grid.rows, grid.cols) == (6, 6)
    side = 40 / 6
    rows, cols = np.mgrid[:6, :6] + 0.5
    expected = np.stack([10 + rows * side, cols * side], axis=-1)
    np.testing.assert_allclose(centres(grid), expected, atol=0.05 * side)
    assert grid.positions.tolist() == sorted(grid.positions.tolist())
    assert difference(before, fingerprint(chameleon.model)) == []


@pytest.mark.wide
def test_rows_of_codes_have_an_end_that_lies_nowhere():
    vlm = resolve(*tiny_emu3())
    first, second = vlm.encode((noise(64, 48), noise(40, 64, 5)), QUESTION).prompt.grids
    assert [(one.image, one.rows, one.cols) for one in (first, second)] == [(0, 8, 6), (1, 5, 8)]
    for grid, shape in ((first, (64, 48)), (second, (40, 64))):
        # One token more at the end of each row.
        assert set(np.diff(grid.positions)[grid.cols - 1 :: grid.cols].tolist()) == {2}
        rows, cols = np.mgrid[: grid.rows, : grid.cols] + 0.5
        expected = np.stack([rows, cols], axis=-1) * shape / np.array([grid.rows, grid.cols])
        np.testing.assert_allclose(centres(grid), expected, atol=0.4)


@pytest.mark.parametrize("method", ["attention", "gradient_attention", "occlusion"])
def test_methods_that_need_no_gradient_of_the_image_explain(chameleon, method):
    found = groundviz.explain(
        chameleon, noise(61, 45), QUESTION, methods=method, answer="left lung", certify=False
    )
    for maps in found.record.heatmaps:
        assert np.isfinite(maps.values[..., maps.grid.valid]).all()
        assert np.ptp(maps.values[..., maps.grid.valid]) > 0


def test_methods_that_need_it_refuse_by_name(chameleon):
    with pytest.raises(UnsupportedMethod, match="cannot be differentiated"):
        groundviz.explain(chameleon, noise(61, 45), QUESTION, methods="integrated_gradients", certify=False)


def moved(owner, how):
    """Owners with the six by six cells of every image in other places."""
    image, cell = np.divmod(owner, 36)
    rows, cols = np.divmod(cell, 6)
    places = {
        "transposed": cols * 6 + rows,
        "mirrored": rows * 6 + 5 - cols,
        "one to the right": rows * 6 + (cols + 1) % 6,
    }
    return np.where(owner >= 0, image * 36 + places[how], -1)


def test_the_certificate_passes():
    assert certify(resolve(*tiny_chameleon())).verdict == "certified"


@pytest.mark.parametrize(
    "how",
    [
        "transposed",
        *(pytest.param(name, marks=pytest.mark.wide) for name in ("mirrored", "one to the right")),
    ],
)
def test_a_broken_measurement_is_caught(monkeypatch, how):
    own = differences._owners

    def broken(passes, fed):
        found = own(passes, fed)
        return None if found is None else moved(found, how)

    monkeypatch.setattr(differences, "_owners", broken)
    certificate = certify(resolve(*tiny_chameleon()))
    assert certificate.verdict == WRONG


def test_quantised_layers_change_no_cell():
    """Dynamic int8 passes no gradient on."""
    plain = resolve(*tiny_vipllava())
    model, processor = tiny_vipllava()
    packed = resolve(MODELS["int8 (torch, dynamic)"](model), processor)
    for vlm in (plain, packed):
        assert not vlm.parts().unknown
    (expected,) = plain.encode((noise(61, 45),), QUESTION).prompt.grids
    (found,) = packed.encode((noise(61, 45),), QUESTION).prompt.grids
    assert (found.rows, found.cols) == (expected.rows, expected.cols)
    np.testing.assert_array_equal(
        found.positions[held_cells(found)], expected.positions[held_cells(expected)]
    )
    np.testing.assert_allclose(found.to_source, expected.to_source, atol=0.02 * expected.to_source[0, 0])
