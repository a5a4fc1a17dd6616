"""Finds a model's processor: the user's own, one in a folder, or the one beside the weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from transformers import AutoProcessor

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.black_box import why
from groundviz.models.loading.errors import explained
from groundviz.models.loading.naming import shown_name
from groundviz.models.loading.offline import closed
from groundviz.models.loading.places import local_folder
from groundviz.models.loading.still_images import films_are_missing, without_films


def processor_at(place: Any, revision: str | None = None) -> Any:
    """The processor in a folder, or of a hub id."""
    here = local_folder(place, called="processor", revision=revision)
    options: dict[str, Any] = {"revision": revision or "main"}
    if here is not None:
        options["local_files_only"] = True
    with closed(wanted=here is not None):
        try:
            return AutoProcessor.from_pretrained(here or place, trust_remote_code=False, **options)
        except ImportError as error:
            if not films_are_missing(error):
                raise
            return without_films(here or place, **options)


def checked(processor: Any) -> Any:
    """A processor of images and text; one that is given as a folder or a hub id is loaded.

    Raises:
        UnsupportedModel: It is something else, or nothing loadable is there.
        MissingExtra: It needs a package that is not installed.
    """
    if isinstance(processor, str | os.PathLike):
        name = os.fspath(processor)
        with explained(str(name), shown_name(str(name))):
            processor = processor_at(processor)
    name = processor.__name__ if isinstance(processor, type) else type(processor).__name__
    if isinstance(processor, type):
        raise UnsupportedModel(
            f"The class {name} was given as processor: expected an object of it, or its folder or hub id. "
            "Pass what AutoProcessor.from_pretrained returns."
        )
    # A model of films is shown an image as a film.
    shows = hasattr(processor, "image_processor") or hasattr(processor, "video_processor")
    if not (shows and hasattr(processor, "tokenizer")):
        raise UnsupportedModel(
            f"{name} is not a processor of images and text: it lacks a tokenizer or an image processor. "
            "Pass what AutoProcessor loads for this checkpoint."
        )
    return processor


def processor_of(model: Any, origin: str) -> Any:
    """The processor beside the weights of a live model.

    Args:
        model: The model.
        origin: Where transformers says it came from; empty for nowhere.

    Raises:
        UnsupportedModel: There is none, or it cannot be read.
    """
    found = "is unknown, as it came from no folder"
    if origin:
        try:
            return processor_at(Path(origin) if Path(origin).is_dir() else origin)
        except Exception as error:
            found = f"cannot be read ({type(error).__name__})"
    if not hasattr(model, "generate"):
        raise UnsupportedModel(why(getattr(model, "config", None), type(model).__name__))
    raise UnsupportedModel(f"The model's processor {found}. Pass it: explain(..., processor=processor).")
