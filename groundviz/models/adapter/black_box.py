"""Any other model that generates text about images: what images do to its answer, and nothing inside it.

::

    the model          a closed box: tokens and images in, an answer out
    the processor      run anew for every changed image

Maps of perturbation methods lie on the source image itself, so no geometry is needed for them.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import GenerationMixin

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.modules import no_parts
from groundviz.models.adapter.vlm import FAMILIES, MEASURED, UNKNOWN, VLM
from groundviz.models.prompting.defaults import PLAIN
from groundviz.models.prompting.encode import finish, read_prompt
from groundviz.models.prompting.markers import marker_of
from groundviz.record.conversation import Asking
from groundviz.record.geometry import squeezed
from groundviz.record.types import SourceImage
from groundviz.runtime.inputs.encoded import Cells, Encoded
from groundviz.runtime.inputs.sites import Parts


class Anything:
    """The adapter of models that have none."""

    checkpoints = ()

    def matches(self, config: Any) -> bool:
        """Never: it is what remains when no family matches."""
        return False

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images in the model's own chat template."""
        asked = read_prompt(vlm, source_images, question, PLAIN, marker=marker_of(vlm.processor))
        image = np.empty(0, dtype=np.int64)
        token = getattr(vlm.processor, "image_token_id", None)
        if token is not None:
            image = asked.where(token)
        cells = {"pixels": unread_pixels(asked.shapes)}
        return finish(vlm, asked, image=image, grids=(), cells=cells, columns=np.empty(0, dtype=np.int64))

    def parts(self, model: Any) -> Parts:
        """No module at all, and why."""
        return no_parts(unknown=why(model.config, type(model).__name__))


def unread_pixels(shapes: Sequence[tuple[int, int]]) -> Cells:
    """The pixels of the source images themselves, where nothing is known of the model's own tensors."""
    pixels = [squeezed(shape, shape, image=number) for number, shape in enumerate(shapes)]
    return Cells(grids=tuple(pixels), index=np.empty(0, dtype=np.int64))


def why(config: Any, architecture: str) -> str:
    """A sentence on what is missing, and one on what can be done.

    >>> from types import SimpleNamespace
    >>> print(why(SimpleNamespace(model_type="sphinx"), "SphinxForCausalLM")[:61])
    SphinxForCausalLM has no adapter: its model type is 'sphinx',
    """
    known = ", ".join(name for name in FAMILIES if name not in (MEASURED, UNKNOWN))
    return (
        f"{architecture} has no adapter: its model type is {getattr(config, 'model_type', None)!r}, and the "
        f"families are: {known}. Use a method that works on any model that generates."
    )


def check_usable(model: Any, processor: Any) -> None:
    """Stop what is no model that answers questions about images.

    Raises:
        UnsupportedModel: It cannot generate, or not token by token; its forward takes no image; or its
            processor reads words off the image.
    """
    name = type(model).__name__
    if not hasattr(model, "generate"):
        raise UnsupportedModel(why(getattr(model, "config", None), name))
    if not issubclass(type(model), GenerationMixin):
        raise UnsupportedModel(
            f"{name} does not answer token by token: its generate is its own, such as the diffusion of "
            "whole blocks, and no pass gives the probability of a token after those before it. Take a model "
            "that answers token by token."
        )
    images = getattr(processor, "image_processor", None)
    inputs = list(inspect.signature(model.forward).parameters)
    if not any(word in given for given in inputs for word in _OF_IMAGES):
        raise UnsupportedModel(
            f"{name} takes no image: the inputs of its forward are {', '.join(inputs)}. Take a model that "
            "reads images, and its own processor."
        )
    if hasattr(images, "apply_ocr"):
        raise UnsupportedModel(
            f"{name} reads the words of a page by text recognition, and puts them with their places into the "
            "prompt: a changed image has other words, and so another prompt. Take a model that reads pixels "
            "alone."
        )


# What names of inputs that hold an image contain.
_OF_IMAGES = ("pixel", "image", "patch")


FAMILIES.add(UNKNOWN, Anything())
