"""`python -m groundviz` is `groundviz`."""

import sys

from groundviz.cli import main

sys.exit(main())
