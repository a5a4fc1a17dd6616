"""What stands beside an image, in words: labels, sentences, captions. One wording for figures and pages."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Sequence

import numpy as np

from groundviz.record.geometry import apply
from groundviz.record.mass import heaviest
from groundviz.record.tiles import place
from groundviz.record.types import Answer, Heatmap, Heatmaps, Prompt, Record, SourceImage
from groundviz.render.base.colour import OPACITY
from groundviz.render.base.overlay import OUTLINED, WIDEST, outlined
from groundviz.render.base.parts import WHOLE as WHOLE
from groundviz.render.base.parts import emphasis as emphasis
from groundviz.render.base.parts import in_order as in_order
from groundviz.render.base.parts import layer_name as layer_name
from groundviz.render.base.parts import part as part
from groundviz.render.base.parts import percent as percent
from groundviz.render.base.parts import pieces as pieces
from groundviz.render.base.parts import probability as probability
from groundviz.render.base.parts import quoted as quoted
from groundviz.render.base.provenance import made_with as made_with
from groundviz.render.base.provenance import shortened
from groundviz.render.base.uncertainty import uncertainties as uncertainties
from groundviz.render.base.uncertainty import uncertainty as uncertainty

NOT_WHY = "Attention shows where the model looked, not why it answered."
PERCENTAGES = "Percentages: the model's probability of that part of the answer."
SMOOTH = "Values are interpolated between the centres of the model's cells."
REFERENCE = "Dotted: reference contours, which the model was not given."
NO_EVIDENCE = "no evidence"
# Stands behind an answer that was cut off, never inside its quotation marks: double brackets are ours.
CUT = "⟦…⟧"
# As their papers write them.
_PROPER = {
    "grad_cam": "Grad-CAM",
    "hires_cam": "HiResCAM",
    "layer_cam": "LayerCAM",
    "rise": "RISE",
    "smooth_grad": "SmoothGrad",
}


def method_name(method: str) -> str:
    """A registered name as it reads in a sentence's beginning.

    >>> method_name("gradient_attention"), method_name("rise")
    ('Gradient attention', 'RISE')
    """
    if method in _PROPER or ":" in method:  # With a colon it is another library's own name.
        return _PROPER.get(method, method)
    words = method.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def cut_off(answer: Answer) -> str:
    """The words for an answer that did not end by itself; empty where it did, or where nobody knows."""
    return "cut off by its length" if answer.finished is False else ""


def interrupted(maps: Heatmap | Heatmaps) -> str:
    """How far a map came that was interrupted; empty where it is whole, or steps were not counted."""
    if maps.samples is None or maps.samples.complete:
        return ""
    return f"{maps.samples.done:,} of {maps.samples.asked:,} steps"


def incomplete(record: Record, shown: Container[str] | None = None) -> tuple[str, ...]:
    """What an interrupt left undone, in sentences: maps that rest on too little, methods that never ran.

    Args:
        record: What was asked and answered.
        shown: Methods whose maps are shown; None for all. Methods that never ran are always named.
    """
    found: dict[str, None] = {}
    for maps in record.heatmaps:
        if shown is None or maps.method in shown:
            found[shortfall(maps)] = None
    for method in record.unmeasured:
        found[f"Interrupted: {method_name(method)} was asked for and never ran."] = None
    return tuple(filter(None, found))


def shortfall(maps: Heatmaps) -> str:
    """What an interrupt left undone of one method's maps, in a sentence; empty where nothing."""
    steps = interrupted(maps)
    if not steps:
        return ""
    return f"Interrupted: {method_name(maps.method)} rests on {steps}."


def before(prompt: Prompt) -> tuple[str, ...]:
    """What the model was told besides the question, turn by turn, in sentences; none for a question alone."""
    if prompt.verbatim:
        return ("The whole prompt was given as it is.",)
    speakers = {"system": "System prompt", "user": "Before, the user", "assistant": "Before, the model"}
    return tuple(f"{speakers[turn.role]}: “{shortened(turn.text)}”." for turn in prompt.messages[:-1])


def cautions(maps: Iterable[Heatmap | Heatmaps]) -> tuple[str, ...]:
    """What is known against methods, one sentence each: they say it themselves, as `caution` in `params`."""
    # One for each method, however many maps it has.
    known: dict[str, str] = {}
    for one in maps:
        if one.params.get("caution"):
            known[one.method] = f"{method_name(one.method)}: {one.params['caution']}"
    return tuple(known.values())


