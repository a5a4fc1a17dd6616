"""Ramps through a processor tell where every number of its tensors lies in the source image."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from groundviz.models.adapter.unmeasurable import Unmeasurable
from groundviz.models.measured.layout import blocks_of
from groundviz.models.measured.ramps import read_ramps

SIDE = 32


def resized(source_image, size=(SIDE, SIDE)):
    levels = np.rint(source_image.pixels * 255).astype(np.uint8)
    image = Image.fromarray(levels).resize(size[::-1], Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 127.5 - 1)


def planes(images):
    return {"pixel_values": torch.stack([resized(one).movedim(-1, 0) for one in images])}


def channels_last(images):
    return {"image": torch.stack([resized(one) for one in images])}


def patches(images, patch=8):
    """Flattened patches, column by column, each pixel twice."""
    rows = []
    for one in images:
        blocks = resized(one).unfold(0, patch, patch).unfold(1, patch, patch)
        # (row, col, colour, y, x) to (col, row, frame, colour, y, x)
        flat = blocks.transpose(0, 1)[:, :, None].expand(-1, -1, 2, -1, -1, -1)
        rows.append(flat.reshape(-1, 2 * 3 * patch * patch))
    return {"pixel_values": torch.cat(rows)}


def strip(images):
    """All patches of an image side by side in one strip."""
    (one,) = images
    blocks = resized(one).unfold(0, 8, 8).unfold(1, 8, 8)
    return {"pixel_values": blocks.permute(2, 3, 0, 1, 4).reshape(1, 3, 8, -1)}


def padded(images):
    return {"pixel_values": F.pad(planes(images)["pixel_values"], (4, 4, 0, 8))}


def where(process, shape, position, images=1):
    """The source place that a number is measured to show, its colour and its image."""
    blocks = blocks_of(read_ramps(process, [shape] * images), [shape] * images)
    for block in blocks:
        at = np.argwhere(block.index == position)
        if len(at):
            return block.places()[tuple(at[0])], at[0][3], block.image
    return None


@pytest.mark.parametrize("shape", [(61, 45), (20, 90), (400, 300)])
def test_planes_and_channels_behind(shape):
    expected = (np.array([5, 21]) + 0.5) * np.array(shape) / SIDE
    for process, position in (
        (planes, 1 * SIDE * SIDE + 5 * SIDE + 21),
        (channels_last, (5 * SIDE + 21) * 3 + 1),
    ):
        at, colour, image = where(process, shape, position)
        np.testing.assert_allclose(at, expected, atol=0.15 * max(shape) / SIDE)
        assert (colour, image) == (1, 0)


def test_two_images_are_told_apart():
    position = 3 * SIDE * SIDE + 2 * SIDE * SIDE + 7
    _, colour, image = where(planes, (40, 40), position, images=2)
    assert (colour, image) == (2, 1)


def test_flattened_patches_and_copies():
    shape = (61, 45)
    blocks = blocks_of(read_ramps(patches, [shape]), [shape])
    assert {block.index.shape for block in blocks} == {(2, 8, 8, 3)}
    # The second patch is below the first: pixel (8 + 3, 4), colour 2, in the second frame.
    at, colour, _ = where(patches, shape, 384 + 192 + 2 * 64 + 3 * 8 + 4)
    np.testing.assert_allclose(at, np.array([11.5, 4.5]) * np.array(shape) / SIDE, atol=0.3)
    assert colour == 2


def test_a_strip_of_patches():
    blocks = blocks_of(read_ramps(strip, [(61, 45)]), [(61, 45)])
    assert [block.size for block in blocks] == [(8, 8)] * 16
    np.testing.assert_allclose(blocks[5].centre, np.array([12.0, 12.0]) * [61 / 32, 45 / 32], atol=0.3)


def test_padding_has_places_beyond_the_border():
    (block,) = blocks_of(read_ramps(padded, [(64, 64)]), [(64, 64)])
    assert block.size == (SIDE + 8, SIDE + 8)
    np.testing.assert_allclose(block.to_source, [[2, 0, 0], [0, 2, -8]], atol=0.1)


def test_small_images_are_measured_between_their_bent_rims():
    (block,) = blocks_of(read_ramps(planes, [(17, 9)]), [(17, 9)])
    np.testing.assert_allclose(block.to_source, [[17 / 32, 0, 0], [0, 9 / 32, 0]], atol=0.05)


def test_images_that_have_nothing_but_rims_are_refused():
    with pytest.raises(Unmeasurable, match="side of 3 pixels is too short"):
        blocks_of(read_ramps(planes, [(17, 3)]), [(17, 3)])


def normalised(images):
    pixels = planes(images)["pixel_values"]
    return {"pixel_values": pixels - pixels.mean(dim=(1, 2, 3), keepdim=True)}


def curved(images):
    return {"pixel_values": planes(images)["pixel_values"].clamp(min=-1).add(1).div(2).pow(3)}


def discrete(images):
    return {"pixel_values": planes(images)["pixel_values"].mul(9).long()}


@pytest.mark.parametrize(
    ("process", "says"),
    [(normalised, "its own brightness"), (curved, "straight line"), (discrete, "discrete tokens")],
)
def test_what_does_not_follow_brightness_is_refused_by_name(process, says):
    with pytest.raises(Unmeasurable, match=says):
        read_ramps(process, [(40, 40)])
