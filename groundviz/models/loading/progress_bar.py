"""The bar that transformers shows while it reads weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging


@contextmanager
def bar(*, wanted: bool) -> Iterator[None]:
    """Keep the bar away while the block runs, unless it is wanted.

    It is for weights that take a while. Of weights that are there at once it leaves a widget behind
    in the notebook, which is an error message when that is opened again.
    """
    switch = not wanted and logging.is_progress_bar_enabled()
    if switch:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if switch:
            logging.enable_progress_bar()
