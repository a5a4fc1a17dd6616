"""Certifies a model and its processor: are maps placed where the model attended?

::

    source ──> pixels                                        every pixel is located: `pixel_probe`
               pixels ──> tower ──> projector ──> text       every cell is followed: `gradient_trace`
    source ─────────────────────────────────────> text       some blocks are inverted: `block_probe`
    one forward pass = the first steps of generate           compared: `kernel_check`
    attention rows times values = the kernel's output        compared: `kernel_check`
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
from torch import nn

from groundviz.errors import GroundvizError, ModelBusy, UnsupportedModel
from groundviz.forking import fork_safe_lock
from groundviz.models.adapter.probe_images import QUESTION, noise
from groundviz.models.adapter.vlm import VLM
from groundviz.models.certification.block_probe import probe_blocks
from groundviz.models.certification.certificate import (
    Certificate,
    Shape,
    completeness,
    coverage,
    geometry,
    unmeasured,
)
from groundviz.models.certification.gradient_paths import CellTrace
from groundviz.models.certification.gradient_trace import follow_model
from groundviz.models.certification.kernel_check import compare
from groundviz.models.certification.pixel_probe import follow_source
from groundviz.record.geometry import held_cells, to_source_pixels
from groundviz.record.types import Bools, Grid
from groundviz.runtime.inputs.encoded import Encoded
from groundviz.runtime.loan import guard
from groundviz.runtime.loan.preflight import refuse_unusable, watch_gradients

# A high and a wide image, with sides that no patch divides.
SHAPES: tuple[Shape, Shape] = ((61, 45), (41, 83))
CELLS_ACROSS = 8

# For each model the setting it was certified in and the verdict. An entry is dropped with its model.
_VERDICTS: WeakKeyDictionary[nn.Module, tuple[str, str]] = WeakKeyDictionary()
_TURN = fork_safe_lock()


def certify_vlm(vlm: VLM, shapes: Sequence[Shape] | None = None) -> Certificate:
    """Certify a loaded model; `groundviz.certify` does the same for whatever the user has.

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
    if vlm.parts().unknown:
        raise UnsupportedModel(vlm.parts().unknown)
    shapes = tuple(shapes or _suiting(vlm.encode((noise(SHAPES[0]),), QUESTION)))
    located = [follow_source(vlm, shape) for shape in shapes]
    pixels = [one for one in located if one is not None]
    encoded = [vlm.encode((noise(shape),), QUESTION) for shape in shapes]
    placed = bool(encoded[0].prompt.grids)
    traces: list[CellTrace] = []
    errors = {}
    if pixels:
        errors["pixels"] = [one.error for one in pixels]
    with guard.borrow(vlm.model) as loan:
        watch_gradients(loan)
        # First, because gradients cannot be followed through numbers that are not finite.
        compared = compare(vlm, loan, encoded[0])
        if placed:
            for prompt in encoded:
                for stage, trace in follow_model(vlm, loan, prompt).items():
                    traces.append(trace)
                    errors.setdefault(stage, []).append(trace.error)
            blocks = probe_blocks(vlm, loan, shapes)
    steps = {stage: max(found) for stage, found in errors.items()}
    pairs = list(zip(encoded, shapes, strict=True))
    checks = [geometry(steps), completeness(pixels, traces)]
    unseen = []
    if placed:
        checks += [coverage([uncovered(*pair) for pair in pairs]), blocks]
        unseen = [_unseen(*pair) for pair in pairs]
    else:
        checks += [unmeasured(name, vlm.parts().opaque) for name in ("coverage", "blocks")]
    return Certificate(
        model=vlm.name,
        family=vlm.family_name,
        shapes=shapes,
        steps=steps,
        unseen=tuple(unseen),
        checks=(*checks, *compared),
        seconds=round(time.perf_counter() - started, 3),
    )


def verdict_on(vlm: VLM) -> str:
    """The verdict of certifying a model, which is done once for each model and state of its processor.

    Warns with a RuntimeWarning if the model fails. If it could not be certified, the verdict says why.

    Raises:
        ModelBusy: This thread has the model already.
    """
    setting = _setting(vlm)
    with _TURN:
        known = _VERDICTS.get(vlm.model)
    if known is not None and known[0] == setting:
        return known[1]
    try:
        certificate = certify_vlm(vlm)
        verdict = certificate.verdict
    except ModelBusy:
        raise
    except Exception as error:
        # The model may still be explained. Only our own messages are shown: they name no file or person.
        reason = type(error).__name__
        if isinstance(error, GroundvizError):
            reason = str(error)
        verdict = f"not certified: {reason}"
    else:
        if not certificate.passed:
            _warn(certificate)
    with _TURN:
        _VERDICTS[vlm.model] = setting, verdict
    return verdict


def _warn(certificate: Certificate) -> None:
    warnings.warn(
        f"Maps of this model may not show where it looked: {certificate.verdict}. "
        f"{' '.join(certificate.says)} Load the processor of this very checkpoint. If it is loaded already, "
        f"the adapter of the family {certificate.family!r} does not fit this model: please report it. "
        "explain(..., certify=False) skips this check.",
        RuntimeWarning,
        stacklevel=4,
    )


def _setting(vlm: VLM) -> str:
    """What a verdict depends on, besides the model itself."""
    processor = vlm.processor
    pixels = getattr(processor, "image_processor", None)
    template = getattr(processor, "chat_template", None)
    # A dict, because the repr of a config creates a second config, which may warn.
    config = vlm.model.config.to_dict()
    return f"{vlm.family_name} {id(vlm.family)} {id(processor)} {pixels!r} {template!r} {config!r}"


def _suiting(encoded: Encoded) -> tuple[Shape, ...]:
    """Image sizes with odd sides, at least as large as the model sees an image and several cells across."""
    pixels = max(max(grid.rows, grid.cols) for grid in encoded.cells["pixels"].grids)
    factor = max(1.0, pixels / max(SHAPES[0]))
    if encoded.prompt.grids:
        cells = max(max(grid.rows, grid.cols) for grid in encoded.prompt.grids)
        factor = max(factor, CELLS_ACROSS / cells)
    # The last bit makes every side odd.
    return tuple((int(rows * factor) | 1, int(cols * factor) | 1) for rows, cols in SHAPES)


def uncovered(encoded: Encoded, shape: Shape) -> float | None:
    """The share of an image that is in the model's pixels and in no cell; None if these are not known."""
    if not encoded.cells["pixels"].index.size:
        return None
    shown = _within(encoded.cells["pixels"].grids, shape)
    return float((shown & ~_within(encoded.prompt.grids, shape)).mean())


def _unseen(encoded: Encoded, shape: Shape) -> float:
    """The share of an image that no cell of the prompt shows."""
    return float((~_within(encoded.prompt.grids, shape)).mean())


def _within(grids: Sequence[Grid], shape: Shape) -> Bools:
    """Which pixels of a source image some cell shows, bool `shape`."""
    shown = np.zeros(shape, dtype=bool)
    for grid in grids:
        cells = np.where(held_cells(grid), 1.0, np.nan).reshape(grid.rows, grid.cols)
        shown |= ~np.isnan(to_source_pixels(cells, grid, shape))
    return shown
