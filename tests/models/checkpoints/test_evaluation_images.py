import numpy as np
import pytest
import torch
from PIL import Image

from groundviz.models.adapter.image_geometry import source_to_model
from groundviz.models.checkpoints import evaluation_images
from groundviz.record.geometry import apply

SIDE = 74
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
SPREAD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
MAKERS = [
    evaluation_images.squashed,
    evaluation_images.cropped,
    evaluation_images.padded,
    evaluation_images.cropped_as_open_clip,
]


def noise(rows, cols):
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (rows, cols, 3), dtype=np.uint8))


def pixels(maker, image):
    return maker(SIDE)(images=image, return_tensors="pt")["pixel_values"][0]


@pytest.mark.parametrize("size", [(101, 128), (128, 101), (74, 75), (90, 90), (75, 140)])
def test_open_clip_rounds_half_to_even(size):
    image, short = noise(*size), min(size)
    rows, cols = (int(SIDE * length / short) for length in size)
    top, left = round((rows - SIDE) / 2), round((cols - SIDE) / 2)
    small = image.resize((cols, rows), Image.Resampling.BICUBIC)
    wanted = np.asarray(small.crop((left, top, left + SIDE, top + SIDE)), np.float32) / 255
    got = pixels(evaluation_images.cropped_as_open_clip, image)
    assert np.abs(got.numpy() - ((wanted - MEAN) / SPREAD).transpose(2, 0, 1)).max() < 1e-6


def test_open_clip_is_one_pixel_off_transformers_where_the_margin_asks_for_it():
    # 93 columns leave a margin of 19: half of it is 9.5, which rounds to 10 and is cut to 9.
    one, other = (
        pixels(maker, noise(101, 128))
        for maker in (evaluation_images.cropped_as_open_clip, evaluation_images.cropped)
    )
    assert torch.equal(one[..., :-1], other[..., 1:])
    assert not torch.equal(one, other)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("shape", [(101, 128), (128, 101), (60, 147), (90, 90)])
def test_a_bright_spot_is_where_the_affine_says(maker, shape):
    dark = np.zeros((*shape, 3), np.uint8)
    place = (shape[0] // 2 + 3, shape[1] // 2 - 5)
    dark[place[0] - 2 : place[0] + 3, place[1] - 2 : place[1] + 3] = 255
    processor = maker(SIDE)
    seen = pixels(maker, Image.fromarray(dark)) - pixels(maker, Image.fromarray(np.zeros_like(dark)))
    weight = seen.sum(0).clamp(min=0)
    weight /= weight.sum()
    rows, cols = torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5
    found = float((weight.sum(1) * rows).sum()), float((weight.sum(0) * cols).sum())
    affine, size = source_to_model(processor, shape)
    assert size == (SIDE, SIDE)
    expected = apply(affine, np.array([place[0] + 0.5, place[1] + 0.5]))
    assert found == pytest.approx(tuple(expected), abs=0.15)


def test_margins_have_the_mean_colour():
    made = pixels(evaluation_images.padded, noise(40, 80))
    margin = (np.array([122, 116, 104], np.float32) / 255 - MEAN) / SPREAD
    assert made[:, 0, 0].numpy() == pytest.approx(margin, abs=1e-6)
