"""Very long and very small images: every family takes them, or says which shape it would take."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from groundviz import images, models
from groundviz.errors import ImageError
from groundviz.explain import explain
from groundviz.models.adapter.shape_check import encode_or_say
from groundviz.testing.families import TINY
from tests.support.kinds import EVERY_KIND

QUESTION = "Is there a nodule?"
SHAPES = ((1, 5000), (5000, 1), (17, 3), (4096, 33), (1, 1), (2, 2))
ASKED = re.compile(r"has (\d+) rows and (\d+) columns, .* It takes (\d+) by (\d+): pad it")


def noise(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("family", EVERY_KIND)
def test_a_shape_is_taken_or_another_is_named_that_is(family: str) -> None:
    vlm = models.resolve(*TINY[family]())
    for shape in SHAPES:
        source_image = images.load(noise(shape))
        try:
            encoded = vlm.encode([source_image], QUESTION)
        except ImageError as error:
            found = ASKED.search(str(error))
            assert found is not None
            numbers = [int(number) for number in found.groups()]
            assert tuple(numbers[:2]) == shape
            assert all(new >= old for new, old in zip(numbers[2:], shape, strict=True))
            encoded = vlm.encode([images.load(noise((numbers[2], numbers[3])))], QUESTION)
        assert encoded.columns.size > 0


@pytest.mark.parametrize("shape", [(1, 1), (17, 3)])
# A map of one cell points nowhere, and a warning says so.
@pytest.mark.filterwarnings("ignore:.*found no evidence:RuntimeWarning")
@pytest.mark.parametrize("family", ["mistral3", "pixtral", "qwen2_vl", "idefics3"])
def test_what_is_taken_is_explained(family: str, shape: tuple[int, int]) -> None:
    vlm = models.resolve(*TINY[family]())
    try:
        record = explain(vlm, noise(shape), QUESTION, methods="attention", answer="no", certify=False).record
    except ImageError as error:
        assert ASKED.search(str(error))
    else:
        assert all(np.isfinite(one.values).all() for one in record.heatmaps)


def test_the_image_to_blame_is_named_among_several() -> None:
    vlm = models.resolve(*TINY["qwen2_vl"]())
    good, bad = (images.load(noise(shape)) for shape in ((40, 40), (1, 5000)))
    with pytest.raises(ImageError, match=r"^Image 2 of 2 has 1 rows and 5000 columns"):
        vlm.encode([good, bad], QUESTION)


def test_a_failure_that_is_not_the_images_stays_as_it_is() -> None:
    class Broken:
        def encode(self, vlm: Any, source_images: Any, question: str) -> Any:
            raise ZeroDivisionError("not of the image")

    with pytest.raises(ZeroDivisionError, match="not of the image"):
        encode_or_say(Broken(), None, (images.load(noise((1, 50))),), QUESTION)
