"""What went wrong while a model was loaded, in groundviz's own errors and without paths."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from groundviz.errors import GroundvizError, MissingExtra, OutOfMemory, UnsupportedModel
from groundviz.models.naming import first_line
from groundviz.runtime.batches import is_out_of_memory


@contextmanager
def explained(place: str, shown: str) -> Iterator[None]:
    """A block in which transformers reads a checkpoint.

    Args:
        place: Where the checkpoint is.
        shown: What may be shown of that.

    Raises:
        UnsupportedModel: A file is missing or damaged, or a setting has a value that it cannot have.
        MissingExtra: A package that the checkpoint needs is not installed.
        OutOfMemory: The model does not fit.

    >>> with explained("/home/somebody/model", "local folder"):
    ...     raise OSError("/home/somebody/model has no config.json")
    Traceback (most recent call last):
        ...
    groundviz.errors.UnsupportedModel: No model could be loaded from 'local folder' (OSError): local folder \
has no config.json. Give a folder or hub id with config.json, safetensors weights and processor files, as \
they were published.
    """
    try:
        yield
    except GroundvizError:
        raise
    except ImportError as error:
        raise MissingExtra(
            f"The checkpoint needs a package that is not installed: {first_line(error, place, shown)} "
            "Install it with pip."
        ) from None
    except Exception as error:
        if isinstance(error, MemoryError) or is_out_of_memory(error):
            raise OutOfMemory(
                "The model does not fit into memory. Free some, or load the model in fewer bits, with "
                'dtype="bfloat16", "int8" or "int4", or over several devices, with device="auto".'
            ) from None
        # A damaged file, or a setting that no author thought of, fails wherever it happens to.
        raise UnsupportedModel(
            f"No model could be loaded from {shown!r} ({type(error).__name__}): "
            f"{first_line(error, place, shown)} Give a folder or hub id with config.json, safetensors "
            "weights and processor files, as they were published."
        ) from None
