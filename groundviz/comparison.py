"""Several explanations side by side: two models, two questions, prior and current image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from groundviz.errors import TargetError
from groundviz.explanation import Explanation
from groundviz.record import files
from groundviz.record.selection import Layer, Selection
from groundviz.record.targets import Named
from groundviz.render.base import captions, embedding, escape
from groundviz.render.base.colour import OPACITY, Rule
from groundviz.render.base.contours import Contours, lines, outlines
from groundviz.render.figures import figure as drawing
from groundviz.render.figures.columns import Look
from groundviz.render.figures.file import PaperFigure
from groundviz.render.figures.styles import Style
from groundviz.render.live.loading import live_viewer
from groundviz.render.pages import html

if TYPE_CHECKING:
    from groundviz.render.live.widget import GroundViewer

_LETTERS = 26
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Comparison:
    """Explanations in one viewer.

    Method, layer, scale, window and zoom move together, and so do words that all answers hold. Each keeps
    scales of its own, which stand under its maps: colours of different models do not say which looked
    harder.

    Attributes:
        explanations: What is compared, from left to right.
        names: What each is called.
        contours: What is known from elsewhere about each, as in `Explanation.figure`, or None.
    """

    explanations: tuple[Explanation, ...]
    names: tuple[str, ...]
    contours: tuple[Contours | None, ...]

    def figure(self, *args: Any, **options: Any) -> PaperFigure:
        """The same as a figure for a paper; arguments as in `groundviz.figure`."""
        given = {"names": self.names, "contours": list(self.contours), **options}
        return figure(self.explanations, *args, **given)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """A self-contained page, as `Explanation.to_html` makes it; it contains the images.

        Raises:
            StoreError: The file cannot be written there.
        """
        text = html.comparison(self._sides(), self._shown().figure())
        if path is not None:
            files.write(path, text.encode())
        return text

    def view(self, **state: Any) -> GroundViewer:
        """The viewer as a live widget; what is chosen in it and known in Python is that of the first.

        Args:
            state: What to show first, by the names of `groundviz.render.live.widget.GroundViewer`.

        Raises:
            MissingExtra: anywidget is not installed.
        """
        return live_viewer()(self._sides(), **state)

    def __repr__(self) -> str:
        return escape.visible(f"<Comparison: {', '.join(map(self._told, self.names, self.explanations))}>")

    @staticmethod
    def _told(name: str, one: Explanation) -> str:
        """A name, with what is known of the answer, and what is not whole of what it names."""
        _, needs_image, _ = one.evidence.facts()
        return f"{name} [{'; '.join([': '.join(needs_image), *captions.beware(one.record)])}]"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook keeps: the viewer over static HTML, an image and a line; no widget."""
        sides = self._sides()
        page = partial(html.comparison_fragment, sides)
        return embedding.bundle(repr(self), page, lambda: self._shown().figure().preview())

    def _shown(self) -> Comparison:
        """The same with as much of the images as may leave."""
        shown = tuple(Explanation(embedding.embedded(one.record)) for one in self.explanations)
        return replace(self, explanations=shown)

    def _sides(self) -> list[html.Side]:
        return [
            html.Side(name, one.record, outlines(contours, one.source_images))
            for name, one, contours in zip(self.names, self.explanations, self.contours, strict=True)
        ]


def compare(
    explanations: Sequence[Explanation],
    *,
    names: Sequence[str] | None = None,
    contours: Contours | list[Any] | None = None,
) -> Comparison:
    """Put explanations side by side in one viewer.

    Args:
        explanations: At least two, from left to right.
        names: What to call each; their labels, or "A", "B" and so on, when None.
        contours: What is known from elsewhere, as in `Explanation.to_html`, for all explanations; or a
            list with one entry for each.

    Raises:
        TargetError: There are fewer than two explanations, another number of names or contours, or a name
            that is too long.
        ImageError: The contours do not fit an image.

    >>> import groundviz
    >>> from groundviz.demo.phantoms import phantom
    >>> prior, current = (phantom(3, findings=found).pixels for found in ([], ["nodule"]))
    >>> both = [groundviz.explain("demo", one, "Is there a nodule?") for one in (prior, current)]
    >>> groundviz.compare(both, names=["Prior", "Current"])
    <Comparison: Prior [needs the image: no], Current [needs the image: yes]>
    """
    if not all(isinstance(one, Explanation) for one in _listed(explanations)):
        raise TargetError(
            f"There is nothing to compare: found {type(explanations).__name__}, expected a list of "
            "explanations as `groundviz.explain` returns them. Give at least two."
        )
    count = len(explanations)
    called = _names(explanations) if names is None else list(names)
    known: list[Any] = contours if isinstance(contours, list) else [contours] * count
    if count < 2 or not count == len(called) == len(known):
        raise TargetError(
            f"These explanations cannot be compared: there are {count} of them, {len(called)} names and "
            f"{len(known)} contours. Give at least two explanations, with a name and contours for each."
        )
    if not all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in called):
        raise TargetError(
            f"These names cannot be shown: one is no text, or longer than {LONGEST_NAME} characters. "
            "Give short ones."
        )
    made = Comparison(tuple(explanations), tuple(called), tuple(known))
    made._sides()  # So that contours that do not fit are refused here.
    return made


