"""The live widget, where what it needs is installed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from groundviz.errors import MissingExtra

if TYPE_CHECKING:
    from groundviz.render.live.widget import GroundViewer


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what dependencies tell of their next releases: a notebook prints it on a red ground.

    It is meant for whoever keeps this package, whose tests see it.
    """
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", kind)
        yield


def live_viewer() -> type[GroundViewer]:
    """The class of live viewers, which needs more than the core's packages.

    Raises:
        MissingExtra: anywidget is not installed.
    """
    try:
        with quiet():
            from groundviz.render.live.widget import GroundViewer
    except ImportError:
        raise MissingExtra(
            'A live viewer needs anywidget. Install it with: pip install "groundviz[jupyter]"'
        ) from None
    return GroundViewer
