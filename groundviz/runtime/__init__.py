"""The only code that touches a live model."""

from groundviz.runtime.live import Live, borrow

__all__ = ["Live", "borrow"]
