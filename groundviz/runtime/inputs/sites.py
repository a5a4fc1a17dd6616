"""Sites of a model, where the image can be read and changed: its pixels, and the output of each layer.

::

    pixels -> vision.0 ... vision.N -> projector -> language.0 ... language.M -> answer

At every site the image is a tensor (batch, cell, channel). Cells are in the order of the site's grids.
At the pixels a cell is a pixel.
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

# What to make of the image's cells, (batch, cell, channel), at a site.
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """The modules of a vision-language model, by what they do.

    Attributes:
        vision_layers: Layers of the vision tower whose output reaches the answer, first one first.
        vision_attention: Their self-attention modules.
        projector: Turns vision cells into embeddings for the language model; the last module whose
            output still has one position per cell.
        decoder_layers: Layers of the language model, first one first.
        decoder_attention: The attention module of each of them that has one; a layer of another kind, such as
            linear attention, has none.
        final_norm: The norm between the last decoder layer and the output head.
        output_head: Turns hidden states into logits.
        cross_attention: Those of `decoder_attention` that attend to the image and not to the text.
        resampler: Attention modules that summarise the image into image tokens, in the order
            they run, and the streams each connects: "latents" and "image".
        unknown: Why the modules are not known, and what to do about it; empty where they are known.
        opaque: Why attention to the image cannot be read, and what to do; empty where it can.
        apart: Whether `decoder_layers` are those of an encoder, which reads prompt and image, so that their
            hidden states predict no token: a decoder of its own writes the answer.
        streams: Whether hidden states between decoder layers are several streams, of which none is the
            token's own.
        gates: The stages that the whole image passes on its way to the language model: where these hold
            nothing of it, nothing reaches the answer. Empty where that is not known.
        batches: Whether several prompts in one pass give what each gives alone.
        continues: Whether the model reads an answer on the prompt's KV cache as it does behind the prompt.
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
    opaque: str = ""
    apart: bool = False
    streams: bool = False
    gates: tuple[str, ...] = ("projector",)
    batches: bool = True
    continues: bool = True

    @property
    def attending(self) -> tuple[nn.Module, ...]:
        """The decoder's attention modules through which the answer attends to the image."""
        if self.opaque:
            return ()
        return self.cross_attention or self.decoder_attention

    def check_attention(self) -> None:
        """Stop what reads attention to the image where there is none to read.

        Raises:
            UnsupportedMethod: The modules are not known, or image tokens have no places in the image.
        """
        if self.unknown:
            raise UnsupportedMethod(self.unknown, lacks="modules")
        if self.opaque:
            raise UnsupportedMethod(self.opaque)

    def check_words(self) -> None:
        """Stop what reads hidden states of the decoder layers as words, where these predict no token.

        Raises:
            UnsupportedMethod: Another decoder than that of these layers writes the answer.
        """
        if self.apart:
            self.check_attention()


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
        if self.stage in ("vision", "language"):
            return f"{self.stage}.{self.layer}"
        return self.stage


def sites(parts: Parts, cells: Mapping[str, Cells]) -> tuple[Site, ...]:
    """All sites of a model at which the image has cells, in the order it passes them."""
    vision = [Site("vision", layer) for layer in range(len(parts.vision_layers))]
    language = [Site("language", layer) for layer in range(len(parts.decoder_layers))]
    if parts.streams:
        language = []
    every = (Site("pixels"), *vision, Site("projector"), *language)
    return tuple(site for site in every if site.stage in cells)


def find_site(parts: Parts, cells: Mapping[str, Cells], name: str) -> Site:
    """The site of that name; "vision" alone is the last layer of the vision tower.

    Raises:
        UnknownName: The model has no such site; the message lists those it has.
        UnsupportedMethod: The model has the site, but the image has no cells there.
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
    lacking = stage not in cells or (stage == "language" and parts.streams)
    if stage in ("pixels", "vision", "projector", "language") and lacking:
        raise UnsupportedMethod(
            f"This model has no image cells at {name}: {_why_none(parts, stage)}. They can be read at: "
            f"{listed}. Name one of these, or take another method."
        )
    raise UnknownName(f"The model has no place called {name!r}: it has {listed}. Name one of these.")


def _why_none(parts: Parts, stage: str) -> str:
    if stage == "language" and parts.streams:
        return "hidden states between its decoder layers are several streams"
    if stage == "language" and parts.cross_attention:
        return "its text holds no image tokens, and attends to the image through cross-attention"
    if stage == "language" and parts.resampler:
        return "each of its image tokens depends on the whole image"
    if parts.opaque:
        return "its cells there have no single places in the image, or are not known"
    return "its adapter knows of none"


@dataclass(slots=True, eq=False)
class SiteHook:
    """A forward hook that reads the image at one site, and may replace it.

    Attributes:
        index: Positions of the cells in the module's output for one prompt, int (cell,).
        batch: How many prompts the pass has.
        change: Makes the cells that replace the given ones; None to leave them.
        seen: The module's last output, whole, after the replacement.
        last: The last position of a cell.
        turn: How many prompts of the batch have been seen, where the module runs once for each.
    """

    index: Tensor
    batch: int = 1
    change: Change | None = None
    seen: Tensor = field(default_factory=lambda: torch.empty(0))
    last: int = field(init=False)
    turn: int = 0

    def __post_init__(self) -> None:
        self.last = int(self.index.max()) if len(self.index) else 0

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        """Read the output, and return the changed one if there is a change."""
        whole = output
        if isinstance(output, tuple):
            whole = output[0]
        positions = whole.numel() // whole.shape[-1]
        if positions <= self.last:
            # Some modules run once more on other tokens alone, as a norm on the class token.
            return None
        self.seen = whole
        if self.change is None:
            return None
        together = positions % self.batch == 0 and positions // self.batch > self.last
        if together:
            cells = self.change(self.cells(whole))
        else:
            # The module runs once for each prompt of the batch.
            number, self.turn = self.turn % self.batch, self.turn + 1
            cells = self.change(self._cells(whole, 1).expand(self.batch, -1, -1))[number : number + 1]
        by_position = whole.reshape(len(cells), -1, whole.shape[-1])
        index = self.index.to(whole.device)
        self.seen = by_position.index_copy(1, index, cells.to(whole)).reshape(whole.shape)
        if isinstance(output, tuple):
            return (self.seen, *output[1:])
        return self.seen

    def cells(self, whole: Tensor) -> Tensor:
        """The image cells (batch, cell, channel) of a tensor shaped like the module's output."""
        return self._cells(whole, self.batch)

    def _cells(self, whole: Tensor, batch: int) -> Tensor:
        return whole.reshape(batch, -1, whole.shape[-1])[:, self.index.to(whole.device)]


def module_at(parts: Parts, site: Site) -> nn.Module:
    """The module whose output is the site."""
    stages: Mapping[str, tuple[nn.Module, ...]] = {
        "vision": parts.vision_layers,
        "projector": (parts.projector,),
        "language": parts.decoder_layers,
    }
    return stages[site.stage][site.layer]
