"""Geometry, tested with the real image processors: light one source spot, see which patch lights up."""

import numpy as np
import pytest
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.image_geometry import source_to_model
from groundviz.record.geometry import apply, cells_in_view, compose, invert, scale_shift

SIDE, PATCH = 56, 7
SQUARE = {"height": SIDE, "width": SIDE}
PROCESSORS = {
    "squash": SiglipImageProcessorPil(size=SQUARE),
    "crop": CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SQUARE),
    "crop inside": CLIPImageProcessorPil(size={"shortest_edge": SIDE + 8}, crop_size=SQUARE),
    "pad": LlavaImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SQUARE, do_pad=True),
    "crop of something smaller": CLIPImageProcessorPil(size={"shortest_edge": 41}, crop_size=SQUARE),
    "as it is": CLIPImageProcessorPil(do_resize=False, crop_size=SQUARE),
}
SHAPES = [(56, 56), (113, 113), (151, 97), (90, 233), (400, 301)]


def brightest_cell(processor, image):
    pixels = processor(Image.fromarray(image), return_tensors="np", do_normalize=False)["pixel_values"][0]
    cells = pixels.mean(0).reshape(SIDE // PATCH, PATCH, SIDE // PATCH, PATCH).sum((1, 3))
    return np.unravel_index(cells.argmax(), cells.shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", PROCESSORS)
def test_a_bright_patch_lights_the_cell_that_maps_onto_it(name, shape):
    processor = PROCESSORS[name]
    to_model, size = source_to_model(processor, shape)
    assert size == (SIDE, SIDE)
    to_source = compose(invert(to_model), scale_shift((PATCH, PATCH)))
    seen = cells_in_view(SIDE // PATCH, SIDE // PATCH, to_source, shape)
    tried = 0
    for row, col in np.argwhere(seen):
        (top, left), (bottom, right) = apply(to_source, np.array([[row, col], [row + 1.0, col + 1.0]]))
        if top < 0 or left < 0 or bottom > shape[0] or right > shape[1]:
            continue
        image = np.zeros((*shape, 3), np.uint8)
        image[round(top) : round(bottom), round(left) : round(right)] = 255
        assert brightest_cell(processor, image) == (row, col)
        tried += 1
    assert tried >= 9


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", PROCESSORS)
def test_the_edge_of_a_half_bright_image_lands_where_the_affine_says(name, shape):
    processor = PROCESSORS[name]
    to_model, _ = source_to_model(processor, shape)
    middle = shape[1] // 2
    image = np.zeros((*shape, 3), np.uint8)
    image[:, middle:] = 255
    inputs = processor(Image.fromarray(image), return_tensors="np", do_normalize=False, do_rescale=False)
    row = inputs["pixel_values"][0].mean(0)[SIDE // 2]
    begin = apply(to_model, np.array([[0.0, 0.0]]))[0, 1]
    stop = apply(to_model, np.array([[0.0, shape[1]]]))[0, 1]
    inside = row[max(0, round(begin)) : round(stop)]
    edge = max(0, round(begin)) + np.flatnonzero(inside > 127)[0]
    assert abs(edge - apply(to_model, np.array([[0.0, middle]]))[0, 1]) <= 1.0


def test_an_unknown_way_to_state_a_size_is_refused():
    class Strange:
        size = {"max_pixels": 1024}  # noqa: RUF012

    with pytest.raises(UnsupportedModel, match="shortest_edge"):
        source_to_model(Strange(), (10, 10))
