"""One file per model family, and the way from what a user holds to a model that can be explained."""

from groundviz.models import llava as _llava  # noqa: F401  (registers itself)
from groundviz.models.load import load, resolve
from groundviz.models.vlm import FAMILIES, VLM, Family

__all__ = ["FAMILIES", "VLM", "Family", "load", "resolve"]
