"""One file per attribution method; importing this package registers them all."""

from importlib import import_module as _import_module
from pkgutil import iter_modules as _iter_modules

from groundviz.methods.toolkit.method import METHODS, Method

DEFAULT = ("attention", "gradient_attention")
DEFAULT_CONTRAST = ("gradient_attention",)
DEFAULT_QUESTION = ("attention",)

for _module in _iter_modules(__path__):
    if not _module.ispkg:  # Those hold what methods are made from, and what runs them.
        _import_module(f"{__name__}.{_module.name}")

__all__ = ["DEFAULT", "DEFAULT_CONTRAST", "DEFAULT_QUESTION", "METHODS", "Method"]
