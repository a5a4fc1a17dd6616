"""What a heatmap, a table of methods or a certificate shows of itself in a notebook.

Importing this module teaches `groundviz.cards.card` these kinds of things. What draws is imported when
something is drawn: whoever only looks up a name does not wait for it.
"""

from __future__ import annotations

import numpy as np

from groundviz.cards import Table, card
from groundviz.record.evidence import Evidence
from groundviz.record.types import Floats, Heatmap
from groundviz.render.base.escape import Html, element, image

_SIDE = 168
_MOST = 2 * _SIDE


@card.register
def _of_heatmap(heatmap: Heatmap) -> str:
    """A small image of the cells, in the colours of all images, beside their numbers."""
    return element("div", _drawn(heatmap), table(numbers(heatmap)), class_="groundviz").markup


@card.register
def _of_table(shown: Table) -> str:
    return element("div", table(shown), class_="groundviz").markup


@card.register
def _of_evidence(evidence: Evidence) -> str:
    """The line and the sentences of a print, over a table of every check."""
    # Only here: its words need what draws maps.
    from groundviz.render.base import checked

    parts = [element("p", text) for text in str(evidence).splitlines()]
    for group in checked.groups(evidence.record):
        parts.append(table(Table(title=group.name, head=checked.HEAD, rows=group.rows)))
    return element("div", *parts, class_="groundviz").markup


def table(shown: Table) -> Html:
    """A table with its title above it."""
    head = [element("th", name, scope="col") for name in shown.head]
    body = []
    for first, *others in shown.rows:
        cells = [element("td", text) for text in others]
        body.append(element("tr", element("th", first, scope="row"), *cells))
    return element(
        "table",
        element("caption", shown.title),
        element("thead", element("tr", *head)),
        element("tbody", *body),
    )


def numbers(heatmap: Heatmap) -> Table:
    """What a map is of and from where to where its values go, as a table.

    >>> import groundviz
    >>> explanation = groundviz.explain("demo", np.zeros((112, 112), np.uint8), "Is there a nodule?")
    >>> numbers(explanation.heatmap("attention")).rows[2]
    ('cells', '14 x 14')
    """
    seen = heatmap.values[np.isfinite(heatmap.values)]
    rows = [
        ("target", heatmap.target.text),
        ("unit", heatmap.unit),
        ("cells", f"{heatmap.shape[0]} x {heatmap.shape[1]}"),
    ]
    if seen.size:
        rows += [("lowest", f"{seen.min():.4g}"), ("highest", f"{seen.max():.4g}")]
        rows.append(("sum", f"{seen.sum(dtype=np.float64):.4g}"))
    if seen.size < heatmap.values.size:
        rows.append(("cells without a value", str(heatmap.values.size - seen.size)))
    if heatmap.layer is not None:
        rows.append(("layer", str(heatmap.layer)))
    if heatmap.head is not None:
        rows.append(("head", str(heatmap.head)))
    return Table(title=heatmap.method, head=("", "value"), rows=tuple(rows))


def _drawn(heatmap: Heatmap) -> Html:
    # Only here: they need matplotlib.
    from groundviz.render.base import colour, overlay

    (scale,) = colour.scales([heatmap])
    if scale is None:
        return element("p", "This map holds no evidence: it is the same everywhere.")
    values = _enlarged(heatmap.values, heatmap)
    # Without its image a map lies on the ground of its bar, so that its colours are those of the bar.
    over = overlay.hatch(scale.veil(values), np.isnan(values))
    pixels = overlay.blend(np.full_like(over[..., :3], colour.GROUND), over)
    # A map of each pixel of a large image would put megabytes into the notebook.
    longest = max(pixels.shape[:2])
    if longest > _MOST:
        rows, cols = pixels.shape[:2]
        smaller = max(1, round(rows * _MOST / longest)), max(1, round(cols * _MOST / longest))
        pixels = overlay.resample(pixels, smaller)
    low, high = scale.ends
    words = f"{heatmap.method} of {heatmap.target.text}, from {low} to {high} {heatmap.unit}"
    shown = image(overlay.png(pixels), words, width=pixels.shape[1], height=pixels.shape[0])
    caption = f"{low} to {high} {heatmap.unit}; {scale.summit}"
    return element("figure", shown, element("figcaption", caption))


def _enlarged(cells: Floats, heatmap: Heatmap) -> Floats:
    """Each cell as a block of pixels of its shape on the source image."""
    height, width = np.diag(heatmap.grid.to_source) * heatmap.shape
    factor = _SIDE / max(height, width)
    rows = max(1, round(factor * height / heatmap.shape[0]))
    cols = max(1, round(factor * width / heatmap.shape[1]))
    return cells.repeat(rows, axis=0).repeat(cols, axis=1)
