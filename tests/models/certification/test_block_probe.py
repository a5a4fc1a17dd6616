"""Blocks of the source image and the tokens that change with them: right, and wrong in five ways."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from groundviz import certify, models
from groundviz.models.certification.block_probe import LEAST_FOUND, WRONG, probe_blocks
from groundviz.models.certification.gradient_trace import by_token
from groundviz.runtime.loan import guard
from groundviz.testing.families import TINY
from groundviz.testing.fingerprint import difference, fingerprint
from tests.models.certification.broken import BROKEN
from tests.support.newest import newest
from tests.zoo import ZOO

SHAPES = (61, 45), (41, 83)
# One image at a fixed size, native resolution, tiles and overview, towers of convolutions, and measured ones.
KINDS = ("llava", "qwen2_5_vl", "aya_vision", "fast_vlm")
MORE = ("internvl", "llava_next", "idefics3", "qwen3_5")
EACH = [*KINDS, *(pytest.param(kind, marks=pytest.mark.wide) for kind in MORE)]
SEVERAL_VIEWS = ("internvl", "llava_next", "idefics3", "aya_vision")

pytestmark = [newest, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module", params=EACH)
def right(request):
    return request.param, built(request.param)


def built(kind):
    builder = TINY.get(kind) or ZOO[kind]
    vlm = models.resolve(*builder())
    # A measured family borrows the model itself when it is first asked.
    vlm.parts()
    return vlm


def probed(vlm, shapes=SHAPES):
    with guard.borrow(vlm.model) as loan:
        return probe_blocks(vlm, loan, shapes)


def broken(monkeypatch, vlm, wrong):
    """Have the family place image tokens where they are not."""
    encode = type(vlm.family).encode

    def misplacing(self, *args):
        encoded = encode(self, *args)
        language = encoded.cells["language"]
        language = replace(language, grids=tuple(wrong(language.grids)))
        return replace(encoded, cells={**encoded.cells, "language": language})

    monkeypatch.setattr(type(vlm.family), "encode", misplacing)


def test_right_tokens_are_found(right):
    _, vlm = right
    check = probed(vlm)
    assert check.verdict == "passed", check.says
    assert check.value >= 0.9
    assert check.reference == LEAST_FOUND


@pytest.mark.parametrize("how", BROKEN)
def test_wrong_tokens_are_found(right, how, monkeypatch):
    kind, vlm = right
    if how == "views backwards" and kind not in SEVERAL_VIEWS:
        # One view alone has no order: nothing is wrong.
        broken(monkeypatch, vlm, BROKEN[how])
        assert probed(vlm).verdict == "passed"
        return
    broken(monkeypatch, vlm, BROKEN[how])
    check = probed(vlm)
    assert check.verdict == WRONG
    assert check.value < LEAST_FOUND


@pytest.mark.parametrize("kind", ["llava", "qwen2_5_vl", "llava_next", "fast_vlm"])
def test_one_wrong_image_of_two_is_found(kind, monkeypatch):
    def second_mirrored(grids):
        pairs = zip(grids, BROKEN["mirrored"](grids), strict=True)
        return [wrong if right.image == 1 else right for right, wrong in pairs]

    vlm = built(kind)
    broken(monkeypatch, vlm, second_mirrored)
    assert probed(vlm).verdict == WRONG


def test_wrong_tokens_fail_the_certificate(monkeypatch):
    vlm = built("llava")
    broken(monkeypatch, vlm, BROKEN["mirrored"])
    certificate = certify(vlm)
    [blocks] = [check for check in certificate.checks if check.name == "blocks"]
    assert blocks.verdict == WRONG
    assert not certificate.passed


def test_the_shown_image_is_mirrored_and_not_the_tokens():
    """A fault of the processor, which no gradient of the model could find."""
    vlm = built("llava")
    encode = type(vlm.family).encode

    class Backwards(type(vlm.family)):
        def encode(self, vlm, source_images, question):
            turned = [replace(one, pixels=np.ascontiguousarray(one.pixels[:, ::-1])) for one in source_images]
            return encode(vlm.family, vlm, tuple(turned), question)

    own = type(vlm.family)
    vlm.family.__class__ = Backwards
    try:
        assert probed(vlm).verdict == WRONG
    finally:
        vlm.family.__class__ = own


def test_several_images_are_told_apart_in_one_prompt():
    assert probed(built("llava")).says.startswith("Blocks of 2 source images that were inverted: ")
    assert probed(built("llava"), SHAPES[:1]).says.startswith("Blocks of 2 source images")


@pytest.mark.parametrize(
    ("kind", "why"),
    [("mllama", "cross-attention"), ("blip2", "depends on the whole image"), ("idefics2", "whole image")],
)
def test_what_has_no_image_tokens_of_single_places_is_not_measured(kind, why):
    check = probed(built(kind))
    assert (check.verdict, check.value) == ("not measured", None)
    assert why in check.says


@pytest.mark.wide
@pytest.mark.parametrize("wrong", [None, "mirrored"])
def test_changes_that_spread_over_a_window_are_not_measured(monkeypatch, wrong):
    """Granite's projector makes four tokens of a window that all of them read."""
    vlm = built("granite4_vision")
    if wrong:
        broken(monkeypatch, vlm, BROKEN[wrong])
    check = probed(vlm)
    assert (check.verdict, check.value) == ("not measured", None)
    assert "many image tokens alike" in check.says


@pytest.mark.parametrize(("kind", "passes"), [("llava", 2), ("got_ocr2", 8)])
def test_a_clear_model_costs_two_passes_and_an_unclear_one_eight(kind, passes):
    vlm, whole, layers = built(kind), [], []
    # What a measured family measures of these shapes is not counted.
    probed(vlm)
    vlm.model.register_forward_pre_hook(lambda *args: whole.append(1))
    vlm.parts().decoder_layers[1].register_forward_pre_hook(lambda *args: layers.append(1))
    probed(vlm)
    assert (len(whole), len(layers)) == (passes, 0)


def test_the_model_comes_back_as_it_was():
    vlm = built("got_ocr2")
    before = fingerprint(vlm.model)
    probed(vlm)
    assert difference(before, fingerprint(vlm.model)) == []


def test_streams_of_states_are_one_row_for_each_token():
    states = torch.arange(2 * 3 * 4.0).reshape(1, 3, 2, 4)
    assert torch.equal(by_token(states, 3), torch.arange(24.0).reshape(3, 8))
    streams_first = states[0].transpose(0, 1)[:, None]
    assert torch.equal(by_token(streams_first, 3), torch.arange(24.0).reshape(3, 8))
    assert by_token(torch.zeros(2, 3, 4), 3) is None
