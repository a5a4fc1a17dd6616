"""Checkpoints as papers published them, in transformers' own modules: one file per layout, listed."""

from importlib import import_module as _import_module
from pkgutil import iter_modules as _iter_modules

for _module in _iter_modules(__path__):
    if not _module.ispkg:
        _import_module(f"{__name__}.{_module.name}")
