"""A live viewer without a browser: what it would be sent, and what it is asked."""

import threading


class Browser:
    """The other end of a live viewer: what it is sent, in order."""

    def __init__(self, viewer, monkeypatch):
        self.viewer, self.messages, self.busy = viewer, [], []
        self.idle = threading.Event()
        monkeypatch.setattr(viewer, "send", self._received)
        viewer.observe(self._changed, "_busy")

    def ask(self, **message):
        self.idle.clear()
        self.viewer._handle_custom_msg(message, [])

    def wait(self):
        assert self.idle.wait(60)

    def _received(self, content, buffers=None):
        self.messages.append((content, buffers))

    def _changed(self, change):
        self.busy.append(change["new"])
        if not change["new"]:
            self.idle.set()
