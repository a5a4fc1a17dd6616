"""Is a map to be believed? One file per check; importing this package registers them all."""

from importlib import import_module as _import_module
from pkgutil import iter_modules as _iter_modules

from groundviz.evidence.toolkit.check import CHECKS

for _module in _iter_modules(__path__):
    if not _module.ispkg:  # Those hold what checks are made of, and what runs them.
        _import_module(f"{__name__}.{_module.name}")

__all__ = ["CHECKS"]
