"""The viewer as a live widget: what is chosen in the browser is known in Python, and the other way round."""

from __future__ import annotations

import uuid
from typing import Any

import anywidget
import traitlets
from IPython.display import display

from groundviz.render import html, pack, viewer
from groundviz.types import Record


class GroundViewer(anywidget.AnyWidget):
    """The viewer of one record in a live notebook.

    Hovering stays in the browser; what is committed by a click, a key or a menu arrives here and can be
    watched with `observe`, and what is assigned here is shown. Observers may run beside the cell that is
    running, so they should be short.

    Attributes:
        selected: Indices of the chosen answer tokens; empty for the named `part`.
        part: Which of the parts that were asked for, and of the answer's sentences, is shown.
        method: The method shown first.
        compare: Methods beside it.
        difference: Whether the difference of the first two panes is shown.
        pins: Token lists with a pane of their own.
        rois: Boxes drawn, in source pixels: image, x0, y0, x1, y1.
        hovered_patch: Image, row and column of the cell the pointer rests on.
        image: Which image, or -1 for all.
        tile: Which tile of an image, or -1 for all tiles.
        layer: One layer, or -1 for all combined.
        head: One head, or -1 for all combined.
        norm: "clip", "each", "shared" or "mass".
        sinks: Whether cells that are among the strongest of nearly every token are hidden.
        smooth: Whether values are interpolated between cell centres.
        fill: Whether values are coloured.
        contour: Whether the strongest cells are outlined.
        opacity: Opacity at the end of the scale, 0 to 1.
        threshold: Share of the scale below which nothing is coloured.
        cmap: Name of the colours; empty for the usual ones.
        window: Width of the display window, 0 to 1 of what was read.
        level: Centre of the display window, 0 to 1.
        invert: Whether black and white change places.
        view: Centre (x, y) of the view as shares of the image, and the zoom.
        tool: What dragging does: "pan", "window" or "box".
    """

    _esm = viewer.module()
    _css = viewer.style()
    _pack = traitlets.Bytes().tag(sync=True)
    _live = traitlets.Unicode().tag(sync=True)

    selected = traitlets.List(traitlets.Int()).tag(sync=True)
    part = traitlets.Int(0).tag(sync=True)
    method = traitlets.Unicode().tag(sync=True)
    compare = traitlets.List(traitlets.Unicode()).tag(sync=True)
    difference = traitlets.Bool(False).tag(sync=True)
    pins = traitlets.List(traitlets.List(traitlets.Int())).tag(sync=True)
    rois = traitlets.List(traitlets.Dict()).tag(sync=True)
    hovered_patch = traitlets.List(traitlets.Int()).tag(sync=True)
    image = traitlets.Int(-1).tag(sync=True)
    tile = traitlets.Int(0).tag(sync=True)
    layer = traitlets.Int(-1).tag(sync=True)
    head = traitlets.Int(-1).tag(sync=True)
    norm = traitlets.Enum(("clip", "each", "shared", "mass"), "clip").tag(sync=True)
    sinks = traitlets.Bool(False).tag(sync=True)
    smooth = traitlets.Bool(False).tag(sync=True)
    fill = traitlets.Bool(True).tag(sync=True)
    contour = traitlets.Bool(True).tag(sync=True)
    opacity = traitlets.Float(0.5, min=0.0, max=1.0).tag(sync=True)
    threshold = traitlets.Float(0.0, min=0.0, max=1.0).tag(sync=True)
    cmap = traitlets.Unicode().tag(sync=True)
    window = traitlets.Float(1.0, min=0.01, max=1.0).tag(sync=True)
    level = traitlets.Float(0.5, min=0.0, max=1.0).tag(sync=True)
    invert = traitlets.Bool(False).tag(sync=True)
    view = traitlets.List(traitlets.Float(), default_value=[0.5, 0.5, 1.0], minlen=3, maxlen=3).tag(sync=True)
    tool = traitlets.Enum(("pan", "window", "box"), "pan").tag(sync=True)

    def __init__(self, record: Record, **state: Any) -> None:
        known = [maps.method for maps in record.heatmaps]
        start = {"_pack": pack.pack(record), "_live": uuid.uuid4().hex, "method": known[0] if known else ""}
        super().__init__(**{**start, **state})
        self._record = record
        self.on_msg(self._answer)

    def _ipython_display_(self) -> None:
        """Show the widget, and behind it a snapshot that comes forward when there is no kernel any more."""
        widget, _ = super()._repr_mimebundle_() or ({}, {})
        # Without a text of its own an export to HTML would print the widget's repr above the snapshot.
        display({**widget, "text/plain": ""}, raw=True)
        display({"text/html": html.fragment(self._record, live=self._live), "text/plain": ""}, raw=True)

    def _answer(self, _: object, content: dict[str, Any], __: object) -> None:
        """Send the heads of one layer, which the viewer asks for when it first needs them."""
        if content.get("need") != "heads":
            return
        number, layer = int(content["map"]), int(content["layer"])
        maps = self._record.heatmaps[number]
        blob = pack.heads_of(maps, maps.layers[layer] if maps.layers else 0)
        self.send({"heads": number, "layer": layer}, [blob])
