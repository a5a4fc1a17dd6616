"""Stops the messages of decoders, which may contain file names and header values of a patient.

Decoders put such values into exceptions, warnings and debug logs. Here an exception becomes an ImageError
without a trace of its cause, warnings are only counted, and log records of the calling thread are dropped.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from PIL import Image

from groundviz.errors import ImageError, MissingExtra
from groundviz.forking import fork_safe_lock

T = TypeVar("T")

_DECODERS = ("PIL", "pydicom", "highdicom")
_DECODER_MODULES = r"(PIL|pydicom|highdicom|groundviz\.images|groundviz\.dicom_out)(\.|$)"
_UNDECODED = "The image could not be decoded: it is damaged, cut short or of an unusual variant"
_ADVICE = "Fetch it again from its origin, or convert it to PNG."

# Warning filters belong to the whole process: two threads that change and restore them out of
# order would leave them changed for good.
_filters = fork_safe_lock()


def contained(
    read: Callable[[], T],
    *,
    tag: Callable[[], str] | None = None,
    failed: str = _UNDECODED,
    advice: str = _ADVICE,
) -> tuple[T, int]:
    """What `read` returns, and how many warnings it gave.

    Args:
        read: Decodes untrusted content, or writes what identifies a patient.
        tag: Gives a short hash of the content, for the message of an error.
        failed: What has happened where it fails, without a full stop.
        advice: What to do then, in a sentence.

    Raises:
        ImageError: Whatever went wrong, in our own words, without cause or context.
        MissingExtra: As raised by `read`, also without cause and context.
    """
    failure: ImageError | MissingExtra
    try:
        with _quiet() as heard:
            return read(), len(heard)
    except (ImageError, MissingExtra) as error:
        failure = type(error)(str(error))
    except MemoryError:
        failure = ImageError("The image needs more memory than there is. Crop it or scale it down first.")
    except Image.DecompressionBombError:
        failure = ImageError(
            "The image unpacks to more pixels than are read. Crop it or scale it down first."
        )
    except Exception as error:
        failure = ImageError(f"{failed} ({type(error).__name__}). {advice}")
    if tag is not None and isinstance(failure, ImageError):
        failure = ImageError(f"{failure}{_tagged(tag)}")
    # Raised outside the handlers above, so that the decoder's error is not even its context.
    raise failure


def _tagged(tag: Callable[[], str]) -> str:
    try:
        return f" (SHA-256 of the content: {tag()}...)"
    except OSError:
        return " (The content cannot be read again.)"


@contextmanager
def _quiet() -> Iterator[list[type[Warning]]]:
    """Collect the decoders' warnings by category, and drop what they log on this thread."""
    me = threading.get_ident()
    heard: list[type[Warning]] = []
    with _filters, warnings.catch_warnings(), ExitStack() as undo:
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if threading.get_ident() == me:
                heard.append(category)
            else:
                shown(message, category, *where, **more)

        warnings.filterwarnings("always", module=_DECODER_MODULES)
        warnings.showwarning = show
        for logger in _decoder_loggers():
            silent = _Silence(me)
            logger.addFilter(silent)
            undo.callback(logger.removeFilter, silent)
        yield heard


class _Silence(logging.Filter):
    """Rejects the log records of one thread."""

    def __init__(self, thread: int) -> None:
        super().__init__()
        self._thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread != self._thread


def _decoder_loggers() -> list[logging.Logger]:
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in _DECODERS]
    return [logging.getLogger(name) for name in names]
