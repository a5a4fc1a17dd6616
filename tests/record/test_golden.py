"""Records that an earlier version wrote, before parts of a record got other names, still open as they were.

`golden/contrast.gvz` holds "yes rather than no" by two methods, `golden/question_two_images.gvz` a word of
the question about two images. Both were written by the first version of the file's schema.
"""

from pathlib import Path

import numpy as np
import pytest

import groundviz
from groundviz.record import store
from groundviz.record.targets import Question, find

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(path.name for path in GOLDEN.glob("*.gvz"))


def test_both_are_there():
    assert FILES == ["contrast.gvz", "question_two_images.gvz"]


@pytest.mark.parametrize("name", FILES)
def test_writing_one_again_gives_the_same_bytes(name):
    assert store.pack(store.read(GOLDEN / name)) == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_every_cell_that_shows_something_holds_a_finite_value(name):
    for maps in store.read(GOLDEN / name).heatmaps:
        assert maps.grid.valid.any()
        assert np.isfinite(maps.values[..., maps.grid.valid]).all()


def test_a_contrast_keeps_its_foil_and_its_methods():
    held = groundviz.open(GOLDEN / "contrast.gvz")
    assert (held.question, held.answer.text) == ("Is there a nodule?", "yes")
    assert held.methods == ("gradient_attention", "occlusion")
    (target,) = held.record.targets
    assert (target.text, target.kind, target.tokens) == ("yes rather than no", "contrast", (0,))
    assert target.foil is not None
    assert (target.foil.text, len(target.foil.token_ids)) == ("no", 1)
    assert held.record.label == "checkpoint A"
    for method in held.methods:
        heatmap = held.heatmap(method)
        assert (heatmap.shape, heatmap.unit, heatmap.has_evidence) == ((14, 14), "nats", True)
        assert heatmap.target == target


def test_a_word_of_the_question_lies_on_both_images():
    held = groundviz.open(GOLDEN / "question_two_images.gvz")
    assert (held.question, held.answer.text, held.methods) == ("Is there a nodule?", "yes", ("attention",))
    assert [source_image.shape for source_image in held.source_images] == [(28, 28), (28, 28)]
    (target,) = held.record.targets
    assert target.in_question
    assert target == find(held.answer, Question("nodule"), held.record.prompt)
    first, second = held.heatmaps("attention")
    assert (first.grid.image, second.grid.image) == (0, 1)
    assert first.unit == second.unit == "share of attention"
    # Attention to both images together cannot be more than all there is.
    assert 0 < float(np.sum(first) + np.sum(second)) <= 1