def beware(record: Record, shown: Container[str] | None = None) -> tuple[str, ...]:
    """What must stand beside the answer and its maps: if either is not whole; see `incomplete`."""
    undone = incomplete(record, shown)
    cut = cut_off(record.answer)
    if cut:
        return (f"The answer was {cut}.", *undone)
    return undone


def no_evidence(heatmap: Heatmap) -> str:
    """The words for a map that points nowhere; empty for any other."""
    if heatmap.has_evidence:
        return ""
    if not np.isfinite(heatmap.values).any():
        return f"{NO_EVIDENCE}: no cell holds a value"
    return f"{NO_EVIDENCE}: every cell holds the same value"


def titled(heatmap: Heatmap, images: Sequence[SourceImage]) -> str:
    """The method of a map and, of these images and their tiles, which it lies on."""
    return " · ".join(filter(None, (method_name(heatmap.method), place(heatmap.grid, images))))


def claim(heatmap: Heatmap) -> str:
    """What a map of attention shows, never why the model answered; nothing is claimed for other maps."""
    return "where the model looked" if of_attention([heatmap]) else ""


def aggregation(maps: Heatmaps, heatmap: Heatmap, *, swept: bool = False) -> str:
    """Which layer and head a map shows, or how it combines them; empty where there was one of each.

    Args:
        maps: What the method measured.
        heatmap: The map.
        swept: Whether it is one of several layers that stand side by side.
    """
    parts: list[str] = []
    over: dict[str, str] = {}
    # Layers that stand side by side are named on their panels.
    if swept:
        parts.append("layer by layer")
    elif heatmap.layer is not None:
        parts.append(f"layer {heatmap.layer}")
    if heatmap.layer is None and maps.values.shape[1] > 1:
        over["layers"] = maps.reduce[1]
    if heatmap.head is not None:
        parts.append(f"head {heatmap.head}")
    elif maps.values.shape[2] > 1:
        over["heads"] = maps.reduce[2]
    # "mean over layers and heads", but "mean over layers, max over heads".
    if len(set(over.values())) == 1:
        parts.append(f"{next(iter(over.values()))} over {' and '.join(over)}")
    else:
        parts += [f"{how} over {axis}" for axis, how in over.items()]
    return ", ".join(parts)


def legend(
    source_images: Sequence[SourceImage],
    heatmaps: Iterable[Heatmap],
    *,
    percentages: str = PERCENTAGES,
    smooth: bool = False,
    contours: bool = False,
    opacity: float = OPACITY,
) -> list[str]:
    """How to read these maps over their images, sentence by sentence.

    Args:
        source_images: The images that the maps lie on.
        heatmaps: What is shown.
        percentages: What the percentages beside the maps are; empty where there are none.
        smooth: Whether values are interpolated between cells.
        contours: Whether contours known from elsewhere are drawn.
        opacity: How much of the image is covered at the end of the scale.
    """
    shown = list(heatmaps)
    telling = [heatmap for heatmap in shown if heatmap.has_evidence]
    sentences: list[str] = []
    if of_attention(shown):
        sentences.append(NOT_WHY)
    sentences += cautions(shown)
    if percentages:
        sentences.append(percentages)
    # Without evidence there are no colours to read.
    if telling:
        sentences += _reading(telling, smooth=smooth, opacity=opacity)
    if telling and smooth:
        sentences.append(SMOOTH)
    if contours:
        sentences.append(REFERENCE)
    hatching = _hatching([one for one in telling if _partly_unseen(one, source_images[one.grid.image])])
    if hatching:
        sentences.append(hatching)
    return sentences


def _hatching(hatched: Sequence[Heatmap]) -> str:
    """What hatching means on these maps; empty where there is none."""
    if not hatched:
        return ""
    # What one tile leaves out, the model may have seen in another.
    if any(heatmap.grid.label for heatmap in hatched):
        return "Hatched: not covered by this map."
    if any(map(interrupted, hatched)):
        return "Hatched: not measured, or not seen by the model."
    return "Hatched: not seen by the model."


def of_attention(heatmaps: Iterable[Heatmap | Heatmaps]) -> bool:
    """Whether attention is among what is shown; weighted by its gradient it is something else."""
    return any("attention" in heatmap.unit for heatmap in heatmaps)


