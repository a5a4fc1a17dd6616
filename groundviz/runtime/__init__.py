"""The only code that touches a live model."""

from groundviz.runtime.borrowing import borrow
from groundviz.runtime.live import Live

__all__ = ["Live", "borrow"]
