"""The live widget, where what it needs is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundviz.errors import MissingExtra

if TYPE_CHECKING:
    from groundviz.render.live.widget import GroundViewer


def live_viewer() -> type[GroundViewer]:
    """The class of live viewers, which needs more than the core's packages.

    Raises:
        MissingExtra: anywidget is not installed.
    """
    try:
        from groundviz.render.live.widget import GroundViewer
    except ImportError:
        raise MissingExtra(
            'A live viewer needs anywidget. Install it with: pip install "groundviz[jupyter]"'
        ) from None
    return GroundViewer