def _reading(telling: Sequence[Heatmap], *, smooth: bool, opacity: float) -> list[str]:
    """How to read the colours and the outlines of maps that hold evidence."""
    sentences = [f"Opacity rises with the colour, from 0 at zero to {opacity * 100:.0f}% at the scale's end."]
    lined = [heatmap for heatmap in telling if outlined(heatmap)]
    if lined:
        what = "where the fewest cells" if smooth else "the fewest cells"
        half, most = OUTLINED
        outline = f"Outlined: {what} that hold {half * 100:.0f}% of a map (thin: {most * 100:.0f}%)"
        outline += f", where these are at most {WIDEST * 100:.0f}% of all and the map is not faint"
        if any(heatmap.signed for heatmap in lined):
            outline += ", dashed where negative"
        sentences.append(f"{outline}.")
    return sentences


def halves(heatmaps: Iterable[Heatmap]) -> str:
    """In how many cells half of each map lies, in a few words; empty where none holds evidence.

    A flat map takes half of its cells for it, which is the truth about it.
    """
    known = [heatmap for heatmap in heatmaps if heatmap.has_evidence]
    if not known:
        return ""
    counts = [(int(heaviest(one.values, OUTLINED[0]).sum()), _held(one)) for one in known]
    few, many = min(counts), max(counts)
    if few[1] != many[1]:
        return f"{few[0]:,} of {few[1]:,} to {many[0]:,} of {many[1]:,} cells hold half of a map"
    taken = f"{few[0]:,}" if few == many else f"{few[0]:,} to {many[0]:,}"
    hold = "holds" if many[0] == 1 else "hold"
    return f"{taken} of {many[1]:,} cells {hold} half of a map"


def _held(heatmap: Heatmap) -> int:
    """How many cells hold a value."""
    return int(np.isfinite(heatmap.values).sum())


def _partly_unseen(heatmap: Heatmap, source_image: SourceImage) -> bool:
    """Whether some of the image lies outside the cells that hold a value, and is hatched."""
    (top, left), (bottom, right) = apply(heatmap.grid.to_source, np.array([[0.0, 0.0], heatmap.values.shape]))
    rows, cols = source_image.shape
    # Half a pixel is rounding, and cannot be seen.
    before = top > 0.5 or left > 0.5
    behind = bottom < rows - 0.5 or right < cols - 0.5
    return bool(before or behind or _held(heatmap) < heatmap.values.size)


def describe(heatmap: Heatmap, images: Sequence[SourceImage] = ()) -> str:
    """A map in words, for those who cannot see it: what it is of, and where it is strongest.

    Args:
        heatmap: The map.
        images: All images, to name which it lies on where there are several.
    """
    name = f"{method_name(heatmap.method)} for {quoted(heatmap.target)}"
    on = place(heatmap.grid, images)
    if on:
        name += f" on {on}"
    if nothing := no_evidence(heatmap):
        return f"{name}: {nothing}."
    size = np.where(np.isfinite(heatmap.values), heatmap.values, np.nan)
    if heatmap.signed:
        size = np.abs(size)
    row, col = np.unravel_index(np.nanargmax(size), size.shape)
    where = f"row {row + 1} of {size.shape[0]}, column {col + 1} of {size.shape[1]}"
    known = [f"strongest at {where}, {heatmap.values[row, col]:.3g} {heatmap.unit}", halves([heatmap])]
    steps = interrupted(heatmap)
    if steps:
        known.append(f"interrupted after {steps}")
    error = uncertainty(heatmap)
    if error:
        known.append(error)
    return f"{name}: {'; '.join(known)}."


def by_layer(maps: Iterable[Heatmap]) -> bool:
    """Whether a row of maps shows one target layer by layer."""
    return len({heatmap.layer for heatmap in maps}) > 1


def left_out(record: Record, images: Collection[int]) -> list[str]:
    """That not all images are shown, where these are not: of a stack those slices that hold most."""
    count = len(record.source_images)
    if len(images) == count:
        return []
    return [f"{len(images)} of {count} images are shown: of a stack the slices that hold most of the map."]


def undrawn(record: Record, shown: Iterable[Heatmap]) -> list[str]:
    """How many of the maps of each method are drawn, where these are not all there are."""
    grids: dict[str, set[int]] = {}
    for heatmap in shown:
        grids.setdefault(heatmap.method, set()).add(id(heatmap.grid))
    sentences: list[str] = []
    for method, drawn in grids.items():
        count = sum(maps.method == method for maps in record.heatmaps)
        if len(drawn) < count:
            verb = "is" if len(drawn) == 1 else "are"
            sentences.append(f"{method_name(method)}: {len(drawn)} of {count} maps {verb} drawn.")
    return sentences


def maps_of(record: Record, method: str) -> Heatmaps:
    """What one method measured in a record, on its first grid."""
    return next(maps for maps in record.heatmaps if maps.method == method)
