"""From one case to a paper: a model on a data set, in a run that resumes, on one machine or many.

A run is read without torch; `evaluate` and `work_on`, which need it, are imported when they are first used.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from groundviz.evaluation.run import Run, Status

if TYPE_CHECKING:
    from groundviz.evaluation.conducting import evaluate, work_on

__all__ = ["Run", "Status", "evaluate", "work_on"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(_import_module(f"{__name__}.conducting"), name)
    return found
