"""Checkpoints as papers published them, loaded into native transformers modules, one file per layout."""

from groundviz.models.checkpoints import llava_med as _llava_med  # noqa: F401  (registers itself)
from groundviz.models.checkpoints import llava_med_delta as _llava_med_delta  # noqa: F401
from groundviz.models.checkpoints import llava_rad as _llava_rad  # noqa: F401
from groundviz.models.checkpoints import med_moe as _med_moe  # noqa: F401
from groundviz.models.checkpoints import tinyllava as _tinyllava  # noqa: F401
