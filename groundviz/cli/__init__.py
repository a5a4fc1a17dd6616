"""The command line: `groundviz demo | explain | certify | methods | models | open | lab`.

Results go to standard output, progress and errors to standard error. An error is one line. Exit codes:
0, all is well; 1, the model is not certified, or some of several images could not be explained; 2, an
error; 130, interrupted by Ctrl-C, whatever was written; 141, nobody reads the output any more.

Nothing is imported before `main` runs, so that Ctrl-C is answered from the first moment on; heavy
libraries are imported when a command needs them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    >>> main(["methods"])  # doctest: +ELLIPSIS
    attention (default)
      Where it looked: the share of attention that went to each image cell.
      unit: share of attention, 0 to 1
      cost: no pass beyond the answer's own
    ...
    0
    """
    try:
        from groundviz.cli.run import run

        return run(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        from groundviz.cli.printing import complain

        complain("groundviz: interrupted")
        return 130
