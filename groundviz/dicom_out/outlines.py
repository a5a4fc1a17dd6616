"""The outlines of a map as a DICOM presentation state: lines over the original, which stays as it is.

Coordinates are those of DICOM PS3.3 C.10.5: column and row, from 0 at the upper left corner of the first
pixel to the numbers of columns and rows at the lower right corner of the last. So are a record's, row first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groundviz.dicom_out import made
from groundviz.dicom_out.original import Original
from groundviz.errors import ImageError, TargetError
from groundviz.images.base.window import Table
from groundviz.record.geometry import apply
from groundviz.record.mass import heaviest
from groundviz.record.types import Doubles, Heatmap, Record, SourceImage
from groundviz.render.base import captions, checked, colour
from groundviz.render.base.escape import visible
from groundviz.render.base.overlay import MOST_OUTLINED, OUTLINED, loops, outlined
from groundviz.render.figures.capture import shows

if TYPE_CHECKING:
    from highdicom.pr import (
        GraphicAnnotation,
        GraphicLayer,
        GraphicObject,
        GrayscaleSoftcopyPresentationState,
        SoftcopyVOILUTTransformation,
    )
    from pydicom.dataset import Dataset

_SERIES = 2
_WHITE = 65535
# On a bar of colours, next to zero.
_LOW = 0.001
# Where the words stand: left, top, right and bottom, as shares of what is displayed.
_WORDS_AT = (0.01, 0.88, 0.99, 0.99)
_LONGEST_TEXT, _LONGEST_TARGET = 1024, 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Level:
    """The lines around the fewest cells that hold a share of a map, on one side of zero.

    Attributes:
        share: Above 0 to 1.
        negative: Whether the cells are those below zero.
        lines: float64 (points, 2) each, closed, (column, row) in pixels of the image.
    """

    share: float
    negative: bool
    lines: tuple[Doubles, ...]


def presentation_state(
    record: Record, heatmap: Heatmap, found: Sequence[Level], original: Original
) -> GrayscaleSoftcopyPresentationState:
    """The object: a layer of lines for each share of the map, a layer of words, and the window as explained.

    Args:
        record: What the map is of.
        heatmap: The map.
        found: Its `levels`.
        original: The file of its image, which is grey.
    """
    from highdicom.pr import GrayscaleSoftcopyPresentationState

    reference = made.blank(original)
    layers = [_layer(one, order, heatmap) for order, one in enumerate(found, start=1)]
    words = _word_layer(len(layers) + 1)
    annotations = [
        _annotation(reference, original, layer, graphics=list(map(_graphic, one.lines)))
        for layer, one in zip(layers, found, strict=True)
    ]
    annotations.append(_annotation(reference, original, words, text=_words(record, heatmap)))
    state = GrayscaleSoftcopyPresentationState(
        referenced_images=[reference],
        content_label="WHERE IT LOOKED" if captions.claim(heatmap) else "MAP OUTLINES",
        content_description=made.title(heatmap),
        graphic_annotations=annotations,
        graphic_layers=[*layers, words],
        device_serial_number="",
        **made.equipment(heatmap, _SERIES),
        **_greys(reference, original),
    )
    _frame_alone(state, original)
    _proportions(state, original)
    made.named(state, original)
    return state


def levels(heatmap: Heatmap, original: Original) -> list[Level]:
    """The lines of a map, the widest first, those below zero apart, cut off at the edges of the image.

    Raises:
        ImageError: The image is in colour, for which there is another kind of object.
        TargetError: There are none: the map is the same everywhere, or its cells are too fine.
    """
    if not original.layout.is_grey:
        raise ImageError(
            "Outlines cannot be written for an image in colour: expected a grey one, as a grayscale "
            "presentation state has it. Write a secondary capture: a name that ends in .dcm alone."
        )
    if not outlined(heatmap):
        found = captions.no_evidence(heatmap)
        if not found:
            rows, cols = heatmap.shape
            found = f"it has {rows} x {cols} cells, expected at most {MOST_OUTLINED} along each side"
        raise TargetError(
            f"The map has no outlines to be written: {found}. Choose another method or target, or write a "
            "secondary capture: a name that ends in .dcm alone."
        )
    shown = []
    for share in sorted(OUTLINED, reverse=True):
        cells = heaviest(heatmap.values, share)
        for sign in (1.0, -1.0):
            lines = []
            for line in loops(cells & (sign * heatmap.values > 0)):
                inside = apply(heatmap.grid.to_source, line).clip(0.0, np.array(original.source_image.shape))
                # What lies on padding alone is of no extent here.
                if np.ptp(inside, axis=0).all():
                    lines.append(inside[:, ::-1])
            if lines:
                shown.append(Level(share=share, negative=sign < 0, lines=tuple(lines)))
    if not shown:
        raise TargetError(
            "The map has no outlines to be written: all that is strong in it lies beside the image. "
            "Choose another method or target."
        )
    return shown


def _layer(level: Level, order: int, heatmap: Heatmap) -> GraphicLayer:
    from highdicom.color import CIELabColor
    from highdicom.pr import GraphicLayer

    # As in figures: the colour of the highest value for the inner line, of a low one for the outer.
    position = 1.0 if level.share == OUTLINED[0] else _LOW
    kind = "MAP"
    if heatmap.signed:
        kind = "AGAINST" if level.negative else "FOR"
        position = 0.5 + (-0.5 if level.negative else 0.5) * position
    painted = colour.paint(np.array(position, np.float32), colour.DEFAULTS[heatmap.signed])
    red, green, blue = (255.0 * painted).tolist()
    holds = f"the fewest cells that hold {level.share:.0%} of the map"
    return GraphicLayer(
        layer_name=f"{kind} {100 * level.share:.0f}",
        order=order,
        description=f"{holds}, below zero" if level.negative else holds,
        display_color=CIELabColor.from_rgb(red, green, blue),
    )


def _word_layer(order: int) -> GraphicLayer:
    from highdicom.pr import GraphicLayer

    return GraphicLayer(layer_name="WORDS", order=order, description="what the lines are")


def _graphic(line: Doubles) -> GraphicObject:
    from highdicom.pr import GraphicObject

    return GraphicObject(graphic_type="POLYLINE", graphic_data=line, units="PIXEL")


def _annotation(
    reference: Dataset, original: Original, layer: GraphicLayer, *, graphics: Any = None, text: str = ""
) -> GraphicAnnotation:
    from highdicom.pr import GraphicAnnotation, TextObject

    texts = None
    if text:
        texts = [
            TextObject(text_value=text, units="DISPLAY", bounding_box=_WORDS_AT, text_justification="LEFT")
        ]
    return GraphicAnnotation(
        referenced_images=[reference],
        graphic_layer=layer,
        referenced_frame_number=original.number,
        graphic_objects=graphics,
        text_objects=texts,
    )


def _words(record: Record, heatmap: Heatmap) -> str:
    """What the lines are, how far the map is spread, and whether it is to be believed."""
    held = int(np.isfinite(heatmap.values).sum())
    parts = []
    for share in OUTLINED:
        count = int(heaviest(heatmap.values, share).sum())
        parts.append(f"{share:.0%} of it in {count} of {held} cells")
    of = visible(captions.quoted(heatmap.target))[:_LONGEST_TARGET]
    lines = [
        f"Lines derived by groundviz: {shows(heatmap)}",
        f"{visible(captions.method_name(heatmap.method))} for {of}: {'; '.join(parts)}",
        *map(visible, captions.beware(record, [heatmap.method])),
        *checked.sentences(record, [heatmap.method]),
    ]
    if captions.of_attention([heatmap]):
        lines.append(captions.NOT_WHY)
    (scale,) = colour.scales([heatmap])
    if scale is not None and scale.negligible:
        lines.append(f"The map is {scale.under} everywhere.")
    return "\r\n".join(lines)[:_LONGEST_TEXT]


def _greys(reference: Dataset, original: Original) -> dict[str, Any]:
    """How stored values become greys, as they did for the model: rescaling, window, direction."""
    from highdicom import ModalityLUT, ModalityLUTTransformation, PresentationLUTTransformation

    shades = original.shades
    stored = original.source_image.stored
    unit = "US" if stored is None or not stored.unit else stored.unit
    if shades.modality is not None:
        table = ModalityLUT(unit, shades.modality.first, shades.modality.values.astype(np.uint16))
        modality = ModalityLUTTransformation(modality_lut=table)
    else:
        modality = ModalityLUTTransformation(
            rescale_slope=shades.factor, rescale_intercept=shades.intercept, rescale_type=unit
        )
    shape = "INVERSE" if original.source_image.inverted else "IDENTITY"
    greys: dict[str, Any] = {
        "modality_lut_transformation": modality,
        "presentation_lut_transformation": PresentationLUTTransformation(presentation_lut_shape=shape),
    }
    window = _window(reference, original)
    if window is not None:
        greys["voi_lut_transformations"] = [window]
    return greys


def _window(reference: Dataset, original: Original) -> SoftcopyVOILUTTransformation | None:
    """What was black and what was white; None where that can no longer be told."""
    from highdicom import VOILUT, ReferencedImageSequence
    from highdicom.pr import SoftcopyVOILUTTransformation

    image, shades = original.source_image, original.shades
    referenced = None
    if original.number is not None:
        referenced = ReferencedImageSequence([reference], referenced_frame_number=original.number)
    if image.window is not None:
        centre, width = image.window
        function = shades.function
    elif shades.voi is not None:
        table = VOILUT(shades.voi.first, _levels(shades.voi))
        return SoftcopyVOILUTTransformation(voi_luts=[table], referenced_images=referenced)
    else:
        ends = shown_range(image)
        if ends is None:
            return None
        centre, width, function = (ends[0] + ends[1]) / 2, ends[1] - ends[0], "LINEAR_EXACT"
    return SoftcopyVOILUTTransformation(
        window_center=centre, window_width=width, voi_lut_function=function, referenced_images=referenced
    )


def _levels(table: Table) -> Any:
    """The outputs of a table over all of 16 bits."""
    return np.rint(table.values.astype(np.float64) / table.top * _WHITE).astype(np.uint16)


def shown_range(image: SourceImage) -> tuple[float, float] | None:
    """The values that an image without a window shows black and white, or white and black; the lower first.

    They follow from two of its greys, as values lie on a straight line between the ends. None where it shows
    no two greys, or its stored values were not kept.
    """
    if image.stored is None:
        return None
    greys = image.pixels
    between = np.flatnonzero((greys > 0.0) & (greys < 1.0))
    if not between.size:
        return None
    one, other = between[greys.flat[between].argmin()], between[greys.flat[between].argmax()]
    first, second = (
        image.stored.low + image.stored.step * int(image.stored.codes.flat[at]) for at in (one, other)
    )
    if first == second:
        return None
    dark, bright = float(greys.flat[one]), float(greys.flat[other])
    per_grey = (second - first) / (bright - dark)
    ends = first - dark * per_grey, first + (1.0 - dark) * per_grey
    # Greys are float32: of the width between the ends, no more than six digits are known.
    digits = 6 - math.ceil(math.log10(abs(per_grey)))
    return round(min(ends), digits), round(max(ends), digits)


def _frame_alone(state: Dataset, original: Original) -> None:
    """Refer to the frame that was explained, where there are several."""
    if original.number is not None:
        for series in state.ReferencedSeriesSequence:
            for image in series.ReferencedImageSequence:
                image.ReferencedFrameNumber = original.number


def _proportions(state: Dataset, original: Original) -> None:
    """The shape of pixels that are not square."""
    spacing = original.source_image.spacing_mm
    if spacing is None or spacing[0] == spacing[1]:
        return
    for area in state.DisplayedAreaSelectionSequence:
        if original.source_image.spacing_from == "PixelAspectRatio":
            area.PresentationPixelAspectRatio = [round(one) for one in spacing]
        else:
            del area.PresentationPixelAspectRatio
            area.PresentationPixelSpacing = list(spacing)
