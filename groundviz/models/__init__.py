"""Models that groundviz knows: one file per family of architectures, found by listing this folder."""

from importlib import import_module as _import_module
from pkgutil import iter_modules as _iter_modules

from groundviz.models.certificate import Certificate
from groundviz.models.certify import certify, verdict_on
from groundviz.models.kept import forget
from groundviz.models.load import load, resolve
from groundviz.models.vlm import FAMILIES, VLM, Family

for _module in _iter_modules(__path__):
    _import_module(f"{__name__}.{_module.name}")

__all__ = ["FAMILIES", "VLM", "Certificate", "Family", "certify", "forget", "load", "resolve", "verdict_on"]
