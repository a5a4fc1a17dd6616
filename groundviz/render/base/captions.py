"""What stands beside an image, in words: labels, sentences, captions. One wording for figures and pages."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np

from groundviz.record.geometry import apply
from groundviz.record.targets import answered, find
from groundviz.record.tiles import place
from groundviz.record.types import Answer, Heatmap, Heatmaps, Prompt, Record, SourceImage, Target
from groundviz.render.base.overlay import OPACITY, OUTLINE, outlined
from groundviz.render.base.provenance import made_with as made_with
from groundviz.render.base.provenance import shortened

WHOLE = "whole answer"
NOT_WHY = "Attention shows where the model looked, not why it answered."
PERCENTAGES = "Percentages: the model's probability of that part of the answer."
SMOOTH = "Values are interpolated between the centres of the model's cells."
REFERENCE = "Dotted: reference contours, which the model was not given."
NO_EVIDENCE = "no evidence"
# Stands behind an answer that was cut off, never inside its quotation marks: double brackets are ours.
CUT = "⟦…⟧"
# Beyond so many times the largest value, an error is not told in per cent.
_MOST_TIMES = 10
_WORD = re.compile(r"\w+(?:[-'/.\u2019]\w+)*")
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
    """What to say of an answer that did not end by itself; empty where it did, or where nobody knows."""
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
    return f"Interrupted: {method_name(maps.method)} rests on {steps}." if steps else ""


def before(prompt: Prompt) -> tuple[str, ...]:
    """What the model was told besides the question, turn by turn, in sentences; none for a question alone."""
    if prompt.verbatim:
        return ("The whole prompt was given as it is.",)
    speakers = {"system": "System prompt", "user": "Before, the user", "assistant": "Before, the model"}
    return tuple(f"{speakers[turn.role]}: “{shortened(turn.text)}”." for turn in prompt.messages[:-1])


def cautions(maps: Iterable[Heatmap | Heatmaps]) -> tuple[str, ...]:
    """What is known against methods, one sentence each: they say it themselves, as `caution` in `params`."""
    told = {one.method: str(one.params["caution"]) for one in maps if one.params.get("caution")}
    return tuple(f"{method_name(method)}: {caution}" for method, caution in told.items())


def beware(record: Record, shown: Container[str] | None = None) -> tuple[str, ...]:
    """What must stand beside the answer and its maps: if either is not whole; see `incomplete`."""
    cut = cut_off(record.answer)
    return (*([f"The answer was {cut}."] if cut else []), *incomplete(record, shown))


def uncertainty(heatmap: Heatmap, maps: Heatmaps | None = None) -> str:
    """The standard error of a map's cells, relative to its largest value; empty where there is none.

    Both the worst cell and the median are told: the first bounds what can be believed of a single cell,
    the second says whether that cell is alone.

    Args:
        heatmap: The map.
        maps: What it was taken from, so that it is told where these have errors and a map put together
            from several of them has none that is known.
    """
    if heatmap.standard_error is None:
        sampled = maps is not None and maps.standard_error is not None
        return "standard error not known for this combination" if sampled else ""
    errors = heatmap.standard_error[np.isfinite(heatmap.values)].astype(np.float64)
    known = errors[np.isfinite(errors)]
    if not known.size:
        return "standard error not known"
    most = _of_largest(heatmap, float(known.max()))
    median = _of_largest(heatmap, float(np.median(known)))
    if most > _MOST_TIMES:
        said = f"standard error {_at_most(most)} the largest value"
    else:
        said = f"standard error {_at_most(most)} of the largest value, {_about(median)} in the median cell"
    unknown = errors.size - known.size
    return f"{said}, not known in {unknown} of {errors.size} cells" if unknown else said


def uncertainties(heatmaps: Sequence[Heatmap]) -> str:
    """The standard errors of maps side by side, in one line about the worst; empty where none is known."""
    if len(heatmaps) == 1:
        return uncertainty(heatmaps[0])
    errors = [(one, one.standard_error) for one in heatmaps if one.standard_error is not None]
    worst = [_of_largest(one, float(np.nanmax(error))) for one, error in errors if np.isfinite(error).any()]
    if not worst:
        return "standard errors not known" if errors else ""
    some = "" if len(worst) == len(heatmaps) else f", known of {len(worst)} of {len(heatmaps)} maps"
    of = "" if max(worst) > _MOST_TIMES else "of "
    return f"standard errors {_at_most(max(worst))} {of}a map's largest value{some}"


def _of_largest(heatmap: Heatmap, error: float) -> float:
    """An error as a share of the map's largest value; of a map of zeros, any error is infinitely large."""
    largest = float(np.nanmax(np.abs(heatmap.values), initial=0.0))
    if largest == 0.0:
        return math.inf if error else 0.0
    return error / largest


