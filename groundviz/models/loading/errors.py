"""Turns the errors of loading a model into errors of groundviz, without paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from groundviz.errors import GroundvizError, MissingExtra, OutOfMemory, UnsupportedModel, argument
from groundviz.models.loading.naming import first_line, quoted
from groundviz.runtime.passes.batches import is_out_of_memory


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
    groundviz.errors.UnsupportedModel: No model could be loaded from the local folder (OSError): local \
folder has no config.json. Give a folder or hub id with config.json, safetensors weights and processor \
files, as they were published.
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
                f"{argument('dtype', 'bfloat16')} (int8 and int4 are fewer still), or over several devices, "
                f"with {argument('device', 'auto')}."
            ) from None
        # A damaged file, or a setting that no author thought of, fails wherever it happens to.
        raise UnsupportedModel(
            f"No model could be loaded from {quoted(shown)} ({type(error).__name__}): "
            f"{first_line(error, place, shown)} Give a folder or hub id with config.json, safetensors "
            "weights and processor files, as they were published."
        ) from None


def complete(model: Any, found: Mapping[str, Any]) -> Any:
    """The model, unless some of its weights were not in its checkpoint.

    Transformers makes such weights up at random, and says so in a log alone.

    Args:
        model: What was loaded.
        found: What transformers found on the way.

    Raises:
        UnsupportedModel: Weights are missing, or of another shape.

    >>> complete("model", {"missing_keys": set(), "mismatched_keys": set()})
    'model'
    """
    missing = sorted(map(str, found.get("missing_keys", ())))
    other = sorted(str(one[0]) for one in found.get("mismatched_keys", ()))
    if missing or other:
        named = ", ".join((missing + other)[:3])
        raise UnsupportedModel(
            f"The checkpoint lacks {len(missing)} of the model's tensors, and {len(other)} have another "
            f"shape: {named} ... They would be random numbers. Load the whole checkpoint, or load it with "
            "transformers and pass the model itself, if that is what you want."
        )
    return model