def figure(
    explanations: Sequence[Explanation],
    targets: Named | list[Named] | None = None,
    methods: str | list[str] | None = None,
    *,
    names: Sequence[str] | None = None,
    style: Style = "grid",
    width: drawing.Width = "double",
    smooth: bool = False,
    layer: Layer = None,
    head: int | None = None,
    contours: Contours | list[Any] | None = None,
    scale: Rule = "root",
    colours: str | None = None,
    opacity: float = OPACITY,
    header: bool = True,
    legend: bool = True,
) -> PaperFigure:
    """A figure of several explanations side by side: two models, two questions, prior and current.

    Maps of one unit share a scale where one model made them; different models have scales of
    their own.

    Args:
        explanations: What to draw, from left to right.
        targets: As in `Explanation.figure`, found in each answer.
        methods: One method, or a list; None for those that all explanations hold.
        names: What to call each explanation; their labels when None.
        style: As in `Explanation.figure`.
        width: As in `Explanation.figure`.
        smooth: As in `Explanation.figure`.
        layer: As in `Explanation.figure`.
        head: As in `Explanation.figure`.
        contours: As in `Explanation.figure`, for all explanations; or a list with one entry for each.
        scale: As in `Explanation.figure`.
        colours: As in `Explanation.figure`.
        opacity: As in `Explanation.figure`.
        header: As in `Explanation.figure`.
        legend: As in `Explanation.figure`.

    Raises:
        UnknownName: As in `Explanation.figure`.
        TargetError: As in `Explanation.figure`; or there is no explanation or method to draw, or another
            number of names or contours than of explanations.
        ImageError: The contours do not fit an image.

    >>> import groundviz
    >>> from groundviz.demo.phantoms import phantom
    >>> prior, current = (phantom(3, findings=found).pixels for found in ([], ["nodule"]))
    >>> both = [groundviz.explain("demo", one, "Is there a nodule?") for one in (prior, current)]
    >>> groundviz.figure(both, methods="attention", names=["Prior", "Current"]).caption[:10]
    '(a) Prior:'
    """
    look = Look(
        style=style,
        interpolated=smooth,
        rule=scale,
        colours=colours,
        opacity=opacity,
        header=header,
        legend=legend,
    )
    held = [one.methods for one in explanations]
    if methods is None:
        methods = [name for name in (held[0] if held else ()) if all(name in one for one in held)]
    chosen = Selection(methods=methods, layer=layer, head=head)
    count = len(explanations)
    each: list[Any] = contours if isinstance(contours, list) else [contours] * count
    called = [one.record.label for one in explanations] if names is None else list(names)
    if not count or not methods or not count == len(called) == len(each):
        raise TargetError(
            f"These explanations cannot be drawn together: there are {count} of them with "
            f"{len(methods)} methods in common, {len(called)} names and {len(each)} contours. "
            "Give at least one explanation, with methods that all hold, and a name and contours for each."
        )
    parts = []
    for one, known, name in zip(explanations, each, called, strict=True):
        drawn = lines(known, one.source_images, chosen.image)
        part = drawing.part_of(
            one.record, targets, chosen, style, width, contours=drawn, name=name, parts=count
        )
        parts.append(part)
    return drawing.compose(parts, look, width=width)


def _listed(given: object) -> list[object]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _names(explanations: Sequence[Explanation]) -> list[str]:
    """The label of each, or a letter; a label that several share gets its letter, too."""
    labels = [one.record.label for one in explanations]
    letters = [chr(ord("A") + at) if at < _LETTERS else str(at + 1) for at in range(len(labels))]
    return [
        f"{label} ({letter})" if labels.count(label) > 1 and label else label or letter
        for label, letter in zip(labels, letters, strict=True)
    ]
