"""One command from its arguments to its exit code; what goes wrong is said in one line."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from groundviz.cli import printing
from groundviz.cli.parser import parse
from groundviz.errors import GroundvizError

ERROR, UNREAD = 2, 141


def run(argv: Sequence[str]) -> int:
    """Run the command that `argv` names.

    Raises:
        KeyboardInterrupt: Ctrl-C; what was finished until then is written, and nothing in part.
        SystemExit: Help was asked for, or the arguments make no command.
    """
    try:
        try:
            with warnings.catch_warnings():
                # A warning of ours is said, whatever filters Python was started with.
                warnings.filterwarnings("always", category=RuntimeWarning)
                warnings.showwarning = _warned
                chosen = parse(argv)
                code = int(chosen.run(chosen) or 0)
        finally:
            # Help ends by SystemExit; it, too, may have been written to somebody who left.
            printing.finish()
    except BrokenPipeError:
        printing.to_nobody()
        return UNREAD
    except GroundvizError as error:
        if _by_ctrl_c(error):
            raise KeyboardInterrupt from None
        printing.complain(f"groundviz: error: {error}")
        return ERROR
    except Exception as error:
        if _by_ctrl_c(error):
            raise KeyboardInterrupt from None
        raise
    return code


def _by_ctrl_c(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: a library that is interrupted may raise one of its own instead."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _warned(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as one line, without the place in the code that means nothing to a reader."""
    printing.complain(f"groundviz: warning: {message}")
