"""Gradients cell by cell: each item of a batch and each target its own."""

import numpy as np
import pytest
import torch

from groundviz import images, models
from groundviz.errors import UnsupportedMethod
from groundviz.methods.hires_cam import hires_cam
from groundviz.methods.toolkit.gradients import cell_gradients, gradients_of, layer_gradients, products
from groundviz.runtime import borrow
from groundviz.runtime.inputs.sites import Site
from groundviz.testing.families import TINY


@pytest.fixture
def asked(tiny, source_image):
    with borrow(tiny) as live:
        answer = live.answer(live.encode(source_image, "Is there a nodule?"), given="left lung nodule")
        targets = [*live.targets(answer, ["nodule", "left"], None), *live.targets(answer, "left", "right")]
        yield live, targets


@pytest.mark.parametrize("at", ["pixels", "vision", "projector", "language.0"])
def test_a_batch_gives_what_each_item_gives_alone(asked, at):
    live, targets = asked
    site = live.site(at)
    here = live.read(site).detach()
    batch = torch.cat([here, here + 0.5])
    together = gradients_of(live, targets, site, batch)
    for item in (0, 1):
        alone = gradients_of(live, targets, site, batch[item : item + 1])[0]
        torch.testing.assert_close(together[item], alone, atol=1e-5 * float(alone.abs().max()), rtol=0)
    _, expected = cell_gradients(live, targets, site)
    torch.testing.assert_close(together[0], expected, atol=1e-4 * float(expected.abs().max()), rtol=0)
    assert not together.requires_grad


def test_values_and_gradients_have_one_row_per_cell(asked):
    live, targets = asked
    values, gradients = layer_gradients(live, targets, "projector")
    assert (values.shape, gradients.shape) == ((16, 32), (3, 16, 32))
    values, gradients = cell_gradients(live, targets, live.site("pixels"))
    assert (values.shape, gradients.shape) == ((784, 3), (3, 784, 3))


def test_no_gradient_at_all_is_refused(asked):
    live, targets = asked
    with pytest.raises(UnsupportedMethod, match=r"language\.1"):
        cell_gradients(live, targets, live.site("language.1"))


def test_another_image_can_be_read_at_any_site(asked):
    live, _ = asked
    pixels = live.read(live.site("pixels"))
    places = [live.site(at) for at in ("pixels", "vision", "projector", "language.1")]
    for place, same, other in zip(
        places,
        live.read_each(*places, pixels=pixels.clone()),
        live.read_each(*places, pixels=pixels * 0.5),
        strict=True,
    ):
        torch.testing.assert_close(same, live.read(place))
        assert not other.allclose(same)


def test_products_that_cancel_are_refused_and_others_are_sums():
    values, gradients = torch.tensor([[1.0, 2.0], [3.0, -1.0]]), torch.tensor([[[2.0, -1.0], [1.0, 3.0]]])
    with pytest.raises(UnsupportedMethod, match=r"vision\.1 values times gradients add up to zero"):
        products(Site("vision", 1), values, gradients)
    gradients[0, 0, 0] = 3.0
    assert products(Site("vision", 1), values, gradients).tolist() == [[1.0, 0.0]]


def test_the_last_layer_of_a_tower_with_a_norm_behind_it_is_refused():
    with borrow(models.resolve(*TINY["gemma3"]())) as live:
        image = images.load(np.random.default_rng(2).random((32, 32), dtype=np.float32))
        answer = live.answer(live.encode(image, "Is there a nodule?"), given="left lung")
        with pytest.raises(UnsupportedMethod, match="normalises each cell by itself"):
            hires_cam(live, live.prompt, answer, live.targets(answer, None, None), at="vision")
