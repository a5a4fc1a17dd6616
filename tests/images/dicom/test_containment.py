"""Nothing of what a decoder raises, warns or logs comes through, and nothing of ours stays behind."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable

import pytest
from PIL import Image

from groundviz.errors import ImageError, MissingExtra
from groundviz.images.dicom.containment import contained

CANARY = "ZZPHI-Doe^Jane"


def raising(error: BaseException) -> Callable[[], None]:
    def read() -> None:
        raise error

    return read


@pytest.mark.parametrize(
    "error",
    [
        ValueError(CANARY),
        OSError(2, CANARY, CANARY),
        RecursionError(CANARY),
        KeyError(CANARY),
        SyntaxError(CANARY),
        MemoryError(CANARY),
        Image.DecompressionBombError(CANARY),
    ],
)
def test_any_exception_becomes_an_image_error_without_a_past(error: Exception) -> None:
    with pytest.raises(ImageError) as caught:
        contained(raising(error), tag=lambda: "0123abcd")
    assert CANARY not in str(caught.value)
    assert str(caught.value).endswith(" (SHA-256 of the content: 0123abcd...)")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("kind", [ImageError, MissingExtra])
def test_our_own_errors_keep_their_words_and_lose_their_past(kind: type[Exception]) -> None:
    def read() -> None:
        try:
            raise ValueError(CANARY)
        except ValueError:
            raise kind("What happened.")  # noqa: B904

    with pytest.raises(kind, match=r"^What happened\.$") as caught:
        contained(read)
    assert caught.value.__context__ is None
    frames = [entry.frame.code.name for entry in caught.traceback]
    assert "read" not in frames


def test_interruptions_pass() -> None:
    with pytest.raises(KeyboardInterrupt):
        contained(raising(KeyboardInterrupt()))


def test_tag_that_cannot_be_read_does_not_hide_the_failure() -> None:
    with pytest.raises(ImageError, match=r"damaged.*\(The content cannot be read again\.\)"):
        contained(raising(ValueError()), tag=raising(OSError(CANARY)))  # type: ignore[arg-type]


def test_decoder_warnings_are_counted_and_not_shown() -> None:
    def read() -> str:
        for module in ("pydicom.valuerep", "PIL.TiffImagePlugin"):
            warnings.warn_explicit(CANARY, UserWarning, "decoder.py", 1, module=module)
        return "done"

    assert contained(read) == ("done", 2)


def test_warnings_of_others_keep_their_rules() -> None:
    """Where warnings are errors, code that is no decoder must still be held to it."""
    warnings.simplefilter("error")
    with pytest.raises(ImageError, match="UserWarning"):
        contained(
            lambda: warnings.warn_explicit("theirs", UserWarning, "theirs.py", 1, module="tests.theirs")
        )


@pytest.mark.parametrize("name", ["pydicom", "PIL.PngImagePlugin"])
def test_decoder_logs_are_dropped_for_this_thread_only(name: str, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger(name)
    caplog.set_level(logging.DEBUG, logger=name)

    def read() -> None:
        logger.error(CANARY)
        other = threading.Thread(target=lambda: logger.error("from another thread"))
        other.start()
        other.join()

    contained(read)
    assert caplog.messages == ["from another thread"]
    logger.error("afterwards")
    assert caplog.messages == ["from another thread", "afterwards"]


def test_nothing_is_left_changed() -> None:
    logger = logging.getLogger("PIL.TiffImagePlugin")
    before = (warnings.showwarning, list(warnings.filters), list(logger.filters))
    contained(lambda: None)
    with pytest.raises(ImageError):
        contained(raising(ValueError()))
    assert (warnings.showwarning, list(warnings.filters), list(logger.filters)) == before


def test_threads_do_not_undo_each_other() -> None:
    before = (warnings.showwarning, list(warnings.filters))
    counts: list[int] = []

    def read() -> None:
        warnings.warn_explicit(CANARY, UserWarning, "decoder.py", 1, module="PIL.Image")

    def work() -> None:
        for _ in range(50):
            counts.append(contained(read)[1])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [1] * 200
    assert (warnings.showwarning, list(warnings.filters)) == before


def test_warning_of_another_thread_is_passed_on() -> None:
    heard: list[str] = []

    def read() -> None:
        other = threading.Thread(
            target=lambda: warnings.warn_explicit("theirs", UserWarning, "x.py", 1, module="PIL.Image")
        )
        other.start()
        other.join()

    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest, **more: heard.append(str(message))
        assert contained(read) == (None, 0)
    assert heard == ["theirs"]
