"""The image-text-to-text types that the transformers at hand has, and the builder of each tiny model."""

from __future__ import annotations

from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from groundviz.testing.families import TINY
from tests.zoo import UNBUILT, ZOO, Builder


def classes_of() -> dict[str, str]:
    """The name of the class of each type, in alphabetical order of the types.

    >>> classes_of()["llava"]
    'LlavaForConditionalGeneration'
    """
    found = {}
    for name, named in sorted(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.items()):
        # Some types name several classes, the first of which answers.
        found[name] = named if isinstance(named, str) else named[0]
    return found


def builder_of(name: str) -> Builder | None:
    """What builds the tiny model of a type; None where `UNBUILT` says why there is none.

    Raises:
        KeyError: The type is in none of the lists: it needs a builder, or a reason.

    >>> model, processor = builder_of("fast_vlm")()
    >>> model.config.model_type
    'fast_vlm'
    """
    called = name.replace("-", "_").replace(".", "_")
    if name in UNBUILT:
        return None
    if called in ZOO:
        return ZOO[called]
    # Builders of the families spell some types without the line.
    for spelling in (called, called.replace("blip_2", "blip2")):
        if spelling in TINY:
            return TINY[spelling]
    raise KeyError(
        f"There is no tiny model of type {name!r}: expected a builder in tests/zoo, or a reason in UNBUILT."
    )
