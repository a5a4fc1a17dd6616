"""The errors of groundviz, one class per decision that a caller can make.

::

    GroundvizError
    ├── ImageError          the image cannot be read or shown truthfully
    ├── DataError           the folder of a data set lacks something, or holds it in another form
    ├── PromptError         the question cannot be asked of this model
    ├── TargetError         the named part of the answer does not exist
    ├── UnknownName         no method, model family, setting or file format of that name
    ├── OptionError         an option has a value that cannot be used
    ├── UnsupportedModel    this architecture, or this copy of it, has no adapter
    ├── UnsupportedMethod   this method cannot run on this model or target
    ├── ModelBusy           another explanation has the model
    ├── ModelChanged        its weights were trained while they were being read
    ├── OutOfMemory         the model, or one image beside it, does not fit (also a MemoryError)
    ├── NumericalError      the model or a map produced NaN or infinity
    ├── MissingExtra        an optional package is not installed (also an ImportError)
    └── StoreError          a saved record is damaged, too new, or in the way

Every message says what happened, what was found and what was expected, and what to do.
No message contains a path, a file name or anything else that could identify a patient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

# What arguments are called where errors are read; None in Python itself.
_OPTIONS: ContextVar[Mapping[str, str] | None] = ContextVar("options", default=None)


@contextmanager
def options_named(options: Mapping[str, str]) -> Iterator[None]:
    """A block whose errors give their advice as options of a command line, see `argument`.

    Args:
        options: By the name of an argument in Python, what its option is called.
    """
    before = _OPTIONS.set(options)
    try:
        yield
    finally:
        _OPTIONS.reset(before)


def argument(name: str, value: object = None) -> str:
    """An argument in the advice of an error, as whoever reads it would give it.

    Args:
        name: Of the argument in Python.
        value: A tuple of numbers or words for them, a range, a number or a text; None to leave it open.

    >>> argument("frame"), argument("window", ("centre", "width"))
    ('frame=', 'window=(centre, width)')
    >>> with options_named({"frames": "--slices"}):
    ...     argument("frames", range(0, 9, 2)), argument("dtype", "int8")
    ('--slices 0:9:2', 'dtype="int8" in Python')
    """
    options = _OPTIONS.get()
    if options is not None and name in options:
        return f"{options[name]} {_typed(value)}".rstrip()
    shown = "" if value is None else str(value)
    if isinstance(value, tuple):
        shown = f"({', '.join(map(_plain, value))})"
    elif isinstance(value, str):
        shown = f'"{value}"'
    elsewhere = "" if options is None else " in Python"
    return f"{name}={shown}{elsewhere}"


def _typed(value: object) -> str:
    """A value as the command line takes it."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(_plain, value))
    if isinstance(value, range):
        step = f":{value.step}" if value.step != 1 else ""
        return f"{value.start}:{value.stop}{step}"
    return str(value)


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


class GroundvizError(Exception):
    """The base class of all errors that groundviz raises on purpose."""


class ImageError(GroundvizError):
    """The image cannot be read, or cannot be shown truthfully."""


class DataError(GroundvizError):
    """The folder of a data set lacks something, or holds it in another form than its publisher's."""


class PromptError(GroundvizError):
    """The question cannot be asked of this model as it stands."""


class TargetError(GroundvizError):
    """The part of the answer that was named does not exist in it."""


class UnknownName(GroundvizError):
    """Nothing is registered under that name; the message lists what is."""


class OptionError(GroundvizError):
    """An option, such as a generation setting or the seed, has a value that cannot be used."""


class UnsupportedModel(GroundvizError):
    """This model has no adapter, or this copy of it cannot be explained."""


class UnsupportedMethod(GroundvizError):
    """This method cannot run on this model or target; the message names methods that can.

    Attributes:
        lacks: What there is none of: "gradients" or "modules" (whose names are known). Whoever knows the
            methods names those that do without it.
    """

    def __init__(self, message: str, *, lacks: str = "") -> None:
        super().__init__(message)
        self.lacks = lacks


class ModelBusy(GroundvizError):
    """Another explanation is using the model right now."""


class ModelChanged(GroundvizError):
    """The weights were changed while they were being read, so there is no result."""


class OutOfMemory(GroundvizError, MemoryError):
    """Memory ran out while the model was loaded, or although one image was computed at a time."""


class NumericalError(GroundvizError):
    """The model, or a map, produced NaN or infinity."""


class MissingExtra(GroundvizError, ImportError):
    """An optional package is needed and not installed; the message gives the pip command."""


class StoreError(GroundvizError):
    """A saved record is damaged, too new, or would be overwritten."""