def _at_most(share: float) -> str:
    if share > _MOST_TIMES:
        return f"more than {_MOST_TIMES} times"
    return "below 1%" if share < 0.01 else f"at most {math.ceil(round(100 * share, 3))}%"


def _about(share: float) -> str:
    return "below 1%" if share < 0.01 else f"{100 * share:.0f}%"


def no_evidence(heatmap: Heatmap) -> str:
    """What is to be said of a map that points nowhere; empty of any other."""
    if heatmap.has_evidence:
        return ""
    if not np.isfinite(heatmap.values).any():
        return f"{NO_EVIDENCE}: no cell holds a value"
    return f"{NO_EVIDENCE}: every cell holds the same value"


def titled(heatmap: Heatmap, images: int) -> str:
    """The method of a map and, of so many images and their tiles, which it lies on."""
    return " · ".join(filter(None, (method_name(heatmap.method), place(heatmap.grid, images))))


def claim(heatmap: Heatmap) -> str:
    """What a map of attention shows, never why the model answered; nothing is claimed for other maps."""
    return "where the model looked" if "attention" in heatmap.unit else ""


def aggregation(maps: Heatmaps, heatmap: Heatmap, *, swept: bool = False) -> str:
    """Which layer and head a map shows, or how it combines them; empty where there was one of each.

    Args:
        maps: What the method measured.
        heatmap: The map.
        swept: Whether it is one of several layers that stand side by side.
    """
    layer = "by layer" if swept else heatmap.layer
    fixed = [f"{axis} {at}" for axis, at in (("layer", layer), ("head", heatmap.head)) if at is not None]
    layers = ("layers", maps.reduce[1], heatmap.layer is None and maps.values.shape[1] > 1)
    heads = ("heads", maps.reduce[2], heatmap.head is None and maps.values.shape[2] > 1)
    combined = [(axis, how) for axis, how, several in (layers, heads) if several]
    if len({how for _, how in combined}) == 1:
        return ", ".join([*fixed, f"{combined[0][1]} over {' and '.join(axis for axis, _ in combined)}"])
    return ", ".join([*fixed, *(f"{how} over {axis}" for axis, how in combined)])


def probability(answer: Answer, target: Target) -> float:
    """Probability of a part of the answer given what stands before it, 0 to 1.

    Raises:
        TargetError: It is a part of the question, which has none.
    """
    return math.exp(float(answer.logprobs[list(answered(target).tokens)].sum(dtype=np.float64)))


def part(answer: Answer, target: Target) -> str:
    """What to call a part of the answer, or of the question, on a label."""
    # Counted first: to list what was spoken for each of thousands of tokens takes minutes.
    starts, stops = answer.offsets.T
    spoken = len(target.tokens) == int((stops > starts).sum()) and target.tokens == answer.spoken
    whole = spoken and not target.foil
    return WHOLE if whole else f"{target.text.strip()}{_where(target)}"


