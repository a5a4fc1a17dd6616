"""What needs the newest transformers: the tiny models of all its types are written for that."""

import pytest
import transformers
from packaging.version import Version

newest = pytest.mark.skipif(
    Version(transformers.__version__) < Version("5.24"), reason="tiny models of the newest transformers"
)
