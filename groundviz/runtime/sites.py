"""Where in a model an image can be read and changed: its pixels, and the cells behind each layer.

::

    pixels -> vision.0 ... vision.N -> projector -> language.0 ... language.M -> answer

At every site the picture is a tensor with the batch first: (batch, channel, row, col) at the
pixels, (batch, cell, channel) behind a layer. Cells are in the order of the prompt's grids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from groundviz.errors import UnknownName

Read = Callable[[nn.Module, Any, Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """The modules of a vision-language model, by what they do.

    Attributes:
        vision_layers: Layers of the vision tower whose output reaches the answer, first one first.
        vision_attention: Their self-attention modules.
        class_tokens: How many leading tokens of the vision sequence are no image cell.
        projector: Turns vision cells into image tokens.
        decoder_layers: Layers of the language model, first one first.
        decoder_attention: Their self-attention modules.
        final_norm: What stands between the last decoder layer and the output head.
        output_head: Turns hidden states into scores of the vocabulary.
    """

    vision_layers: tuple[nn.Module, ...]
    vision_attention: tuple[nn.Module, ...]
    projector: nn.Module
    decoder_layers: tuple[nn.Module, ...]
    decoder_attention: tuple[nn.Module, ...]
    final_norm: nn.Module
    output_head: nn.Module
    class_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Site:
    """One place where the picture can be read and changed.

    Attributes:
        stage: "pixels", "vision", "projector" or "language".
        layer: Index of the layer within its stage.
    """

    stage: str
    layer: int = 0

    def __str__(self) -> str:
        return f"{self.stage}.{self.layer}" if self.stage in ("vision", "language") else self.stage


def sites(parts: Parts) -> tuple[Site, ...]:
    """All sites of a model, in the order a picture passes them."""
    return (
        Site("pixels"),
        *(Site("vision", layer) for layer in range(len(parts.vision_layers))),
        Site("projector"),
        *(Site("language", layer) for layer in range(len(parts.decoder_layers))),
    )


def find_site(parts: Parts, name: str) -> Site:
    """The site of that name; "vision" alone is the last layer of the tower that is used.

    Raises:
        UnknownName: The model has no such site; the message lists those it has.
    """
    known = {str(site): site for site in sites(parts)}
    known["vision"] = Site("vision", len(parts.vision_layers) - 1)
    if name not in known:
        listed = ", ".join(str(site) for site in sites(parts))
        raise UnknownName(f"The model has no place called {name!r}: it has {listed}. Name one of these.")
    return known[name]


@dataclass(slots=True, eq=False)
class SiteHook:
    """Reads the picture at one site during a pass, and puts another one in its place if given.

    Attributes:
        columns: Positions of the image tokens in the prompt, int (cell,).
        class_tokens: Leading tokens of the vision sequence that are no cell.
        site: The site.
        change: What to put in: the cells that pass to those that shall; None to only look.
        seen: Last output of the site's module, whole, as it went on.
    """

    columns: Tensor
    class_tokens: int
    site: Site
    change: Callable[[Tensor], Tensor] | None = None
    seen: Tensor = field(default_factory=lambda: torch.empty(0))

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        """Be a forward hook."""
        whole = output[0] if isinstance(output, tuple) else output
        if self.change is None:
            self.seen = whole
            return None
        whole = self.seen = self._put(whole, self.change(self.cells(whole)))
        return (whole, *output[1:]) if isinstance(output, tuple) else whole

    def cells(self, whole: Tensor) -> Tensor:
        """The image cells (batch, cell, channel) of a tensor shaped like the module's output."""
        if self.site.stage == "vision":
            return whole[:, self.class_tokens :]
        return whole[:, self.columns] if self.site.stage == "language" else whole

    def _put(self, whole: Tensor, cells: Tensor) -> Tensor:
        if self.site.stage == "projector":
            return cells
        whole = whole.expand(len(cells), -1, -1)
        if self.site.stage == "vision":
            return torch.cat([whole[:, : self.class_tokens], cells], dim=1)
        return whole.index_copy(1, self.columns, cells)


def module_at(parts: Parts, site: Site) -> nn.Module:
    """The module whose output is the site."""
    stages: Mapping[str, tuple[nn.Module, ...]] = {
        "vision": parts.vision_layers,
        "projector": (parts.projector,),
        "language": parts.decoder_layers,
    }
    return stages[site.stage][site.layer]
