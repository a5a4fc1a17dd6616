"""The command line: `groundviz demo`, `explain`, `evaluate`, `report`, `study` and others; --help lists them.

Results go to standard output, progress and errors to standard error. An error is one line. Exit codes:
0, all is well; 1, the model is not certified, a data set is not as published, or some of several images
could not be explained; 2, an error; 130, interrupted by Ctrl-C, whatever was written; 141, nobody reads the
output any more.

Nothing heavy is imported before `main` runs, so that Ctrl-C works from the first moment on; libraries are
imported when a command needs them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from groundviz.cli.interruption import remembered
from groundviz.errors import GroundvizError

ERROR, INTERRUPTED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    >>> main(["methods"])  # doctest: +ELLIPSIS
    attention (default)
      Where it looked: the share of attention that went to each image cell.
      unit: share of attention
      cost: no pass beyond the answer's own
    ...
    0
    """
    with remembered() as interruptions:
        if argv is None:
            argv = sys.argv[1:]
        try:
            from groundviz.cli.run import run

            return run(list(argv))
        except BaseException as error:
            from groundviz.cli.printing import complain

            # An interrupted library may raise an error of another kind.
            if interruptions or isinstance(error, KeyboardInterrupt):
                complain("groundviz: interrupted")
                return INTERRUPTED
            if isinstance(error, GroundvizError):
                complain(f"groundviz: error: {error}")
                return ERROR
            raise
