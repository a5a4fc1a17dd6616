"""Pixels are read where an index says they are, and replaced there and nowhere else."""

import numpy as np
import torch

from groundviz.record.types import SourceImage
from groundviz.runtime.inputs.pixels import InTensor, ThroughProcessor, flattened, unflattened


def source_image(pixels):
    return SourceImage(
        pixels=np.asarray(pixels, np.float32), source="array", raw_range=(0, 1), sha256="0" * 64
    )


# Two pixels of two colours, each stored twice, with numbers between them that are no pixels.
INDEX = torch.tensor([[[0, 3], [1, 4]], [[6, 9], [7, 10]]])


def test_the_first_copy_is_read_and_all_are_written():
    image = InTensor({"pixel_values": torch.arange(12.0).reshape(2, 6)}, INDEX)
    assert image.cells().tolist() == [[[0.0, 3.0], [1.0, 4.0]]]
    cells = torch.tensor([[[-1.0, -2.0], [-3.0, -4.0]], [[50.0, 60.0], [70.0, 80.0]]])
    made = image.replaced(cells)["pixel_values"]
    assert made.shape == (4, 6)
    assert made[0].tolist() == [-1, -3, 2, -2, -4, 5]
    assert made[1].tolist() == [-1, -3, 8, -2, -4, 11]
    assert made[2].tolist() == [50, 70, 2, 60, 80, 5]
    assert image.values["pixel_values"].tolist() == torch.arange(12.0).reshape(2, 6).tolist()


def test_what_is_put_in_keeps_the_models_dtype_and_its_gradient():
    image = InTensor({"pixel_values": torch.zeros(2, 6, dtype=torch.bfloat16)}, INDEX)
    cells = torch.ones(1, 2, 2, requires_grad=True)
    made = image.replaced(cells)["pixel_values"]
    assert made.dtype == torch.bfloat16
    (gradient,) = torch.autograd.grad(made.float().sum(), cells)
    assert gradient.tolist() == [[[2.0, 2.0], [2.0, 2.0]]]


def test_source_images_survive_being_flattened():
    grey, coloured = source_image(np.random.rand(2, 3)), source_image(np.random.rand(4, 1, 3))
    cells = flattened([grey, coloured])
    assert cells.shape == (1, 10, 3)
    one, two = unflattened(cells[0], [grey, coloured])
    np.testing.assert_array_equal(one.pixels, np.repeat(grey.pixels[..., None], 3, axis=2))
    np.testing.assert_array_equal(two.pixels, coloured.pixels)


def test_every_image_of_a_batch_goes_through_the_processor():
    seen = []

    def process(cells):
        seen.append(cells)
        return {"pixel_values": cells.mean().reshape(1, 1), "sizes": torch.tensor([[1, 2]])}

    image = ThroughProcessor(torch.zeros(1, 4, 3), process)
    made = image.replaced(torch.stack([torch.zeros(4, 3), torch.ones(4, 3)]))
    assert made["pixel_values"].tolist() == [[0.0], [1.0]]
    assert made["sizes"].tolist() == [[1, 2], [1, 2]]
    assert len(seen) == 2


def test_several_inputs_are_read_and_written_as_one():
    """The third number of the second input is the eighth of both."""
    values = {"whole": torch.arange(6.0).reshape(1, 6), "tiles": torch.arange(10.0, 14.0).reshape(2, 2)}
    image = InTensor(values, torch.tensor([[[1, 8]]]))
    assert image.cells().tolist() == [[[1.0, 12.0]]]
    made = image.replaced(torch.tensor([[[7.0, 8.0]], [[70.0, 80.0]]]))
    assert made["whole"].tolist() == [[0, 7, 2, 3, 4, 5], [0, 70, 2, 3, 4, 5]]
    assert made["tiles"].tolist() == [[10, 11], [8, 13], [10, 11], [80, 13]]
