"""Our maps beside captum's, computed by its own loops over the same model.

captum makes one target at a time, keeps nothing when it is interrupted and ends when memory runs
out; the methods here have loops of their own, and these tests hold them to the same numbers.
Integrated gradients have theirs beside their own.
"""

import numpy as np
import pytest
import torch
from captum import attr as captum

from groundviz.methods.running.choose import choose
from groundviz.methods.running.measure import measure
from groundviz.methods.toolkit.baselines import baseline
from groundviz.runtime import borrow
from tests.methods.planes import as_cells, as_image

ANSWER = "left lung nodule and effusion"


@pytest.fixture
def asked(tiny, source_image):
    with borrow(tiny) as live:
        prompt = live.encode(source_image, "Is there a nodule?")
        answer = live.answer(prompt, given=ANSWER)
        targets = live.targets(answer, ["nodule", "effusion"], None)
        yield live, prompt, answer, targets


def ours(asked, name, **options):
    """Values (target, cell) in the order of the grid's cells."""
    live, prompt, answer, targets = asked
    (maps,), _ = measure(choose({name: options}), live, prompt, answer, targets)
    return np.stack([maps.at(target).values for target in targets]), maps


def scores(asked, site):
    live, _, _, targets = asked
    return lambda values: live.scores(targets, live.site(site), values)


def scores_of_images(asked):
    """As `scores`, of images (batch, channel, row, col)."""
    of_cells = scores(asked, "pixels")
    return lambda images: of_cells(as_cells(images))


def by_target(attribute, asked):
    return [attribute(target=index) for index in range(len(asked[3]))]


@pytest.mark.parametrize("site", ["pixels", "projector"])
def test_input_times_gradient(asked, site):
    live = asked[0]
    method = captum.InputXGradient(scores(asked, site))
    leaf = live.read(live.site(site)).detach().requires_grad_()
    found, _ = ours(asked, "input_gradient", at=site)
    for mine, theirs in zip(
        found, by_target(lambda target: method.attribute(leaf, target), asked), strict=True
    ):
        expected = theirs.sum(2).detach().numpy().reshape(mine.shape)
        np.testing.assert_allclose(mine, expected, atol=1e-5 * np.abs(expected).max())


def test_occlusion(asked):
    live, site = asked[0], asked[0].site("pixels")
    found, _ = ours(asked, "occlusion", window=7, stride=7)
    method = captum.Occlusion(scores_of_images(asked))
    pixels, blank, window = as_image(live.read(site)), as_image(baseline(live, "blur")), (3, 7, 7)
    for mine, index in zip(found, range(2), strict=True):
        with torch.no_grad():
            theirs = method.attribute(pixels, window, strides=window, baselines=blank, target=index)
        expected = theirs[0, 0].reshape(4, 7, 4, 7).mean((1, 3)).numpy()
        seen = np.isfinite(mine)
        assert seen.any()
        np.testing.assert_allclose(mine[seen], expected[seen], atol=1e-5)


def test_shapley_values(asked):
    """captum's exact values of four pieces, over all 24 orders; all 14 sets of them give the same."""
    live, site = asked[0], asked[0].site("pixels")
    found, _ = ours(asked, "shapley", cells=4)
    pieces = torch.arange(4).reshape(2, 2).repeat_interleave(14, 0).repeat_interleave(14, 1)
    method = captum.ShapleyValues(scores_of_images(asked))
    pixels, blank = as_image(live.read(site)), as_image(baseline(live, "blur"))
    for mine, index in zip(found, range(2), strict=True):
        with torch.no_grad():
            theirs = method.attribute(pixels, blank, target=index, feature_mask=pieces[None, None])
        expected = theirs[0, 0, ::14, ::14].numpy()
        # Pieces out of the model's view have no value.
        assert mine.shape == (2, 2)
        np.testing.assert_allclose(mine, expected, atol=1e-4 * np.abs(expected).max())
