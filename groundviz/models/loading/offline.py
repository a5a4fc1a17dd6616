"""Keeps a thread from the network while it reads a local folder.

Settings can name further checkpoints in many ways, and each version of transformers adds new ones. So no list
of settings is checked: the thread that reads the folder has no network at all.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from groundviz.errors import UnsupportedModel

NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
_THREAD = threading.local()


@contextmanager
def closed(*, wanted: bool = True) -> Iterator[None]:
    """A block in which this thread has no network; other threads keep theirs.

    Raises:
        UnsupportedModel: Something in the block tries to.

    >>> from urllib.request import urlopen
    >>> with closed():
    ...     urlopen("https://huggingface.co")
    Traceback (most recent call last):
        ...
    groundviz.errors.UnsupportedModel: The folder asks for something that is not in it, and a local folder \
makes nothing be fetched. Fetch it yourself and give its place, or give the hub id in place of the folder.
    """
    _watch()
    before = getattr(_THREAD, "closed", False)
    _THREAD.closed = wanted
    try:
        yield
    finally:
        _THREAD.closed = before


def refuse_foreign_code(config: Mapping[str, Any]) -> None:
    """Stop a config that names a repository whose code would compute attention or experts.

    Raises:
        UnsupportedModel: It does.

    >>> refuse_foreign_code({"text_config": {"attn_implementation": "sdpa"}})
    """
    waiting: list[Any] = [config]
    while waiting:
        held = waiting.pop()
        if isinstance(held, list):
            waiting += held
        if not isinstance(held, Mapping):
            continue
        waiting += held.values()
        for key, value in held.items():
            if str(key).strip("_").startswith(("attn_implementation", "experts_implementation")):
                named = [*value.values()] if isinstance(value, Mapping) else [value]
                if any("/" in str(one) or ":" in str(one) for one in named):
                    raise UnsupportedModel(
                        f"The checkpoint's config names code from elsewhere as its {key}, and no code that a "
                        "checkpoint brings is run. Take the entry out of config.json; attention is then "
                        "computed by torch."
                    )


@cache
def _watch() -> None:
    # An audit hook sees the calls of every library. It cannot be removed, so it is added once.
    sys.addaudithook(_stop)


def _stop(event: str, args: tuple[Any, ...]) -> None:
    if not getattr(_THREAD, "closed", False) or event not in NETWORK:
        return
    if event.startswith("socket.connect") and isinstance(args[1], str | bytes):
        # A Unix socket: it stays on this machine.
        return
    raise UnsupportedModel(
        "The folder asks for something that is not in it, and a local folder makes nothing be fetched. Fetch "
        "it yourself and give its place, or give the hub id in place of the folder."
    )
