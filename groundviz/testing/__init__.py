"""What extension authors test with: `check_method`, tiny models, fingerprints and faults on demand.

Nothing in groundviz imports this package; it may import anything in groundviz.
"""

from groundviz.testing.conformance import Conformance, check_method

__all__ = ["Conformance", "check_method"]
