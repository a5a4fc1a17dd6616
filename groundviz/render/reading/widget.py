"""The reading screen as a widget in a live notebook."""

from __future__ import annotations

from typing import Any

import anywidget

from groundviz.render.reading import assets, exchange
from groundviz.render.reading.exchange import Images, Reader


class ReadingWidget(anywidget.AnyWidget):
    """One reader's screen: it shows a trial, keeps the judgement, and shows the next.

    Args:
        session: The reader's session.
        images: Gives the PNG of a case, and those of its maps.
    """

    _esm = assets.module()
    _css = assets.style()

    def __init__(self, session: Reader, images: Images) -> None:
        super().__init__()
        self._session, self._images = session, images
        self.on_msg(self._asked)

    def _asked(self, _: object, content: Any, __: object) -> None:
        """Answer a message of the browser's, of which nothing is certain, not even its form."""
        answer = exchange.told(self._session, self._images, content)
        if answer is not None:
            message, buffers = answer
            self.send(message, buffers)
