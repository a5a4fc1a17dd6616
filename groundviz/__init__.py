"""Where did a vision-language model look, and should you believe it?

    explain       ask a model about an image, and see where it looked
    load          a model, ready to be explained
    certify       test on a model that its maps will lie where it looked
    open          an explanation that was saved
    explain_more  further methods on an answer that was explained before
    challenge     does the answer need the places that its maps mark?
    evaluate      a model on a data set: answers, maps and scores in a run that resumes
    compare       several explanations side by side, in one viewer
    figure        several explanations side by side, for a paper
    Explanation   what explain and open return: the answer, its maps, figures, pages, files
    Heatmap       one raw map on the model's own token grid
    Phrase        a text in the answer: its first, last or every occurrence
    Question      a text in the question
    Sentence      one sentence of the answer
    Verbatim      a prompt that goes to the model word for word
    SourceImage   an image, ready to be shown, without a trace of whose it is
    METHODS       the attribution methods by name
    images        from any file or array to a SourceImage
    datasets      data sets in a local folder: images, questions, answers and regions
    metrics       maps against what people marked, beside maps that never saw the image
    study         the reader study: blinded maps, readers' files, their analysis
    options       how much of the image notebooks and pages keep
    errors        everything groundviz raises on purpose

>>> import groundviz
>>> from groundviz.demo.phantoms import phantom
>>> chest = phantom(3, findings=["nodule"])
>>> explanation = groundviz.explain("demo", chest.pixels, "Where is the nodule?")
>>> explanation.heatmap("attention").values.shape
(14, 14)

Importing groundviz imports nothing else: each name is fetched from its module on first use.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundviz import datasets as datasets
    from groundviz import errors as errors
    from groundviz import images as images
    from groundviz import metrics as metrics
    from groundviz import study as study
    from groundviz.comparison import compare as compare
    from groundviz.comparison import figure as figure
    from groundviz.evaluation import evaluate as evaluate
    from groundviz.explain import challenge as challenge
    from groundviz.explain import explain as explain
    from groundviz.explain import explain_more as explain_more
    from groundviz.explanation import Explanation as Explanation
    from groundviz.explanation import open as open
    from groundviz.methods import METHODS as METHODS
    from groundviz.models.certify import certify as certify
    from groundviz.models.load import load as load
    from groundviz.record.conversation import Verbatim as Verbatim
    from groundviz.record.targets import Phrase as Phrase
    from groundviz.record.targets import Question as Question
    from groundviz.record.targets import Sentence as Sentence
    from groundviz.record.types import Heatmap as Heatmap
    from groundviz.record.types import SourceImage as SourceImage
    from groundviz.render.base.options import options as options

__version__ = "0.1.0"
__all__ = [
    "METHODS",
    "Explanation",
    "Heatmap",
    "Phrase",
    "Question",
    "Sentence",
    "SourceImage",
    "Verbatim",
    "__version__",
    "certify",
    "challenge",
    "compare",
    "datasets",
    "errors",
    "evaluate",
    "explain",
    "explain_more",
    "figure",
    "images",
    "load",
    "metrics",
    "open",
    "options",
    "study",
]

_HOMES = {
    "METHODS": "groundviz.methods",
    "Explanation": "groundviz.explanation",
    "Heatmap": "groundviz.record.types",
    "Phrase": "groundviz.record.targets",
    "Question": "groundviz.record.targets",
    "Sentence": "groundviz.record.targets",
    "SourceImage": "groundviz.record.types",
    "Verbatim": "groundviz.record.conversation",
    "certify": "groundviz.models",
    "challenge": "groundviz.explain",
    "compare": "groundviz.comparison",
    "evaluate": "groundviz.evaluation",
    "explain": "groundviz.explain",
    "explain_more": "groundviz.explain",
    "figure": "groundviz.comparison",
    "load": "groundviz.models",
    "options": "groundviz.render.base.options",
    "open": "groundviz.explanation",
}
_MODULES = ("datasets", "errors", "images", "metrics", "study")


class _Package(ModuleType):
    """A package in which `explain` stays the function, although a module of that name exists.

    Whoever imports groundviz.explain makes Python set the attribute to the module.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

# Hidden from type checkers, to whom a module with __getattr__ has every attribute.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Fetch a public name from its module, once."""
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_HOMES[name]), name)
        # It teaches maps, methods and certificates how to show themselves in a notebook.
        import_module(f"{__name__}.render.base.cards")
        return found


def __dir__() -> list[str]:
    return sorted(__all__)
