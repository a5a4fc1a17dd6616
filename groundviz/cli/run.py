"""One command from its arguments to its exit code."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from groundviz.cli import printing
from groundviz.cli.parser import parse
from groundviz.errors import options_named

UNREAD = 141
# What errors advise, by its name in Python. Not every command has each of these options.
OPTIONS = {
    "frame": "--frame",
    "frames": "--slices",
    "window": "--window",
    "dtype": "--dtype",
    "device": "--device",
}


def run(argv: Sequence[str]) -> int:
    """Run the command that `argv` names.

    Raises:
        GroundvizError: The command could not be done.
        KeyboardInterrupt: Ctrl-C; what was finished until then is written, and nothing in part.
        SystemExit: Help was asked for, or the arguments make no command.
    """
    try:
        try:
            with warnings.catch_warnings():
                # A warning of groundviz is always printed, whatever filters Python was started with.
                warnings.filterwarnings("always", category=RuntimeWarning)
                warnings.showwarning = _warned
                chosen = parse(argv)
                has = {name: option for name, option in OPTIONS.items() if option[2:] in vars(chosen)}
                with options_named(has):
                    code = int(chosen.run(chosen) or 0)
        finally:
            # Also after SystemExit of --help: the reader of the output may have closed it.
            printing.finish()
    except BrokenPipeError:
        printing.to_nobody()
        return UNREAD
    return code


def _warned(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as one line, without the place in the code that means nothing to a reader."""
    printing.complain(f"groundviz: warning: {message}")
