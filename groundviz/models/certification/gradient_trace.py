"""Follows an image through a model by gradients: from its pixels to the first module that attends to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.vlm import VLM
from groundviz.models.certification.gradient_paths import (
    CellTrace,
    cell_gradients,
    cells_fed,
    follow_cells,
    patch_sizes,
)
from groundviz.record.types import Doubles
from groundviz.runtime.attention.tap import AttentionCall, tapped
from groundviz.runtime.inputs.encoded import PIXELS, Cells, Encoded
from groundviz.runtime.inputs.sites import Parts, SiteHook
from groundviz.runtime.loan.device import on_device
from groundviz.runtime.loan.guard import Loan


class _FarEnough(Exception):
    """Ends a pass early: everything that is needed from it is known."""


@dataclass(slots=True, eq=False)
class _Entry:
    """Wraps a module's forward: keeps the hidden states that go in, and cuts their gradients off.

    Attributes:
        last: Whether the pass ends here.
        seen: The hidden states; empty until the module runs.
    """

    last: bool = False
    seen: Tensor = field(default_factory=lambda: torch.empty(0))

    def __call__(self, forward: Callable[..., Any], *args: Any, **options: Any) -> Any:
        # Hidden states are the first argument. Some models pass them by keyword, under various names.
        if args:
            self.seen = args[0]
        else:
            first = next(name for name, value in options.items() if isinstance(value, Tensor))
            self.seen = options.pop(first)
        if self.last:
            raise _FarEnough
        return forward(self.seen.detach(), *args[1:], **options)


@dataclass(slots=True, eq=False)
class _Keys:
    """A tap handler that keeps the keys of the first attention call, and ends the pass.

    Attributes:
        own: Whether the module also attends to its own tokens; their keys come last and are left out.
        seen: Float (image, column, channel); empty until the module runs.
    """

    own: bool
    seen: Tensor = field(default_factory=lambda: torch.empty(0))

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        columns = call.key.shape[2]
        if self.own:
            columns -= call.query.shape[2]
        self.seen = call.key[:, :, :columns].transpose(1, 2).flatten(2)
        raise _FarEnough


def follow_model(vlm: VLM, loan: Loan, encoded: Encoded) -> dict[str, CellTrace]:
    """Trace the cells of each stage to the cells of the next stage.

    Cost: one pass of the vision tower and the projector, up to the first decoder layer or to the first
    cross-attention, and four backward passes for each step.

    Args:
        vlm: The model with its processor.
        loan: The loan of the model.
        encoded: The prompt.

    Returns:
        The trace into each later stage, by name: "vision", "projector", and then "language", or "cross" for
        the columns of cross-attention.

    Raises:
        UnsupportedMethod: The model's tower or projector cannot be differentiated.
        UnsupportedModel: A module that the adapter names does not run.
    """
    parts, cells = vlm.parts(), encoded.cells
    inputs = on_device(vlm.model, encoded.inputs)
    pixels = inputs[PIXELS] = inputs[PIXELS].detach().requires_grad_()
    entry, final = _Entry(), _Entry(last=True)
    projected = SiteHook(torch.from_numpy(cells["projector"].index))
    tower = SiteHook(torch.from_numpy(cells["vision"].index), change=_begin)
    # Where image tokens stand among those of the prompt, no attention is needed to see them.
    attention, own = (nn.Identity(), False) if "language" in cells else _first_attention(parts)
    keys = _Keys(own)
    with ExitStack() as stack:
        stack.callback(loan.wrap(parts.vision_layers[0], entry))
        # Both may be on one module. The hook that is placed last is called first.
        stack.callback(loan.hook(parts.projector, projected).remove)
        stack.callback(loan.hook(parts.vision_layers[-1], tower).remove)
        if "language" in cells:
            stack.callback(loan.wrap(parts.decoder_layers[0], final))
        else:
            stack.enter_context(tapped({attention: 0}, keys))
        with suppress(_FarEnough), torch.enable_grad():
            vlm.model(**inputs, use_cache=False)
    goal = keys.seen
    if "language" in cells:
        goal = final.seen
    seen = {
        "first vision layer": entry.seen,
        "last vision layer": tower.seen,
        "projector": projected.seen,
        "first module that attends to the image": goal,
    }
    _check_seen(seen)
    patches = patch_sizes(encoded)
    traces = {}
    for stage, step in _steps(encoded, (pixels, *seen.values())).items():
        traces[stage] = _trace(*step, patches)
    return traces


def _begin(cells: Tensor) -> Tensor:
    """Make the cells the start of gradients, cut off from what they were computed from."""
    return cells.detach().requires_grad_()


def _first_attention(parts: Parts) -> tuple[nn.Module, bool]:
    """The first module that attends to the projected image, and whether it attends to its own tokens too."""
    for module, flow in parts.resampler:
        if flow.columns == "image":
            return module, flow.own
    return parts.attending[0], False


def _check_seen(seen: Mapping[str, Tensor]) -> None:
    for what, states in seen.items():
        if not states.numel():
            raise UnsupportedModel(
                f"The model answers without the {what} that its adapter names: no state of the image was "
                "seen there. Name modules that run in every forward pass."
            )


def _steps(encoded: Encoded, seen: tuple[Tensor, ...]) -> dict[str, tuple[Tensor, Tensor, Cells, Cells]]:
    """For each later stage: the earlier tensor, the later tensor, and the cells of both."""
    pixels, entry, tower, projected, goal = seen
    cells = encoded.cells
    steps = {
        "vision": (pixels, entry, cells["pixels"], cells["vision"]),
        "projector": (tower, projected, cells["vision"], cells["projector"]),
    }
    if "language" in cells:
        steps["language"] = projected, goal, cells["projector"], cells["language"]
    else:
        columns = cells["projector"].index
        if encoded.prompt.grids[0].stage == "cross":
            columns = encoded.columns
        attended = Cells(grids=cells["projector"].grids, index=columns)
        steps["cross"] = projected, goal, cells["projector"], attended
    return steps


def _trace(
    early: Tensor, late: Tensor, fine: Cells, coarse: Cells, patches: Mapping[str, Doubles]
) -> CellTrace:
    """The trace of one step; the worst one where a processor puts several copies of each pixel."""
    gradients = cell_gradients(early, late.reshape(-1, late.shape[-1]), coarse)
    if fine.index.ndim == 3:
        # Pixels: the index names each colour's number, which may be anywhere in the tensor.
        flat, copies = gradients.flatten(1), list(fine.index)
    else:
        # Elsewhere the channels of a place are the last axis.
        flat, copies = gradients.flatten(1, -2), [fine.index]
    traces = []
    for index in copies:
        feeds = cells_fed(flat[:, torch.from_numpy(index)])
        traces.append(follow_cells(fine, coarse, feeds, patches))
    return max(traces, key=lambda trace: (trace.unfed, trace.astray, trace.error))
