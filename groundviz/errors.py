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
