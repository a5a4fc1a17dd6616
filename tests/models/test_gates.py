"""The stages that the whole image passes: where their cells are held, another image changes nothing."""

import numpy as np
import pytest
import torch

import groundviz
from groundviz import models
from groundviz.methods.toolkit.baselines import baseline
from groundviz.runtime import borrow
from groundviz.testing.families import TINY
from groundviz.testing.families.qwen_vl import tiny_qwen3_vl
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support.kinds import EVERY_KIND
from tests.support.newest import newest
from tests.support.types_at_hand import builder_of


def scores(vlm, stages, *, batch=2):
    """Log-probabilities of an answer on an image and its blurred twin, with the first one's cells in both."""
    image = groundviz.images.load(np.random.default_rng(0).integers(0, 255, (61, 45, 3), dtype=np.uint8))
    with borrow(vlm) as live:
        prompt = live.encode(image, "Is there a nodule?")
        answer = live.answer(prompt, given="left lung")
        (target,) = live.targets(answer, None, None)
        pixels = live.site("pixels")
        both = torch.cat([live.read(pixels), baseline(live, "flat")])
        held = {site: lambda cells: cells[:1].expand_as(cells) for site in live.sites if site.stage in stages}
        with torch.no_grad():
            found = live.scores([target], pixels, both, behind=held)[:, 0].tolist()
        return found, live.vlm.parts().gates, {site.stage for site in held}


def check(vlm):
    (image, twin), gates, _ = scores(vlm, ())
    assert image != pytest.approx(twin, abs=1e-5)
    (image, twin), _, held = scores(vlm, gates)
    if held == set(gates) != set():
        assert image == pytest.approx(twin, abs=1e-4)
    return gates


def test_the_projector_of_a_llava_is_the_only_way():
    model = tiny_llava()
    assert check(models.resolve(model, tiny_llava_processor(model))) == ("projector",)


def test_earlier_layers_of_a_qwen3_pass_its_merger():
    vlm = models.resolve(*tiny_qwen3_vl())
    assert check(vlm) == ("vision", "projector")
    (image, twin), _, _ = scores(vlm, ("projector",))
    assert image != pytest.approx(twin, abs=1e-5)


MEASURED = {
    "qwen3_vl_moe": ("vision", "projector"),
    "cohere2_vision": ("projector",),
    "glm4v": ("projector",),
    # It makes image tokens anew for each of several layers, with several projectors.
    "granite4_vision": (),
}


@newest
@pytest.mark.wide
@pytest.mark.parametrize("name", MEASURED)
def test_a_model_without_a_family_is_measured(name):
    assert check(models.resolve(*builder_of(name)())) == MEASURED[name]


@pytest.mark.wide
@pytest.mark.parametrize("name", EVERY_KIND)
def test_every_family_states_them(name):
    vlm = models.resolve(*TINY[name]())
    if vlm.parts().batches:
        check(vlm)