def quoted(target: Target) -> str:
    """A part of the answer or of the question as it stands in a sentence.

    >>> quoted(Target(tokens=(-4,), text="nodule")), quoted(Target(tokens=(0,), text="yes"))
    ('“nodule” (in the question)', '“yes”')
    """
    return f"“{target.text.strip()}”{_where(target)}"


def _where(target: Target) -> str:
    return " (in the question)" if target.in_question else ""


def percent(share: float) -> str:
    """A probability as a percentage with no more digits than it deserves.

    >>> percent(0.9731), percent(0.00002), percent(0.9999)
    ('97%', '< 1%', '> 99%')
    """
    if share < 0.01:
        return "< 1%"
    return "> 99%" if 0.99 < share < 1.0 else f"{100 * share:.0f}%"


def emphasis(answer: Answer, targets: Iterable[Target]) -> list[tuple[str, bool]]:
    """The answer's text in stretches, each with whether it belongs to one of the targets."""
    explained = np.zeros(len(answer.text), dtype=bool)
    for token in {token for target in targets for token in target.tokens if not target.in_question}:
        start, stop = answer.offsets[token]
        explained[start:stop] = True
    groups = groupby(zip(answer.text, explained.tolist(), strict=True), key=lambda pair: pair[1])
    return [("".join(letter for letter, _ in group), bold) for bold, group in groups]


def pieces(answer: Answer, target: Target) -> list[Target]:
    """The words of a part of the answer, each as a target of its own; its tokens when it is a single word."""
    if target.in_question:
        return []
    words = [] if target.foil else list(_words(answer, target))
    if len(words) > 1:
        return words
    several = len(target.tokens) > 1 and not target.foil
    return [find(answer, index) for index in target.tokens] if several else []


def legend(
    source_images: Sequence[SourceImage],
    heatmaps: Iterable[Heatmap],
    *,
    percentages: str = PERCENTAGES,
    smooth: bool = False,
    contours: bool = False,
) -> list[str]:
    """How to read these maps over their images, sentence by sentence.

    Args:
        source_images: The images that the maps lie on.
        heatmaps: What is shown.
        percentages: What the percentages beside the maps are; empty where there are none.
        smooth: Whether values are interpolated between cells.
        contours: Whether contours known from elsewhere are drawn.
    """
    shown = list(heatmaps)
    told = [heatmap for heatmap in shown if heatmap.has_evidence]
    sentences = [*([NOT_WHY] if of_attention(shown) else []), *cautions(shown), *filter(None, [percentages])]
    if told:
        sentences += _reading(told, smooth=smooth)
        sentences += [SMOOTH] if smooth else []
    sentences += [REFERENCE] if contours else []
    hatched = [one for one in told if _partly_unseen(one, source_images[one.grid.image])]
    # What one tile leaves out, the model may have seen in another.
    if any(heatmap.grid.label for heatmap in hatched):
        sentences.append("Hatched: not covered by this map.")
    elif any(map(interrupted, hatched)):
        sentences.append("Hatched: not measured, or not seen by the model.")
    elif hatched:
        sentences.append("Hatched: not seen by the model.")
    return sentences


def of_attention(heatmaps: Iterable[Heatmap]) -> bool:
    """Whether attention is among what is shown, weighted or not."""
    return any("attention" in f"{heatmap.method} {heatmap.unit}" for heatmap in heatmaps)


def _reading(told: Sequence[Heatmap], *, smooth: bool) -> list[str]:
    signs = {heatmap.signed for heatmap in told}
    start = " or ".join(name for name, signed in (("the low end", False), ("zero", True)) if signed in signs)
    sentences = [f"Opacity rises from 0 at {start} to {OPACITY * 100:.0f}% at the end of the scale."]
    lined = {heatmap.signed for heatmap in told if outlined(heatmap)}
    if lined:
        dashed = ", dashed where negative" if True in lined else ""
        what = "what lies" if smooth else "cells"
        sentences.append(f"Outlined: {what} at {OUTLINE * 100:.0f}% of the scale or more{dashed}.")
    return sentences


