"""What the browser of a reader asks, and what it is told: apart from any widget.

The browser sends ::

    {"need": "trial"}                       what is to be judged now
    {"reply": {"number": 3, "response": …}}  a judgement, as `Session.answer` takes it

and gets ::

    {"shown": {"number", "count", "stage", "words", "shape", "maps"}}, [image, map, …]   each a PNG
    {"failed": sentence}                    nothing was kept; the same trial is still there, or the next one
                                            is shown with it, where another window answered this one

Images go by message alone: a notebook keeps none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from groundviz.errors import GroundvizError

Images = Callable[[str, Sequence[str]], list[bytes]]
Told = tuple[dict[str, Any], list[bytes]]


class Reader(Protocol):
    """A reader's session."""

    def shown(self) -> Any:
        """What the reader sees now: number, count, stage, words, shape, case and maps."""

    def answer(self, reply: Any) -> Any:
        """Keep a judgement, or raise an error that says what is wrong with it."""


def told(session: Reader, images: Images, message: Any) -> Told | None:
    """What to send back; None where nothing was asked that is understood."""
    if not isinstance(message, dict):
        return None
    before = session.shown()
    try:
        if isinstance(message.get("reply"), dict):
            session.answer(message["reply"])
        elif message.get("need") != "trial":
            return None
        return _shown(session, images)
    except GroundvizError as error:
        failed = {"failed": str(error)}
        with suppress(GroundvizError):
            # It was answered in another window: this one goes on, too.
            if session.shown() != before:
                content, pixels = _shown(session, images)
                return content | failed, pixels
        return failed, []


def _shown(session: Reader, images: Images) -> Told:
    now = session.shown()
    pixels = images(now.case, now.maps) if now.case else []
    # Codes of cases and arms stay in Python: whoever opens the browser's tools learns nothing.
    shown = {
        "number": now.number,
        "count": now.count,
        "stage": now.stage,
        "words": dict(now.words),
        "shape": list(now.shape),
        "maps": len(now.maps),
    }
    return {"shown": shown}, pixels
