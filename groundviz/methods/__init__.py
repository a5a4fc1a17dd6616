"""One file per attribution method; importing this package registers them all."""

from groundviz.methods import attention as _attention  # noqa: F401
from groundviz.methods import gradient_attention as _gradient_attention  # noqa: F401
from groundviz.methods.method import METHODS, Method

DEFAULT = ("attention", "gradient_attention")

__all__ = ["DEFAULT", "METHODS", "Method"]
