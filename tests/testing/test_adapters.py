from dataclasses import replace

import numpy as np
import pytest

from groundviz.models.families.llava import Llava
from groundviz.testing.adapters import check_adapter


def test_the_llava_family_fits_the_installed_library(tiny, source_image):
    check_adapter(tiny, source_image)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"spans": lambda prompt: prompt.spans[1:]}, "do not cover"),
        ({"spans": lambda prompt: (prompt.spans[0], *prompt.spans[2:])}, "gaps"),
        ({"grids": lambda prompt: (grid_of(prompt, positions=positions(prompt).clip(6)),)}, "token once"),
        ({"grids": lambda prompt: (grid_of(prompt, rows=prompt.grids[0].rows + 1),)}, "fit its size"),
        ({"grids": lambda prompt: (grid_of(prompt, to_source=-np.eye(2, 3)),)}, "outside the image"),
    ],
)
def test_a_prompt_that_does_not_add_up_is_found(tiny, source_image, monkeypatch, change, says):
    encode = Llava.encode

    def wrong(self, vlm, source_image, question):
        encoded = encode(self, vlm, source_image, question)
        changed = {name: make(encoded.prompt) for name, make in change.items()}
        return replace(encoded, prompt=replace(encoded.prompt, **changed))

    monkeypatch.setattr(Llava, "encode", wrong)
    with pytest.raises(AssertionError, match=says):
        check_adapter(tiny, source_image)


def grid_of(prompt, **changes):
    return replace(prompt.grids[0], **changes)


def positions(prompt):
    return prompt.grids[0].positions


def test_a_module_that_is_not_the_models_is_found(tiny, source_image, monkeypatch):
    parts = Llava.parts
    from torch import nn

    monkeypatch.setattr(
        Llava, "parts", lambda self, model: replace(parts(self, model), projector=nn.Identity())
    )
    with pytest.raises(AssertionError, match="a projector is no part of the model"):
        check_adapter(tiny, source_image)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda index: index[1:], "vision has 15 positions for 16 cells of its grids"),
        (lambda index: index.clip(2), "two cells of vision stand at one place"),
    ],
)
def test_cells_that_do_not_fit_their_site_are_found(tiny, source_image, monkeypatch, change, says):
    encode = Llava.encode

    def wrong(self, vlm, source_image, question):
        encoded = encode(self, vlm, source_image, question)
        vision = encoded.cells["vision"]
        changed = replace(vision, index=change(vision.index))
        return replace(encoded, cells={**encoded.cells, "vision": changed})

    monkeypatch.setattr(Llava, "encode", wrong)
    with pytest.raises(AssertionError, match=says):
        check_adapter(tiny, source_image)
