"""The viewer as a live widget: what is chosen in the browser is known in Python, and the other way round.

Besides traits there are messages. The browser sends ::

    {"need": "heads", "map": 2, "layer": 5}     every head of one layer of one map
    {"need": "method", "method": "rise"}        a method that is not there, one of `_more`
    {"need": "challenge"}                       the test of the maps, where `_challenge` offers it
    {"need": "stop"}                            an end to either
    {"need": "images"}                          the pixels, where `_pack` holds less than all of them
    {"need": "tile", "side": 0, "image": 0, "level": 2, "tile": 7}    one tile of a larger size of an image

and gets ::

    {"heads": 2, "layer": 5}, [bytes]                                     as `pack.heads_of` codes them
    {"images": [[side, image, header], ...]}, [bytes]                     as `pack.images_of` tells
    {"tile": {"side": 0, "image": 0, "level": 2, "tile": 7}}, [bytes]     as `Pixels.tile` codes it
    {"maps": [header, ...], "method": "rise", "says": sentence, "missing": [sentence, ...],
     "evidence": table}, [bytes]                                          as `pack.maps_of` codes them
    {"evidence": table, "says": sentence}                                 as `checked.payload` makes it
    {"failed": sentence, "method": "rise"}                                why there is neither

`says` is empty, or tells that the maps rest on less than they should; `missing` tells which methods never
ran. While a method is measured, or the maps are challenged, `_busy` holds {"method", "done", "total",
"says"}, `says` being all that there is to read and `total` 0 where steps are not counted; it is empty
otherwise.

Whatever runs or saves a notebook may keep the traits, but keeps no messages. So the traits hold as much of
the images as `groundviz.options.embed` allows, and the rest goes by message to whoever looks. The browser
sets only what `groundviz.render.live.traits` lists; whatever else it sends is not believed.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import anywidget
import traitlets
from IPython.display import display

from groundviz.errors import TargetError, UnsupportedMethod
from groundviz.record.types import Record
from groundviz.render.base import captions, checked, embedding
from groundviz.render.base.colour import OPACITY
from groundviz.render.base.options import options
from groundviz.render.live import traits
from groundviz.render.live.background_task import Errand
from groundviz.render.live.loading import quiet
from groundviz.render.live.more import More as More
from groundviz.render.pages import html
from groundviz.render.viewer import assets, pack
from groundviz.render.viewer.pixels import Pixels

# What names one tile of an image.
TILE = ("side", "image", "level", "tile")
CHALLENGE = "Challenge the map"
# Stands where a method's name does.
CHALLENGED = "the challenge"


class GroundViewer(anywidget.AnyWidget):
    """The viewer of one explanation, or of several side by side, in a live notebook.

    Hovering stays in the browser; what is committed by a click, a key or a menu arrives here and can be
    watched with `observe`, and what is assigned here is shown. Observers may run beside the cell that is
    running, so they should be short.

    With a model behind it, methods that were not measured yet can be asked for in the browser, and the maps
    challenged. That is done one at a time, in a thread of its own; a cell that explains with the same model
    waits for it, and it for the cell.

    Args:
        sides: What is shown: one explanation, or several side by side.
        explanation: What the one was taken from; further maps are added to it.
        more: Where further maps come from; None when there is no model.
        state: What to show first.

    Attributes:
        explanation: What is shown, with all that was measured since: save it, or watch it with
            `observe` to know when maps come. None for several sides.
        selected: Indices of the chosen answer tokens; empty for the named `part`.
        part: Which of the parts that were asked for, and of the answer's sentences, is shown.
        method: The method shown first.
        compare: Methods beside it.
        difference: Whether the difference of the first two panes is shown.
        pins: Token lists with a pane of their own.
        rois: Boxes drawn, in source pixels: image, x0, y0, x1, y1.
        hovered_patch: Image, row and column of the cell the pointer rests on.
        image: Which image, or the stack of which slice, or -1 for all.
        slices: Which slice of each stack is shown, as numbers of images; where none is named, the one that
            holds most of what was explained.
        tile: Which tile of an image, or -1 for all tiles.
        layer: One layer, or -1 for all combined.
        head: One head, or -1 for all combined.
        norm: "root", "linear" or "log" for one scale from zero to the largest value of all words' maps of a
            unit, along which colours follow the square root, the value itself, or its logarithm; "each" for
            every pane its own; "mass" for the share of each map's total.
        sinks: Whether cells that are among the strongest of nearly every token are hidden.
        smooth: Whether values are interpolated between cell centres.
        fill: Whether values are coloured.
        contour: Whether the fewest cells that hold half of a map, and 90 % of it, are outlined.
        opacity: Opacity at the end of the scale, 0 to 1.
        threshold: How far along the colour bar from zero a value must lie to be coloured, 0 to 1.
        cmap: Name of the colours; empty for the usual ones.
        window: Width of the display window; 1 is that of what was read, of a stack's first slice.
        level: Centre of the display window: 0 is what was read as black, 1 as white.
        invert: Whether black and white change places.
        view: Centre (x, y) of the view as shares of the image, and the zoom.
        tool: What dragging does: "pan", "window" or "box".
        known: Which of the outlines known from elsewhere words are compared with, or -1.
    """

    _esm = assets.module()
    _css = assets.style()
    _pack = traitlets.Bytes().tag(sync=True)
    _live = traitlets.Unicode().tag(sync=True)
    # Whether the browser must ask for the images.
    _withheld = traitlets.Bool(False).tag(sync=True)
    _more = traitlets.List(traitlets.Dict()).tag(sync=True)
    _challenge = traitlets.Dict().tag(sync=True)
    _busy = traitlets.Dict().tag(sync=True)

    explanation = traitlets.Any(read_only=True)

    selected = traitlets.List(traitlets.Int()).tag(sync=True)
    part = traitlets.Int(0).tag(sync=True)
    method = traitlets.Unicode().tag(sync=True)
    compare = traitlets.List(traitlets.Unicode()).tag(sync=True)
    difference = traitlets.Bool(False).tag(sync=True)
    pins = traitlets.List(traitlets.List(traitlets.Int())).tag(sync=True)
    rois = traitlets.List(traitlets.Dict()).tag(sync=True)
    hovered_patch = traitlets.List(traitlets.Int()).tag(sync=True)
    image = traitlets.Int(-1).tag(sync=True)
    slices = traitlets.List(traitlets.Int()).tag(sync=True)
    tile = traitlets.Int(0).tag(sync=True)
    layer = traitlets.Int(-1).tag(sync=True)
    head = traitlets.Int(-1).tag(sync=True)
    norm = traitlets.Enum(traits.NORMS, "root").tag(sync=True)
    sinks = traitlets.Bool(False).tag(sync=True)
    smooth = traitlets.Bool(False).tag(sync=True)
    fill = traitlets.Bool(True).tag(sync=True)
    contour = traitlets.Bool(True).tag(sync=True)
    opacity = traitlets.Float(OPACITY, min=0.0, max=1.0).tag(sync=True)
    threshold = traitlets.Float(0.0, min=0.0, max=1.0).tag(sync=True)
    cmap = traitlets.Unicode().tag(sync=True)
    window = traitlets.Float(1.0, min=traits.NARROWEST, max=traits.WIDEST).tag(sync=True)
    level = traitlets.Float(0.5, min=-traits.WIDEST, max=traits.WIDEST).tag(sync=True)
    invert = traitlets.Bool(False).tag(sync=True)
    view = traitlets.List(traitlets.Float(), default_value=[0.5, 0.5, 1.0], minlen=3, maxlen=3).tag(sync=True)
    tool = traitlets.Enum(traits.TOOLS, "pan").tag(sync=True)
    known = traitlets.Int(-1).tag(sync=True)

    def __init__(
        self,
        sides: Sequence[html.Side],
        *,
        explanation: Any = None,
        more: More | None = None,
        **state: Any,
    ) -> None:
        self._sides = list(sides)
        self._latest, self._source, self._refused = explanation, more, set[str]()
        self._errand: Errand | None = None
        self._pixels: dict[tuple[int, int], Pixels] = {}
        # Messages may come while a cell is running, and the errand has a thread of its own.
        self._turn = threading.RLock()
        known = [maps.method for maps in self._record.heatmaps]
        start: dict[str, Any] = {
            "_pack": self._packed(),
            "_live": uuid.uuid4().hex,
            "_withheld": embedding.embedded(self._record) is not self._record,
            "method": known[0] if known else "",
        }
        offered = {"_more": self._offers(), "_challenge": self._unchallenged()}
        with quiet():
            super().__init__(**{**start, **offered, **state})
        self.set_trait("explanation", explanation)
        self.on_msg(self._asked)

    @property
    def _record(self) -> Record:
        """What messages are about: the first side."""
        return self._sides[0].record

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what was committed in the browser, at a moment when no errand sets anything.

        What it may not set is left as it is; of what it may, but not to that value, it is told the value.
        """
        with self._turn:
            can_hold = traits.acceptable(self._record, len(self._sides[0].known))
            meant = {name: value for name, value in sync_data.items() if name in can_hold}
            taken = {name: value for name, value in meant.items() if can_hold[name](value)}
            super().set_state(taken)
            refused = [name for name in meant if name not in taken]
            if refused:
                self.send_state(refused)

    def _handle_msg(self, msg: dict[str, Any]) -> None:
        """Take a message of the browser's, of which nothing is certain, not even its form."""
        content = msg.get("content")
        match content.get("data") if isinstance(content, dict) else None:
            case {"method": "update", "state": dict(state)}:
                self.set_state(state)
            case {"method": "request_state"}:
                self.send_state()
            case {"method": "custom", "content": dict(message)}:
                self._handle_custom_msg(message, [])

    def close(self) -> None:
        """End the widget, and what is being measured for it."""
        if errand := self._errand:
            errand.stop()
        super().close()

    def _ipython_display_(self) -> None:
        """Show the widget, and behind it a snapshot that comes forward when there is no kernel any more."""
        with quiet():
            widget, _ = super()._repr_mimebundle_() or ({}, {})
            # Without a text of its own an export to HTML would print the widget's repr above the snapshot.
            display({**widget, "text/plain": ""}, raw=True)
            display({"text/html": self._snapshot(), "text/plain": ""}, raw=True)

    def _snapshot(self) -> str:
        if len(self._sides) > 1:
            return html.comparison_fragment(self._sides, live=self._live)
        [one] = self._sides
        return html.fragment(one.record, known=one.known, live=self._live)

    def _packed(self) -> bytes:
        sides: list[html.Side] = []
        for side in self._sides:
            # No more of the images than a notebook may keep.
            sides.append(replace(side, record=embedding.embedded(side.record)))
        # What is withheld is asked for as a whole.
        sizes: pack.Sizes = "ask" if options.embed == "image" else "first"
        if len(sides) > 1:
            return html.side_by_side(sides, sizes=sizes)
        [one] = sides
        return pack.pack(one.record, known=one.known, name=one.name, sizes=sizes)

    def _offers(self) -> list[dict[str, str]]:
        """What can be measured, with a name to be read; without what refused already."""
        if self._source is None:
            return []
        offered: list[dict[str, str]] = []
        for one in self._source.offers(self._record):
            if one["name"] not in self._refused:
                offered.append({**one, "title": captions.method_name(one["name"])})
        return offered

    def _unchallenged(self) -> dict[str, str]:
        """What the button that challenges the maps is called, and what it costs; empty without one."""
        if self._source is None or not self._record.heatmaps:
            return {}
        offered = self._source.unchallenged(self._record)
        return {**offered, "title": CHALLENGE} if offered else {}

    def _asked(self, _: object, content: dict[str, Any], __: object) -> None:
        """Do what the browser asks for; a method takes its time, and so gets a thread."""
        match content.get("need"):
            case "heads":
                self._send_heads(content.get("map"), content.get("layer"))
            case "images":
                self._send_images()
            case "tile":
                self._send_tile(content)
            case "method" if traits.is_name(content.get("method")):
                self._begin(content["method"])
            case "challenge":
                self._begin(CHALLENGED)
            case "stop":
                if errand := self._errand:
                    errand.stop()

    def _send_images(self) -> None:
        """Send the pixels that the traits do not hold, so that they are seen and not kept."""
        places, blob = pack.images_of([one.record for one in self._sides])
        self.send({"images": places}, [blob])

    def _send_tile(self, content: dict[str, Any]) -> None:
        """Send one tile of an image at one of its sizes, which the viewer needs when it comes into view."""
        wish: Any = [content.get(key) for key in TILE]
        side, image, level, tile = wish
        if not traits.whole(side, 0, len(self._sides) - 1):
            return
        images = self._sides[side].record.source_images
        if not traits.whole(image, 0, len(images) - 1):
            return
        # To make the sizes takes long, so they are kept.
        pixels = self._pixels.setdefault((side, image), Pixels(images[image]))
        if not traits.whole(level, 0, len(pixels.levels) - 1):
            return
        if not traits.whole(tile, 0, pixels.count(level) - 1):
            return
        self.send({"tile": {key: content[key] for key in TILE}}, [pixels.tile(level, tile)])

    def _send_heads(self, number: Any, layer: Any) -> None:
        """Send the heads of one layer, which the viewer asks for when it first needs them."""
        if not traits.whole(number, 0, len(self._record.heatmaps) - 1):
            return
        maps = self._record.heatmaps[number]
        if not traits.whole(layer, 0, max(1, len(maps.layers)) - 1):
            return
        # What the browser counts are places, not the numbers of layers.
        chosen = maps.layers[layer] if maps.layers else 0
        blob = pack.heads_of(maps, chosen)
        self.send({"heads": number, "layer": layer}, [blob])

    def _begin(self, method: str) -> None:
        """Measure a method, or put the maps to the test where it is `CHALLENGED`."""
        with self._turn:
            source, refusal = self._source, self._refusal(method)
            if refusal or source is None:
                self.send({"failed": refusal, "method": method})
                return
            work, keeps = partial(source.measure, self._latest, method), "its maps rest"
            if method == CHALLENGED:
                work, keeps = partial(source.challenge, self._latest), "what it found rests"
            self._errand = Errand(
                captions.method_name(method),
                work,
                keeps=keeps,
                show=partial(self._show, method),
                done=partial(self._finish, method),
            )
            self._busy = {"method": method, "done": 0, "total": 0, "says": "beginning"}
            self._errand.start()

    def _refusal(self, method: str) -> str:
        """Why a method cannot be measured now; empty if it can."""
        if self._busy:
            running = captions.method_name(self._busy["method"])
            return f"{running} is under way. Ask again when it is done, or stop it first."
        offered = [one["name"] for one in self._more]
        if self._challenge:
            offered.append(CHALLENGED)
        if method not in offered:
            return "There is no such method to be measured here. Choose one of those that are offered."
        return ""

    def _show(self, method: str, doing: str, done: int, total: int) -> None:
        says = doing
        if total:
            says = f"{doing}: {done} of {total}"
        # Not worth waiting for: whoever has the turn may be waiting for the model that we hold.
        if self._turn.acquire(blocking=False):
            try:
                self._busy = {"method": method, "done": done, "total": total, "says": says}
            finally:
                self._turn.release()

    def _finish(self, method: str, found: Any, says: str, error: BaseException | None) -> None:
        """Show what came of it; the model is back by now, so waiting for a turn is safe."""
        try:
            if found is None:
                # Asked again, it would refuse again.
                if isinstance(error, UnsupportedMethod | TargetError):
                    self._refused.add(method)
                self.send({"failed": says, "method": method})
            else:
                self._latest = found
                self._add(method, found.record, says)
        finally:
            with self._turn:
                self._errand = None
                self._more, self._challenge = self._offers(), self._unchallenged()
                self._busy = {}
        if found is not None:
            self.set_trait("explanation", found)

    def _add(self, method: str, record: Record, says: str) -> None:
        """Show new maps or checks here, and in views and snapshots that are made later."""
        first = self._sides[0] = replace(self._sides[0], record=record)
        told: dict[str, Any] = {"says": says, "evidence": checked.payload(record)}
        if method == CHALLENGED:
            self.send(told)
        else:
            maps = [one for one in record.heatmaps if one.method == method]
            headers, blob = pack.maps_of(record, maps, known=first.known)
            self.send({**told, "maps": headers, "method": method, "missing": pack.missing(record)}, [blob])
        with self._turn:
            self._pack = self._packed()
