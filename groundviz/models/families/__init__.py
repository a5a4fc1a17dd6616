"""One file per family of architectures, found by listing this folder: what a model's modules are called.

Importing this package registers them all.
"""

from importlib import import_module as _import_module
from pkgutil import iter_modules as _iter_modules

for _module in _iter_modules(__path__):
    _import_module(f"{__name__}.{_module.name}")
