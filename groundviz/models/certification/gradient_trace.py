"""Follows an image through a model by gradients: from its pixels to the first module that attends to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
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
from groundviz.runtime.inputs.encoded import Cells, Encoded
from groundviz.runtime.inputs.sites import Parts, SiteHook
from groundviz.runtime.loan.device import on_device
from groundviz.runtime.loan.guard import Loan

# Behind overlapping convolutions nearly all places feed several cells; behind a resampled grid, two in three.
MOST_MIXED = 0.9
# How far a grid, row or column may be from a whole number where a place feeds one cell.
OFF = 0.05


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
        the columns of cross-attention. None at all where the model has no cells in a vision tower and behind
        a projector; none into "vision" where the tower's first layer has other places than its last, or the
        layout of the pixels is not known; none where nearly all places feed several cells.

    Raises:
        UnsupportedMethod: The model's tower or projector cannot be differentiated.
        UnsupportedModel: A module that the adapter names does not run.
    """
    parts, cells = vlm.parts(), encoded.cells
    if "vision" not in cells or "projector" not in cells:
        return {}
    inputs = on_device(vlm.model, encoded.inputs)
    pixels = [inputs[name].detach().requires_grad_() for name in encoded.image_inputs]
    inputs.update(zip(encoded.image_inputs, pixels, strict=True))
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
        whole = by_token(final.seen, len(encoded.prompt.token_ids))
        goal = final.seen if whole is None else whole
    seen = {
        "first vision layer": entry.seen,
        "last vision layer": tower.seen,
        "projector": projected.seen,
        "first module that attends to the image": goal,
    }
    _check_seen(seen)
    patches = patch_sizes(encoded)
    traces = {}
    for stage, step in _steps(encoded, pixels, tuple(seen.values())).items():
        trace = _trace(*step, patches)
        if trace is not None:
            traces[stage] = trace
    return traces


def by_token(states: Tensor, tokens: int) -> Tensor | None:
    """What enters a decoder layer for one prompt, as (token, channel); None where it is of another form.

    Args:
        states: (batch, token, channel); or, where a model keeps several streams of states,
            (batch, token, stream, channel) or (stream, batch, token, channel).
        tokens: How many tokens the prompt has.
    """
    if states.ndim > 2 and states.shape[:2] == (1, tokens):
        return states[0].flatten(1).float()
    if states.ndim == 4 and states.shape[1:3] == (1, tokens):
        return states[:, 0].transpose(0, 1).flatten(1).float()
    return None


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


def _steps(
    encoded: Encoded, pixels: list[Tensor], seen: tuple[Tensor, ...]
) -> dict[str, tuple[list[Tensor], Tensor, Cells, Cells]]:
    """For each later stage: the earlier tensors, the later tensor, and the cells of both."""
    entry, tower, projected, goal = seen
    cells = encoded.cells
    steps = {}
    if cells["pixels"].index.size and _places(entry) == _places(tower):
        steps["vision"] = pixels, entry, cells["pixels"], cells["vision"]
    steps["projector"] = [tower], projected, cells["vision"], cells["projector"]
    if "language" in cells:
        steps["language"] = [projected], goal, cells["projector"], cells["language"]
    else:
        columns = cells["projector"].index
        if encoded.prompt.grids[0].stage == "cross":
            columns = encoded.columns
        attended = Cells(grids=cells["projector"].grids, index=columns)
        steps["cross"] = [projected], goal, cells["projector"], attended
    return steps


def _places(states: Tensor) -> int:
    """How many places hold a vector of channels."""
    return states.numel() // states.shape[-1]


def _mixed(feeds: Doubles) -> float:
    """The share of the places that feed several cells, of those that feed any."""
    feeding = feeds[np.isfinite(feeds).all(axis=1)]
    if not len(feeding):
        return 0.0
    return float((np.abs(feeding - np.rint(feeding)) > OFF).any(axis=1).mean())


def _trace(
    early: list[Tensor], late: Tensor, fine: Cells, coarse: Cells, patches: Mapping[str, Doubles]
) -> CellTrace | None:
    """The trace of one step; the worst one where a processor puts several copies of each pixel.

    None where nearly all cells of the earlier stage feed several of the later one: gradients cannot tell
    which of them lies over which.
    """
    gradients = cell_gradients(early, late.reshape(-1, late.shape[-1]), coarse)
    if fine.index.ndim == 3:
        # Pixels: the index names each colour's number, which may be anywhere in the tensors.
        flat, copies = torch.cat([one.flatten(1) for one in gradients], dim=1), list(fine.index)
    else:
        # Elsewhere the channels of a place are the last axis.
        flat, copies = gradients[0].flatten(1, -2), [fine.index]
    traces = []
    for index in copies:
        feeds = cells_fed(flat[:, torch.from_numpy(index)])
        if fine.index.ndim == 1 and _mixed(feeds) > MOST_MIXED:
            return None
        traces.append(follow_cells(fine, coarse, feeds, patches))
    return max(traces, key=lambda trace: (trace.unfed, trace.astray, trace.error))
