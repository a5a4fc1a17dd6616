"""What extension authors test with: `check_method`, `check_model`, tiny models, fingerprints, faults.

Nothing in groundviz imports this package; it may import anything in groundviz.
"""

from groundviz.testing.conformance import Conformance, check_method
from groundviz.testing.model_conformance import check_model

__all__ = ["Conformance", "check_method", "check_model"]
