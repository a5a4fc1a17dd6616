"""Whether maps of a model will lie where it looked: proved on the model and processor at hand.

::

    source ──> pixels ──> tower ──> projector ──> text      every cell is followed: `ramps`, `travel`
    a plain pass of the model = the first steps of generate                         `plain_pass`
    attention rows times values = what the model's own kernel puts out
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from functools import reduce
from weakref import WeakKeyDictionary

import numpy as np
from torch import nn

from groundviz.errors import GroundvizError, ModelBusy, UnsupportedModel
from groundviz.forking import fork_safe_lock
from groundviz.models.adapter.vlm import VLM
from groundviz.models.certification.certificate import Certificate, Shape, completeness, geometry
from groundviz.models.certification.gradient_trace import follow_model
from groundviz.models.certification.kernel_check import compare
from groundviz.models.certification.pixel_probe import QUESTION, follow_source, noise
from groundviz.record.geometry import held_cells, to_source_pixels
from groundviz.runtime.inputs.encoded import Encoded
from groundviz.runtime.loan import guard
from groundviz.runtime.loan.preflight import refuse_unusable, watch_gradients

# A high and a wide image, with sides that no patch divides.
SHAPES: tuple[Shape, Shape] = ((61, 45), (41, 83))
CELLS_ACROSS = 8

# By model: what it was certified with, and what came of it. An entry goes when its model does.
_VERDICTS: WeakKeyDictionary[nn.Module, tuple[str, str]] = WeakKeyDictionary()
_TURN = fork_safe_lock()


def run(vlm: VLM, shapes: Sequence[Shape] | None = None) -> Certificate:
    """Certify a model, see `groundviz.certify`.

    Args:
        vlm: The model with its processor.
        shapes: Rows and columns of the images; two odd ones that suit the model when None.

    Raises:
        UnsupportedModel: The model has no adapter or one for another model, or cannot run.
        UnsupportedMethod: Its tower or projector cannot be differentiated.
        NumericalError: Its scores are not finite.
    """
    started = time.perf_counter()
    refuse_unusable(vlm.model)
    if not vlm.parts().vision_layers:
        raise UnsupportedModel(vlm.parts().unknown)
    shapes = tuple(shapes or _suiting(vlm.encode((noise(SHAPES[0]),), QUESTION)))
    shown = [follow_source(vlm, shape) for shape in shapes]
    encoded = [vlm.encode((noise(shape),), QUESTION) for shape in shapes]
    with guard.borrow(vlm.model) as loan:
        watch_gradients(loan)
        # First, as nothing can be followed through numbers that are not finite.
        compared = compare(vlm, loan, encoded[0])
        passed = [follow_model(vlm, loan, one) for one in encoded]
    steps = {"pixels": max(one.error for one in shown)}
    steps |= {stage: max(one[stage].error for one in passed) for stage in passed[0]}
    whole = completeness(shown, [step for one in passed for step in one.values()])
    return Certificate(
        model=vlm.name,
        family=vlm.family_name,
        shapes=shapes,
        steps=steps,
        unseen=tuple(_unseen(one, shape) for one, shape in zip(encoded, shapes, strict=True)),
        checks=(geometry(steps), whole, *compared),
        seconds=round(time.perf_counter() - started, 3),
    )


def verdict_on(vlm: VLM) -> str:
    """What came of certifying a model: done once for each model and state of its processor.

    A model that is wrong gets a RuntimeWarning, one that could not be certified is told so.

    Raises:
        ModelBusy: This thread has the model already.
    """
    setting = _setting(vlm)
    with _TURN:
        known = _VERDICTS.get(vlm.model)
    if known is not None and known[0] == setting:
        return known[1]
    try:
        certificate = run(vlm)
        verdict = certificate.verdict
    except ModelBusy:
        raise
    except Exception as error:
        # No reason not to explain, where that works. Only our own messages name no file and no person.
        own = isinstance(error, GroundvizError)
        verdict = f"not certified: {error if own else type(error).__name__}"
    else:
        if not certificate.passed:
            _warn(certificate)
    with _TURN:
        _VERDICTS[vlm.model] = setting, verdict
    return verdict


def _warn(certificate: Certificate) -> None:
    warnings.warn(
        f"Maps of this model cannot be trusted to lie where it looked: {certificate.verdict}. "
        f"{' '.join(certificate.says)} Load the processor of this very checkpoint; if it is, the adapter of "
        f"the family {certificate.family!r} does not fit this model: please report it. "
        "explain(..., certify=False) does without.",
        RuntimeWarning,
        stacklevel=4,
    )


def _setting(vlm: VLM) -> str:
    """What a verdict depends on, beside the model itself."""
    processor = vlm.processor
    pixels, template = getattr(processor, "image_processor", None), getattr(processor, "chat_template", None)
    # Not the config itself: to write one, transformers makes another of its kind, and may warn of that.
    config = vlm.model.config.to_dict()
    return f"{vlm.family_name} {id(vlm.family)} {id(processor)} {pixels!r} {template!r} {config!r}"


def _suiting(encoded: Encoded) -> tuple[Shape, ...]:
    """Images of odd sizes, as large as the model sees them, and some cells across."""
    pixels = max(side for grid in encoded.cells["pixels"].grids for side in (grid.rows, grid.cols))
    cells = max(side for grid in encoded.prompt.grids for side in (grid.rows, grid.cols))
    factor = max(1.0, pixels / max(SHAPES[0]), CELLS_ACROSS / cells)
    return tuple((int(rows * factor) | 1, int(cols * factor) | 1) for rows, cols in SHAPES)


def _unseen(encoded: Encoded, shape: Shape) -> float:
    """The share of an image that no cell of the prompt shows."""
    maps = (
        to_source_pixels(np.where(held_cells(grid).reshape(grid.rows, grid.cols), 1.0, np.nan), grid, shape)
        for grid in encoded.prompt.grids
    )
    return float(np.isnan(reduce(np.fmax, maps)).mean())
