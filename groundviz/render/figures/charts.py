"""Charts of whole methods, as plotly figures: which head attends to a place, and which layer loses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from groundviz.errors import ImageError, MissingExtra, TargetError
from groundviz.record import selection, tiles
from groundviz.record.localization import localization_curve, share_inside
from groundviz.record.selection import measured
from groundviz.record.targets import Named
from groundviz.record.tiles import Tile
from groundviz.record.types import Bools, Floats, Heatmap, Heatmaps, Record, Target
from groundviz.render.base import captions
from groundviz.render.base.escape import visible

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Told apart by their dashes as well: colours alone are lost in print.
_LINES = (("#0072b2", "solid"), ("#d55e00", "dash"), ("#009e73", "dot"), ("#cc79a7", "dashdot"))
_FONT = {"family": "DejaVu Sans, Helvetica, Arial, sans-serif", "size": 12}


@dataclass(frozen=True, slots=True)
class Charts:
    """Interactive charts of one explanation; they need plotly, the extra "charts".

    Attributes:
        record: What is charted.

    >>> import groundviz
    >>> from groundviz.demo.phantoms import phantom
    >>> chest = phantom(3, findings=["nodule"])
    >>> explanation = groundviz.explain("demo", chest.pixels, "Where is the nodule?")
    >>> explanation.charts.heads("attention", mask=chest.mask("nodule")).data[0].z.shape
    (4, 4)
    """

    record: Record

    def heads(
        self,
        method: str | None = None,
        target: Named | None = None,
        *,
        mask: Bools | None = None,
        image: int = 0,
        tile: Tile | None = None,
    ) -> Figure:
        """A matrix of layers and heads: how much of each head's map there is, or lies on a known place.

        Args:
            method: A method that tells layers or heads apart, as in `Explanation.heatmap`.
            target: As in `Explanation.heatmap`.
            mask: bool (rows, cols) in pixels of the image: the matrix then shows the share of each
                map that lies inside, from 0 to 1. None for the sum of each map, in the method's unit.
            image: As in `Explanation.heatmap`.
            tile: As in `Explanation.heatmap`.

        Raises:
            MissingExtra: plotly is not installed.
            UnknownName: As in `Explanation.heatmap`.
            TargetError: As in `Explanation.heatmap`, or the method does not tell heads apart, or a share
                was asked of values below zero.
            ImageError: The mask has another size than the image.
        """
        goal = selection.target(self.record, target)
        maps = tiles.choose(measured(self.record, method), image, tile)[0]
        counts = maps.values.shape[1:3]
        if counts == (1, 1):
            raise TargetError(
                f"{maps.method} tells neither layers nor heads apart. Name a method that does, such as "
                "'attention'."
            )
        layers = maps.layers or (None,)
        each: list[list[Heatmap]] = []
        for layer in layers:
            each.append([maps.at(goal, layer=layer, head=head) for head in range(counts[1])])
        amounts, what = self._amounts(each, mask)
        return _heatmap(amounts, what, each, _title(self.record, goal, [maps]))

    def layers(
        self,
        mask: Bools,
        target: Named | None = None,
        methods: str | Sequence[str] | None = None,
        *,
        image: int = 0,
        tile: Tile | None = None,
    ) -> Figure:
        """Curves of how much of each layer's map lies on a known place, and what chance would put there.

        Args:
            mask: bool (rows, cols) in pixels of the image.
            target: As in `Explanation.heatmap`.
            methods: One method or several; None for all that tell layers apart and have no value below
                zero.
            image: As in `Explanation.heatmap`.
            tile: As in `Explanation.heatmap`.

        Raises:
            MissingExtra: plotly is not installed.
            UnknownName: As in `Explanation.heatmap`.
            TargetError: As in `Explanation.heatmap`, or there is no such method.
            ImageError: The mask has another size than the image.
        """
        goal = selection.target(self.record, target)
        chosen = [self._layered(name, goal, image, tile) for name in self._named(methods, goal)]
        if not chosen:
            raise TargetError(
                "No method here tells layers apart for this part of the answer with values from zero up. "
                "Explain again with methods='stage_audit'."
            )
        self._check(mask, image)
        go = _plotly()
        title = _title(self.record, goal, [several[0] for several in chosen])
        chart = go.Figure(layout=_layout(title))
        for number, several in enumerate(chosen):
            for trace in _curves(go, several, goal, mask, number):
                chart.add_trace(trace)
        chart.update_yaxes(title="share of the layer's map on the place", range=[0, 1.02])
        return chart

    def _named(self, methods: str | Sequence[str] | None, goal: Target) -> Sequence[str]:
        if isinstance(methods, str):
            return [methods]
        if methods is not None:
            return methods
        return [name for name in selection.methods(self.record) if self._charted(name, goal)]

    def _charted(self, method: str, goal: Target) -> bool:
        maps = measured(self.record, method)[0]
        return len(maps.layers) > 1 and not maps.signed and maps.has(goal)

    def _layered(self, method: str, goal: Target, image: int, tile: Tile | None) -> list[Heatmaps]:
        """The maps of a method, layer after layer; behind pooling they are on other cells."""
        found = tiles.choose(measured(self.record, method), image, tile)
        alike = [maps for maps in found if maps.grid.label == found[0].grid.label]
        if alike[0].signed or not alike[0].layers:
            raise TargetError(
                f"{method} has no share of each layer on a place: it combines its layers or has values below "
                "zero. Name another method, such as 'stage_audit'."
            )
        return alike

    def _amounts(self, each: Sequence[Sequence[Heatmap]], mask: Bools | None) -> tuple[Floats, str]:
        """What to show of each map, (layer, head), and what that is."""
        rows = [np.stack([one.values for one in row]) for row in each]
        values = np.stack(rows).astype(np.float64)
        whole = np.nansum(values, axis=(2, 3))
        first = each[0][0]
        if mask is None:
            return whole.astype(np.float32), f"sum of the map ({first.unit})"
        self._check(mask, first.grid.image)
        if first.signed:
            raise TargetError(
                f"{first.method} has values below zero, of which a place holds no share. Leave the mask "
                "out, or name another method."
            )
        # A map of zeros lies nowhere, and so has no share on the place.
        shares, _ = share_inside(values, first.grid, mask)
        return shares.astype(np.float32), "share of the map on the place"

    def _check(self, mask: Bools, image: int) -> None:
        shape = self.record.source_images[image].shape
        if mask.dtype != np.bool_ or mask.shape != shape:
            raise ImageError(
                f"The mask does not fit the image: it is {mask.dtype} of shape {mask.shape}, the image has "
                f"{shape[0]} by {shape[1]} pixels. Give a bool mask of that shape, such as mask > 0."
            )


def _heatmap(amounts: Floats, what: str, each: Sequence[Sequence[Heatmap]], title: str) -> Figure:
    go = _plotly()
    names: list[str] = []
    for first, *_ in each:
        names.append("all layers" if first.layer is None else captions.layer_name(first))
    heads = [f"head {one.head}" for one in each[0]]
    signed = each[0][0].signed and "share" not in what
    # Black is nothing: a scale from the lowest head would make that one look as if it saw nothing.
    colours: dict[str, object] = {"colorscale": "Inferno", "zmin": 0}
    if signed:
        colours = {"colorscale": "RdBu_r", "zmid": 0}
    matrix = go.Heatmap(
        z=amounts,
        x=heads,
        y=names,
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": _plain(what), "side": "right"}},
        hovertemplate="%{y}, %{x}: %{z:.3g}<extra></extra>",
        **colours,
    )
    return go.Figure(matrix, layout=_layout(title))


def _curves(go: Any, several: Sequence[Heatmaps], goal: Target, mask: Bools, number: int) -> list[Any]:
    """The curve of one method and the line of chance under it."""
    names: list[str] = []
    shares: list[Floats] = []
    chance: list[Floats] = []
    # Each grid of cells has layers of its own, and a share by chance of its own.
    for maps in several:
        curve, share = localization_curve(maps, goal, mask)
        names += [captions.layer_name(maps.at(goal, layer=layer)) for layer in maps.layers]
        shares.append(curve)
        chance.append(np.full(len(curve), share, np.float32))
    colour, dash = _LINES[number % len(_LINES)]
    name = captions.method_name(several[0].method)
    hover = "%{x}: %{y:.1%}<extra>" + _plain(name) + "</extra>"
    line = {"color": colour, "dash": dash, "width": 2}
    faint = {"color": colour, "dash": "dot", "width": 1}
    curve = go.Scatter(
        x=names,
        y=np.concatenate(shares),
        name=_plain(name),
        mode="lines+markers",
        line=line,
        hovertemplate=hover,
    )
    by_chance = f"{_plain(name)}, by chance"
    under = go.Scatter(x=names, y=np.concatenate(chance), name=by_chance, mode="lines", line=faint)
    return [curve, under]


def _layout(title: str) -> dict[str, Any]:
    return {
        "template": "simple_white",
        "font": _FONT,
        "title": {"text": title, "font": {"size": 14}},
        "legend": {"orientation": "h", "y": -0.3},
        "margin": {"l": 70, "r": 20, "t": 70, "b": 60},
    }


def _title(record: Record, goal: Target, firsts: Sequence[Heatmaps]) -> str:
    """Methods, the part of the answer, and where there are several the image and tile."""
    named = ", ".join(captions.method_name(maps.method) for maps in firsts)
    place = tiles.place(firsts[0].grid, record.source_images)
    return _plain(" · ".join(filter(None, [named, captions.quoted(goal), place])))


def _plain(text: str) -> str:
    """Text as plotly shows it letter by letter: what it would take for markup is spelled out."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;")


def _plotly() -> Any:
    try:
        return import_module("plotly.graph_objects")
    except ImportError:
        missing = MissingExtra('Charts need plotly. Install it with: pip install "groundviz[charts]"')
    raise missing
