"""Processors for images alone, where what they need for films is not installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from transformers import AutoConfig
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils.hub import PushToHubMixin

from groundviz.errors import MissingExtra


class NoFilms(PushToHubMixin):
    """A video processor as far as chat templates ask for one when images are shown."""

    num_frames = 0
    fps = 0

    def to_dict(self) -> dict[str, Any]:
        """What is written of it: nothing."""
        return {}


NO_FILMS = NoFilms()


def without_films(place: Any, **options: Any) -> Any:
    """The processor of a checkpoint, without its half for films, which needs torchvision.

    Images are made with Pillow then, as transformers makes them itself where torchvision is missing.

    Args:
        place: A folder or a hub id.
        options: For transformers' `from_pretrained`.

    Raises:
        MissingExtra: The processor needs torchvision for images, too.
    """
    config = AutoConfig.from_pretrained(place, **{**options, "trust_remote_code": False})
    kind: Any = PROCESSOR_MAPPING[type(config)]
    attributes = [one for one in kind.get_attributes() if one != "video_processor"]
    stills = type(kind.__name__, (kind,), {"get_attributes": classmethod(lambda cls: attributes)})
    try:
        processor: Any = stills.from_pretrained(place, **{**options, "trust_remote_code": False})  # type: ignore[attr-defined]
    except ImportError:
        raise MissingExtra(NEEDS_TORCHVISION) from None
    processor.video_processor = NO_FILMS
    return processor


NEEDS_TORCHVISION = (
    "The checkpoint's processor needs torchvision, which is not installed. Install the one for your torch: "
    "pip install torchvision"
)


def films_are_missing(error: ImportError) -> bool:
    """Whether an import failed for want of torchvision."""
    return "torchvision" in str(error).lower() and find_spec("torchvision") is None
