"""Processors without their halves for films, which need packages that still images do not."""

from __future__ import annotations

from typing import Any, TypeVar

from groundviz.models.loading.still_images import NO_FILMS as NO_FILMS
from groundviz.models.loading.still_images import NoFilms

P = TypeVar("P")


def for_stills(processor: type[P]) -> type[P]:
    """A processor class that takes anything for its video processor; all else is the class's own.

    >>> from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor
    >>> issubclass(for_stills(Qwen2VLProcessor), Qwen2VLProcessor)
    True
    """

    def check(self: Any, name: str, argument: Any) -> Any:
        if name == "video_processor":
            return NoFilms
        return processor.check_argument_for_proper_class(self, name, argument)  # type: ignore[attr-defined]

    return type(processor.__name__, (processor,), {"check_argument_for_proper_class": check})
