"""Data sets in a local folder: their images, questions, answers and regions in one form.

`load` reads one, `check` compares it with what its publisher states, and `DATASETS` lists all. Nothing is
downloaded. Importing this package registers them all.
"""

from importlib import import_module as _import_module
from pathlib import Path as _Path
from pkgutil import iter_modules as _iter_modules

from groundviz.datasets.card import DATASETS, Card
from groundviz.datasets.checking import Report, check
from groundviz.datasets.loading import load
from groundviz.datasets.sample import Dataset, Region, Sample

for _folder in ("", ".published"):
    for _module in _iter_modules([str(_Path(__file__).parent.joinpath(_folder.removeprefix(".")))]):
        if not _module.ispkg:
            _import_module(f"{__name__}{_folder}.{_module.name}")

__all__ = ["DATASETS", "Card", "Dataset", "Region", "Report", "Sample", "check", "load"]