def _partly_unseen(heatmap: Heatmap, source_image: SourceImage) -> bool:
    """Whether some of the image lies outside the cells that hold a value, and is hatched."""
    (top, left), (bottom, right) = apply(heatmap.grid.to_source, np.array([[0.0, 0.0], heatmap.values.shape]))
    beyond = (
        top > 0.5 or left > 0.5 or bottom < source_image.shape[0] - 0.5 or right < source_image.shape[1] - 0.5
    )
    return bool(beyond or np.isnan(heatmap.values).any())


def describe(heatmap: Heatmap, images: int = 1) -> str:
    """A map in words, for those who cannot see it: what it is of, and where it is strongest.

    Args:
        heatmap: The map.
        images: How many images there are.
    """
    name = f"{method_name(heatmap.method)} for {quoted(heatmap.target)}"
    name = " on ".join(filter(None, (name, place(heatmap.grid, images))))
    if nothing := no_evidence(heatmap):
        return f"{name}: {nothing}."
    size = np.abs(heatmap.values) if heatmap.signed else heatmap.values
    row, col = np.unravel_index(np.nanargmax(np.where(np.isfinite(size), size, np.nan)), size.shape)
    where = f"row {row + 1} of {size.shape[0]}, column {col + 1} of {size.shape[1]}"
    steps, error = interrupted(heatmap), uncertainty(heatmap)
    also = [f"interrupted after {steps}" if steps else "", error]
    found = f"strongest at {where}, {heatmap.values[row, col]:.3g} {heatmap.unit}"
    return f"{name}: {'; '.join([found, *filter(None, also)])}."


def by_layer(maps: Iterable[Heatmap]) -> bool:
    """Whether a row of maps shows one target layer by layer."""
    return len({heatmap.layer for heatmap in maps}) > 1


def layer_name(heatmap: Heatmap) -> str:
    """What to call the layer of a map: its place in the model where the method says so.

    >>> import groundviz
    >>> explanation = groundviz.explain("demo", np.zeros((112, 112), np.uint8), "Is there a nodule?")
    >>> layer_name(explanation.heatmap("attention", layer=2))
    'layer 2'
    """
    sites = heatmap.params.get("sites", ())
    if heatmap.layer is None or heatmap.layer >= len(sites):
        return f"layer {heatmap.layer}"
    return str(sites[heatmap.layer]).replace(".", " ")


def undrawn(record: Record, shown: Iterable[Heatmap]) -> list[str]:
    """How many of the maps of each method are drawn, where these are not all there are."""
    grids: dict[str, set[int]] = {}
    for heatmap in shown:
        grids.setdefault(heatmap.method, set()).add(id(heatmap.grid))
    counts = [
        (method, len(drawn), sum(maps.method == method for maps in record.heatmaps))
        for method, drawn in grids.items()
    ]
    return [
        f"{method_name(method)}: {drawn} of {count} maps {'is' if drawn == 1 else 'are'} drawn."
        for method, drawn, count in counts
        if drawn < count
    ]


def maps_of(record: Record, method: str) -> Heatmaps:
    """What one method measured in a record, on its first grid."""
    return next(maps for maps in record.heatmaps if maps.method == method)


def _words(answer: Answer, target: Target) -> Iterator[Target]:
    own = np.array(target.tokens)
    starts, stops = answer.offsets[own].T
    first, last = int(starts.min()), int(stops.max())
    # No word crosses a space, so none beyond the nearest ones can be the target's.
    while first and not answer.text[first - 1].isspace():
        first -= 1
    while last < len(answer.text) and not answer.text[last].isspace():
        last += 1
    for word in _WORD.finditer(answer.text, first, last):
        tokens = own[(starts < word.end()) & (stops > word.start())]
        if tokens.size:
            yield Target(tokens=tuple(tokens.tolist()), text=word.group())
