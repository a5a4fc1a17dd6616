"""Checkpoints as papers published them, loaded into native transformers modules, one file per layout."""

from groundviz.models.checkpoints import llava_med as _llava_med  # noqa: F401  (registers itself)
from groundviz.models.checkpoints import tinyllava as _tinyllava  # noqa: F401
