"""Where in a model an image can be read and changed: its pixels, and the cells behind each layer.

::

    pixels -> vision.0 ... vision.N -> projector -> language.0 ... language.M -> answer

At every site the image is a tensor (batch, cell, channel), cells in the order of the site's
grids; at the pixels a cell is a pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from groundviz.errors import UnknownName, UnsupportedMethod
from groundviz.runtime.attention.propagation import Flow
from groundviz.runtime.inputs.encoded import Cells


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """The modules of a vision-language model, by what they do.

    Attributes:
        vision_layers: Layers of the vision tower whose output reaches the answer, first one first.
        vision_attention: Their self-attention modules.
        projector: Turns vision cells into what the language model takes; the last module whose
            output still has one place per cell.
        decoder_layers: Layers of the language model, first one first.
        decoder_attention: The attention module of each of them.
        final_norm: What stands between the last decoder layer and the output head.
        output_head: Turns hidden states into scores of the vocabulary.
        cross_attention: Those of `decoder_attention` that look at the image and not at the text.
        resampler: Attention modules that summarise the image into image tokens, in the order
            they run, and the streams each connects: "latents" and "image".
        unknown: Why no module is known, and what to do about it; empty where they are.
    """

    vision_layers: tuple[nn.Module, ...]
    vision_attention: tuple[nn.Module, ...]
    projector: nn.Module
    decoder_layers: tuple[nn.Module, ...]
    decoder_attention: tuple[nn.Module, ...]
    final_norm: nn.Module
    output_head: nn.Module
    cross_attention: tuple[nn.Module, ...] = ()
    resampler: tuple[tuple[nn.Module, Flow], ...] = ()
    unknown: str = ""

    @property
    def looking(self) -> tuple[nn.Module, ...]:
        """The decoder's attention modules through which the answer looks at the image."""
        return self.cross_attention or self.decoder_attention


@dataclass(frozen=True, slots=True)
class Site:
    """One place where the image can be read and changed.

    Attributes:
        stage: "pixels", "vision", "projector" or "language".
        layer: Index of the layer within its stage.
    """

    stage: str
    layer: int = 0

    def __str__(self) -> str:
        return f"{self.stage}.{self.layer}" if self.stage in ("vision", "language") else self.stage


def sites(parts: Parts, cells: Mapping[str, Cells]) -> tuple[Site, ...]:
    """All sites of a model at which the image has cells, in the order it passes them."""
    every = (
        Site("pixels"),
        *(Site("vision", layer) for layer in range(len(parts.vision_layers))),
        Site("projector"),
        *(Site("language", layer) for layer in range(len(parts.decoder_layers))),
    )
    return tuple(site for site in every if site.stage in cells)


def find_site(parts: Parts, cells: Mapping[str, Cells], name: str) -> Site:
    """The site of that name; "vision" alone is the last layer of the tower that is used.

    Raises:
        UnknownName: The model has no such site; the message lists those it has.
        UnsupportedMethod: It has, but the image has no cells there.
    """
    known = {str(site): site for site in sites(parts, cells)}
    if "vision" in cells:
        known["vision"] = Site("vision", len(parts.vision_layers) - 1)
    if name in known:
        return known[name]
    if parts.unknown:
        raise UnsupportedMethod(parts.unknown, lacks="modules")
    listed = ", ".join(str(site) for site in sites(parts, cells)) or "none"
    stage = name.partition(".")[0]
    if stage in ("pixels", "vision", "projector", "language") and stage not in cells:
        raise UnsupportedMethod(
            f"This model has no image cells at {name}: {_why_none(parts, stage)}. They can be read at: "
            f"{listed}. Name one of these, or take another method."
        )
    raise UnknownName(f"The model has no place called {name!r}: it has {listed}. Name one of these.")


def _why_none(parts: Parts, stage: str) -> str:
    if stage == "language" and parts.cross_attention:
        return "its text holds no image tokens, and looks at the image through cross-attention"
    if stage == "language" and parts.resampler:
        return "each of its image tokens tells of the whole image"
    return "its adapter knows of none"


@dataclass(slots=True, eq=False)
class SiteHook:
    """Reads the image at one site during a pass, and puts another one in its place if given.

    Attributes:
        index: Where the cells stand in the module's output for one prompt, int (cell,).
        batch: How many prompts the pass holds.
        change: What to put in: the cells that pass to those that shall; None to only look.
        seen: Last output of the site's module, whole, as it went on.
        last: The last place of a cell.
    """

    index: Tensor
    batch: int = 1
    change: Callable[[Tensor], Tensor] | None = None
    seen: Tensor = field(default_factory=lambda: torch.empty(0))
    last: int = field(init=False)

    def __post_init__(self) -> None:
        self.last = int(self.index.max()) if len(self.index) else 0

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        """Be a forward hook."""
        whole = output[0] if isinstance(output, tuple) else output
        if self._by_place(whole).shape[1] <= self.last:
            # Some modules run once more on other tokens alone, as a norm on the class token.
            return None
        if self.change is None:
            self.seen = whole
            return None
        whole = self.seen = self._put(whole, self.change(self.cells(whole)))
        return (whole, *output[1:]) if isinstance(output, tuple) else whole

    def cells(self, whole: Tensor) -> Tensor:
        """The image cells (batch, cell, channel) of a tensor shaped like the module's output."""
        return self._by_place(whole)[:, self.index.to(whole.device)]

    def _put(self, whole: Tensor, cells: Tensor) -> Tensor:
        index = self.index.to(whole.device)
        return self._by_place(whole).index_copy(1, index, cells.to(whole)).reshape(whole.shape)

    def _by_place(self, whole: Tensor) -> Tensor:
        return whole.reshape(self.batch, -1, whole.shape[-1])


def module_at(parts: Parts, site: Site) -> nn.Module:
    """The module whose output is the site."""
    stages: Mapping[str, tuple[nn.Module, ...]] = {
        "vision": parts.vision_layers,
        "projector": (parts.projector,),
        "language": parts.decoder_layers,
    }
    return stages[site.stage][site.layer]
