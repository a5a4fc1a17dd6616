"""The search finds the pixels that a known score depends on, and ends early without losing its way."""

import numpy as np
import pytest
import torch

from groundviz.errors import OutOfMemory, UnknownName, UnsupportedMethod
from groundviz.explain import explain
from groundviz.methods.optimized_mask import optimized_mask
from groundviz.record.types import Samples
from groundviz.runtime.live import Live
from groundviz.runtime.passes.forward import Passes
from tests.methods.linear import ANSWER, QUESTION, asked, values_of
from tests.methods.planes import as_image

SPOT = (slice(14, 21), slice(7, 14))


@pytest.fixture
def spotted(tiny, source_image, monkeypatch):
    """A model that says its answer as long as it sees the original in one place, and the way to ask it."""
    with asked(tiny, source_image) as (live, prompt, answer):
        original = live.read(live.site("pixels"))

        def scores(self, targets, at, given):
            apart = as_image(given - original)[:, :, SPOT[0], SPOT[1]].square().mean((1, 2, 3))
            score = -8.0 * apart
            if targets[0].foil:
                score = 4.0 + score
            return score[:, None].expand(-1, len(targets))

        monkeypatch.setattr(Passes, "scores", scores)

        def search(targets=None, **options):
            found = targets or live.targets(answer, "nodule", None)
            return optimized_mask(live, prompt, answer, found, at="pixels", **options)

        yield live, answer, search


@pytest.mark.parametrize("fill", ["blur", "mean", "black"])
def test_the_only_place_that_counts_is_found(spotted, fill):
    _, _, search = spotted
    found = values_of(search(fill=fill))[0]
    assert np.unravel_index(found.argmax(), found.shape) == (2, 1)
    assert found[2, 1] > 0.5
    assert np.delete(found.reshape(-1), 9).max() < found[2, 1] - 0.1
    assert 0.0 <= found.min() <= found.max() <= 1.0


def test_a_contrast_is_searched_for_as_well(spotted):
    live, answer, search = spotted
    found = values_of(search(live.targets(answer, "effusion", "device")))[0]
    assert np.unravel_index(found.argmax(), found.shape) == (2, 1)


def test_a_higher_price_buys_less(spotted):
    _, _, search = spotted
    cheap, dear = (values_of(search(area=area)).mean() for area in (0.1, 10.0))
    assert dear < cheap


def test_smoothness_evens_neighbours_out(spotted):
    _, _, search = spotted
    rough, even = (values_of(search(smooth=smooth))[0] for smooth in (0.0, 50.0))
    assert np.abs(np.diff(even)).mean() < 0.7 * np.abs(np.diff(rough)).mean()


def test_every_target_has_its_own_masks_whatever_stands_beside_it(tiny, source_image):
    def found(target):
        recipe = {"optimized_mask": {"steps": 3}}
        explanation = explain(tiny, source_image, QUESTION, methods=recipe, answer=ANSWER, target=target)
        return explanation.record.heatmaps[0]

    both, alone = found(["nodule", "effusion"]), found("effusion")
    assert [target.text for target in both.targets] == ["nodule", "effusion"]
    np.testing.assert_allclose(both.values[1], alone.values[0], atol=1e-6)
    assert np.abs(both.values[0] - both.values[1]).max() > 1e-3


def test_ctrl_c_keeps_the_masks_that_were_reached(tiny, source_image, monkeypatch):
    recipe = {"optimized_mask": {"steps": 2}}
    expected = explain(tiny, source_image, QUESTION, methods=recipe, answer=ANSWER).record.heatmaps[0]
    scores, seen = Live.scores, []

    def interrupted(self, targets, site=None, values=None):
        seen.append(values)
        if len(seen) > 5:
            raise KeyboardInterrupt
        return scores(self, targets, site, values)

    monkeypatch.setattr(Live, "scores", interrupted)
    recipe = {"optimized_mask": {"steps": 9}, "attention": {}}
    with pytest.warns(RuntimeWarning, match="optimized_mask was interrupted: the result rests on 2 of 9"):
        explanation = explain(tiny, source_image, QUESTION, methods=recipe, answer=ANSWER)
    found = explanation.record.heatmaps[0]
    assert found.params["steps_done"] == 2
    assert explanation.methods == ("optimized_mask",)
    assert found.samples == Samples(done=2, asked=9)
    assert explanation.record.unmeasured == ("attention",)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)


def test_running_out_of_memory_is_told(tiny, source_image, monkeypatch):
    def full(self, targets, site=None, values=None):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Live, "scores", full)
    with pytest.raises(OutOfMemory, match=r"optimized_mask ran out .* 2\.00 GiB"):
        explain(tiny, source_image, QUESTION, methods="optimized_mask", answer=ANSWER)


def test_an_answer_that_is_certain_still_pulls(tiny, source_image, monkeypatch):
    """Where p rounds to one, what must be missed would have no gradient without a little doubt."""
    with asked(tiny, source_image) as (live, prompt, answer):
        original = live.read(live.site("pixels"))

        def certain(self, targets, at, given):
            apart = as_image(given - original)[:, :, SPOT[0], SPOT[1]].square().mean((1, 2, 3))
            return (-1e-9 - apart.pow(3))[:, None]

        monkeypatch.setattr(Passes, "scores", certain)
        target = live.targets(answer, "lung", None)
        found = values_of(optimized_mask(live, prompt, answer, target, at="pixels"))
    assert np.unravel_index(found[0].argmax(), (4, 4)) == (2, 1)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"steps": 0}, UnsupportedMethod, "steps=0"),
        ({"at": "language.9"}, UnknownName, "'language.9'"),
        ({"fill": "white"}, UnknownName, "'white'"),
    ],
)
def test_options_that_make_no_sense_are_refused(tiny, source_image, options, error, says):
    with pytest.raises(error, match=says):
        explain(tiny, source_image, QUESTION, methods={"optimized_mask": options})


def test_at_the_projector_the_masks_are_made_of_image_tokens(tiny, source_image):
    explanation = explain(
        tiny, source_image, QUESTION, methods={"optimized_mask": {"steps": 2}}, answer=ANSWER
    )
    (maps,) = explanation.record.heatmaps
    assert maps.grid is explanation.record.prompt.grids[0]
    assert maps.values.shape == (1, 1, 1, 4, 4)
    assert maps.params == {
        "at": "projector",
        "steps": 2,
        "area": 1.0,
        "smooth": 1.5,
        "fill": "blur",
        "steps_done": 2,
    }


def test_behind_the_last_layer_nothing_depends_on_the_mask(tiny, source_image):
    """Only the prices pull there: what is kept shrinks and nothing is taken, the same at each cell."""
    recipe = {"optimized_mask": {"steps": 4, "at": "language.1"}}
    with pytest.warns(RuntimeWarning, match="optimized_mask found no evidence: in its map all cells"):
        explanation = explain(tiny, source_image, QUESTION, methods=recipe, answer=ANSWER)
    assert not explanation.heatmap().has_evidence
