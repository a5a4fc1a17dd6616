"""What is measured is what the hand-written adapters say, and a broken measurement is not."""

from dataclasses import replace

import numpy as np
import pytest

from groundviz.models import resolve
from groundviz.models.adapter.probe_images import noise
from groundviz.models.certification.gradient_paths import centres_of
from groundviz.testing.families import TINY
from groundviz.testing.fingerprint import difference, fingerprint

QUESTION = "Is there a nodule?"
# What is still written by hand, and has single places.
MEASURED = [name for name in TINY if name.startswith("llava")][:2]


@pytest.fixture(scope="module", params=MEASURED)
def both(request):
    written = resolve(*TINY[request.param]())
    return written, replace(written, family_name="measured")


def test_the_same_modules_are_found(both):
    written, measured = (vlm.parts() for vlm in both)
    for name in ("vision_layers", "decoder_layers", "decoder_attention", "final_norm", "output_head"):
        assert getattr(measured, name) == getattr(written, name), name
    assert measured.batches
    assert not measured.opaque


@pytest.mark.parametrize("shape", [(61, 45), pytest.param((41, 83), marks=pytest.mark.wide)])
def test_cells_lie_where_the_family_says(both, shape):
    written, measured = both
    before = fingerprint(written.model)
    expected, found = (vlm.encode((noise(shape),), QUESTION) for vlm in (written, measured))
    assert difference(before, fingerprint(written.model)) == []
    assert set(found.columns.tolist()) == set(expected.columns.tolist())
    for stage, cells in expected.cells.items():
        index, theirs = found.cells[stage].index, cells.index
        if stage == "pixels":
            # In any order of the tiles: by the number of the first colour.
            index, theirs = index[0, :, 0], theirs[0, :, 0]
        places = dict(zip(index.tolist(), centres_of(found.cells[stage].grids), strict=True))
        known = dict(zip(theirs.tolist(), centres_of(cells.grids), strict=True))
        # Wholly padded tiles are shown to no one.
        assert set(places) <= set(known)
        assert len(places) >= 0.7 * len(known)
        off = max(np.abs(places[one] - known[one]).max() for one in places)
        cell = min(np.abs(np.diag(grid.to_source[:, :2])).min() for grid in expected.prompt.grids)
        assert off < 0.05 * cell, stage


def test_a_second_prompt_of_the_same_shape_does_not_run_the_model(both, monkeypatch):
    _, measured = both
    measured.encode((noise((61, 45)),), QUESTION)
    monkeypatch.setattr("groundviz.models.measured.family.wired", None)
    monkeypatch.setattr("groundviz.models.measured.family.read_ramps", None)
    again = measured.encode((noise((61, 45)),), "Where is the nodule, and how large is it?")
    assert again.prompt.question.startswith("Where")
