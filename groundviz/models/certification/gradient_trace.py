"""The way of the image through a model, from its pixels to what the answer looks at, and no further."""

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
    Passed,
    decoded,
    follow_cells,
    patch_sizes,
    read_paths,
)
from groundviz.record.types import Doubles
from groundviz.runtime.attention.tap import AttentionCall, tapped
from groundviz.runtime.inputs.encoded import PIXELS, Cells, Encoded
from groundviz.runtime.inputs.sites import Parts, SiteHook
from groundviz.runtime.loan.device import on_device
from groundviz.runtime.loan.guard import Loan


class _FarEnough(Exception):
    """All that is wanted of a pass is known; what would come then is spared."""


@dataclass(slots=True, eq=False)
class _Entry:
    """Sees what goes into a module, and hands it on without its history, or ends the pass."""

    last: bool = False
    seen: Tensor = field(default_factory=lambda: torch.empty(0))

    def __call__(self, forward: Callable[..., Any], *args: Any, **options: Any) -> Any:
        # Hidden states come first, whatever they are called.
        first = None if args else next(name for name, one in options.items() if isinstance(one, Tensor))
        self.seen = options.pop(first) if first else args[0]
        if self.last:
            raise _FarEnough
        return forward(self.seen.detach(), *args[1:], **options)


@dataclass(slots=True, eq=False)
class _Keys:
    """Sees what an attention module looks at, and ends the pass.

    Attributes:
        own: Whether the tokens that look follow as columns.
        seen: (image, column, channel).
    """

    own: bool
    seen: Tensor = field(default_factory=lambda: torch.empty(0))

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        others = call.key.shape[2] - self.own * call.query.shape[2]
        self.seen = call.key[:, :, :others].transpose(1, 2).flatten(2)
        raise _FarEnough


def follow_model(vlm: VLM, loan: Loan, encoded: Encoded) -> dict[str, Passed]:
    """How the cells of each stage go into those of the next.

    One pass through the tower, to where the decoder begins or first looks at the image; of the decoder only
    what comes before its first cross-attention runs.

    Args:
        vlm: The model with its processor.
        loan: Of the model.
        encoded: The prompt.

    Returns:
        By the later stage, "vision", "projector" and then "language", or "cross" for what attention looks at.

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
    first_look, own = _first_look(parts)
    keys = _Keys(own)
    with ExitStack() as stack:
        stack.callback(loan.wrap(parts.vision_layers[0], entry))
        # The hook that is placed last is called first, should both be on one module.
        stack.callback(loan.hook(parts.projector, projected).remove)
        stack.callback(loan.hook(parts.vision_layers[-1], tower).remove)
        if "language" in cells:
            stack.callback(loan.wrap(parts.decoder_layers[0], final))
        else:
            stack.enter_context(tapped({first_look: 0}, keys))
        _run(vlm.model, inputs)
    goal = final.seen if "language" in cells else keys.seen
    seen = {
        "first vision layer": entry.seen,
        "last vision layer": tower.seen,
        "projector": projected.seen,
        "first module that looks at the image": goal,
    }
    _check_seen(seen)
    steps = _steps(encoded, (pixels, *seen.values()))
    patches = patch_sizes(encoded)
    return {stage: _passed(*step, patches) for stage, step in steps.items()}


def _begin(cells: Tensor) -> Tensor:
    """Where gradients end."""
    return cells.detach().requires_grad_()


def _first_look(parts: Parts) -> tuple[nn.Module, bool]:
    """The first module that looks at the projected image, and whether it looks at its own tokens, too."""
    resampling = ((module, flow.own) for module, flow in parts.resampler if flow.columns == "image")
    return next(resampling, (parts.attending[0], False))


def _run(model: nn.Module, inputs: Mapping[str, Tensor]) -> None:
    with suppress(_FarEnough), torch.enable_grad():
        model(**inputs, use_cache=False)


def _check_seen(seen: Mapping[str, Tensor]) -> None:
    for what, states in seen.items():
        if not states.numel():
            raise UnsupportedModel(
                f"The model answers without the {what} that its adapter names: no state of the image "
                "came by there. Name the modules that each pass goes through."
            )


def _steps(encoded: Encoded, seen: tuple[Tensor, ...]) -> dict[str, tuple[Tensor, Tensor, Cells, Cells]]:
    """By the later stage: a tensor with gradients, one computed from it, and the cells of both."""
    pixels, entry, tower, projected, goal = seen
    cells = encoded.cells
    steps = {
        "vision": (pixels, entry, cells["pixels"], cells["vision"]),
        "projector": (tower, projected, cells["vision"], cells["projector"]),
    }
    if "language" in cells:
        steps["language"] = projected, goal, cells["projector"], cells["language"]
    else:
        grids = cells["projector"].grids
        columns = encoded.columns if encoded.prompt.grids[0].stage == "cross" else cells["projector"].index
        steps["cross"] = projected, goal, cells["projector"], Cells(grids=grids, index=columns)
    return steps


def _passed(
    early: Tensor, late: Tensor, fine: Cells, coarse: Cells, patches: Mapping[str, Doubles]
) -> Passed:
    into = read_paths(early, late.reshape(-1, late.shape[-1]), coarse)
    # The numbers of a pixel's colours lie anywhere, the channels of any other place behind one another.
    at_pixels = fine.index.ndim == 3
    into = into.flatten(1) if at_pixels else into.flatten(1, -2)
    places = [into[:, torch.from_numpy(one)] for one in (fine.index if at_pixels else [fine.index])]
    copies = [follow_cells(fine, coarse, decoded(one), patches) for one in places]
    return max(copies, key=lambda one: (one.unfed, one.astray, one.error))
