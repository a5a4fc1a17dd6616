"""The widget of a reader study, where what it needs is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from groundviz.errors import MissingExtra

if TYPE_CHECKING:
    from groundviz.render.reading.widget import ReadingWidget

Images = Callable[[str, Sequence[str]], list[bytes]]


def reading_widget(session: Any, images: Images) -> ReadingWidget:
    """The screen of one reader, which needs more than the core's packages.

    Args:
        session: What `groundviz.render.reading.widget.Reader` describes.
        images: Gives the PNG of a case, and those of its maps.

    Raises:
        MissingExtra: anywidget is not installed.
    """
    try:
        from groundviz.render.reading.widget import ReadingWidget
    except ImportError:
        raise MissingExtra(
            'A reader study is read in Jupyter. Install it with: pip install "groundviz[jupyter]"'
        ) from None
    return ReadingWidget(session, images)
