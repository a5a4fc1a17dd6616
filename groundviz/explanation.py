"""What the user holds: one question, one answer, and every map made of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundviz.record import files, selection, store, tiles
from groundviz.record.evidence import Evidence
from groundviz.record.exports.numbers import InNumbers
from groundviz.record.selection import Layer, Selection
from groundviz.record.targets import Named
from groundviz.record.tiles import Tile
from groundviz.record.types import Answer, Heatmap, Record, SourceImage
from groundviz.render.base import cards as cards
from groundviz.render.base import embedding, summary
from groundviz.render.base.colour import OPACITY, Rule
from groundviz.render.base.contours import Contours, lines, outlines
from groundviz.render.figures import figure as drawing
from groundviz.render.figures.animation import InMotion
from groundviz.render.figures.charts import Charts
from groundviz.render.figures.columns import Look
from groundviz.render.figures.file import PaperFigure
from groundviz.render.figures.styles import Style
from groundviz.render.live.loading import live_viewer
from groundviz.render.pages import html

if TYPE_CHECKING:
    from groundviz.images import Source
    from groundviz.render.live.widget import GroundViewer


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Explanation(InNumbers, InMotion):
    """One answer of a model with the maps of where it looked; needs neither the model nor torch.

    In a notebook it shows itself in an interactive viewer that outlives the kernel. `view()` is the
    same viewer tied to Python, `figure()` draws it for a paper, `heatmap()` gives the raw numbers,
    `to_dataframe()`, `to_xarray()` and `export()` hand them on, `add()` measures more, `save()` keeps it
    and `groundviz.open()` brings it back.

    Attributes:
        record: Everything that is known, as `groundviz.record.types.Record`.

    >>> import groundviz
    >>> from groundviz.demo.phantoms import phantom
    >>> chest = phantom(3, findings=["nodule"])
    >>> explanation = groundviz.explain("demo", chest.pixels, "Is there a nodule?")
    >>> explanation.methods
    ('attention', 'gradient_attention')
    >>> explanation.figure(methods="attention").caption[:27]
    'Where the model looked when'
    """

    record: Record

    @classmethod
    def from_record(cls, record: Record) -> Explanation:
        """The explanation that a record holds."""
        return cls(record)

    @property
    def question(self) -> str:
        """What the model was asked."""
        return self.record.prompt.question

    @property
    def answer(self) -> Answer:
        """What the model answered, token by token, with log-probabilities."""
        return self.record.answer

    @property
    def tokens(self) -> tuple[str, ...]:
        """The answer's tokens as text; `answer.logprobs` has their log-probabilities."""
        return self.record.answer.tokens

    @property
    def source_image(self) -> SourceImage:
        """The image, as the model and the reader see it; the first where there are several."""
        return self.record.source_image

    @property
    def source_images(self) -> tuple[SourceImage, ...]:
        """All images that were asked about, in the order they were given."""
        return self.record.source_images

    @property
    def evidence(self) -> Evidence:
        """Whether the maps are to be believed, as far as that was checked: `print(explanation.evidence)`."""
        return Evidence(self.record)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods that made maps, the default first."""
        return selection.methods(self.record)

    def heatmap(
        self,
        method: str | None = None,
        target: Named | None = None,
        *,
        image: int = 0,
        tile: Tile | None = None,
        layer: int | None = None,
        head: int | None = None,
    ) -> Heatmap:
        """One raw map on the model's token grid.

        Args:
            method: One of `methods`; None for the first.
            target: Part of the answer by text, `Phrase`, `Sentence`, token index or token range
                [start, stop), or how a contrast reads; None for what was explained first.
            image: Which image the map lies on, counted from 0.
            tile: For a model that cuts images into tiles: the label of one, such as "overview", or
                its number, from 0 in the order of `heatmaps`; None for the first.
            layer: One layer, or None to combine all as the method says.
            head: One attention head, or None to combine all.

        Raises:
            UnknownName: The record holds no maps of that method, or none of that image or tile.
            TargetError: The answer has no such part, or it, the layer or the head was not measured.
        """
        goal = selection.target(self.record, target)
        maps = tiles.choose(selection.measured(self.record, method), image, tile)
        return maps[0].at(goal, layer=layer, head=head)

    def heatmaps(
        self,
        method: str | None = None,
        target: Named | None = None,
        *,
        layer: int | None = None,
        head: int | None = None,
    ) -> tuple[Heatmap, ...]:
        """The raw maps of all images and tiles, image by image; `heatmap.grid` says which is which.

        Args:
            method: As in `heatmap`.
            target: As in `heatmap`.
            layer: As in `heatmap`.
            head: As in `heatmap`.

        Raises:
            UnknownName: The record holds no maps of that method.
            TargetError: As in `heatmap`.
        """
        goal = selection.target(self.record, target)
        maps = tiles.choose(selection.measured(self.record, method))
        return tuple(one.at(goal, layer=layer, head=head) for one in maps)

    def figure(
        self,
        targets: Named | list[Named] | None = None,
        methods: str | list[str] | None = None,
        *,
        style: Style = "grid",
        width: drawing.Width = "double",
        smooth: bool = False,
        image: int | None = None,
        tile: Tile | None = None,
        layer: Layer = None,
        head: int | None = None,
        contours: Contours | None = None,
        scale: Rule = "root",
        colours: str | None = None,
        opacity: float = OPACITY,
        header: bool = True,
        legend: bool = True,
    ) -> PaperFigure:
        """A figure for a paper: the image beside its maps, a row per method, a panel per target.

        Where there are several images, or tiles of one, each has a row of its own. A contrast stands
        beside its target alone where the method measured both.

        Args:
            targets: One part of the answer, or a list of them, as in `heatmap`; None for what the
                style shows unasked.
            methods: One method, or a list; None for all.
            style: "grid" shows what was explained and as many of its first words as fit. "words" shows
                each word that names something over its sentence. "findings" shows each sentence of a
                report, or each clause of a single one, as a strip. "llava_rad" shows attention word by
                word as LLaVA-Rad's figures do; it is a reconstruction, and says so.
            width: "single" (89 mm), "onehalf" (120 mm), "double" (183 mm), or millimetres.
            smooth: Interpolate values between cell centres instead of showing the model's cells;
                "llava_rad" always does.
            image: Which image to draw, counted from 0; None for all.
            tile: Which tile to draw, as in `heatmap`; None for all, or for the first of an image that
                has more than four.
            layer: As in `heatmap`, or "each" for a row of all layers.
            head: As in `heatmap`.
            contours: What is known from elsewhere, drawn on every panel of its image: a bool mask of the
                image or several (mask, row, col), a box (top, left, bottom, right) in its pixels or
                several, or a table of these by the number of the image.
            scale: "root", "linear" or "log": what of a value its colour follows, on one scale from zero to
                the highest value for all maps of a unit; "each" for every map its own.
            colours: One of `groundviz.render.base.colour.COLOURS`; None for those that were measured to
                stand out over any tissue.
            opacity: How much of the image is covered where a map is strongest.
            header: Whether question and answer stand above the maps.
            legend: Whether the lines on how to read the maps stand under them; what to beware of in an
                image stays.

        Raises:
            UnknownName: There is no such width, style, scale or colours, or the record holds no maps of
                such a method, image or tile.
            OptionError: The opacity is not above 0 to 1.
            TargetError: As in `heatmap`, or there is nothing to draw, or too much for one figure.
            ImageError: The contours do not fit the image.
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
        if methods is None and style == "llava_rad":
            methods = "attention"
        chosen = Selection(methods=methods, image=image, tile=tile, layer=layer, head=head)
        known = lines(contours, self.source_images, image)
        part = drawing.part_of(self.record, targets, chosen, style, width, contours=known)
        return drawing.compose([part], look, width=width)

    @property
    def charts(self) -> Charts:
        """Interactive plotly charts: `charts.heads()` of layers and heads, `charts.layers()` of layers."""
        return Charts(self.record)

    def to_html(self, path: str | os.PathLike[str] | None = None, *, contours: Contours | None = None) -> str:
        """A self-contained page: the interactive viewer, every token with its maps, checks and origin.

        The page loads nothing from anywhere and, where no script may run, shows images. It contains
        the image. It is written to `path` as well, if one is given.

        Args:
            path: Where to write it.
            contours: What is known from elsewhere, as in `figure`, or a table of it by name, such as
                {"nodule": mask}: drawn on every panel, and each word's map is compared with it.

        Raises:
            StoreError: The file cannot be written there.
            ImageError: The contours do not fit the image.
        """
        known = outlines(contours, self.source_images)
        shown = Explanation(embedding.embedded(self.record))
        text = html.page([self.record], [shown.figure(contours=contours)], known=known)
        if path is not None:
            files.write(path, text.encode())
        return text

    def to_dicom(
        self,
        path: str | os.PathLike[str],
        original: Source,
        method: str | None = None,
        target: Named | None = None,
        *,
        frame: int | None = None,
        overwrite: bool = False,
        **which: Any,
    ) -> Path:
        """Write one map as a DICOM object of the exam that the image belongs to: see the page "DICOM out".

        A name that ends in `.gsps.dcm` gives the outlines of the map, as a presentation state that a viewer
        lays over the original; any other that ends in `.dcm` the image under the map, as a secondary capture.
        **The file names the patient**: patient and study are copied from the original, which is not kept.

        Args:
            path: Where to write it.
            original: The DICOM file that was explained: a path, its bytes, or a pydicom data set. Its pixels
                must be those that were explained.
            method: As in `heatmap`.
            target: As in `heatmap`.
            frame: Which of several frames was explained, counted from 0.
            overwrite: Whether a file of that name may be replaced; the original never is.
            which: The image, tile, layer or head, as in `heatmap`.

        Raises:
            UnknownName: The name says no kind of DICOM file; or as in `heatmap`.
            TargetError: As in `heatmap`, or the map has no outlines.
            ImageError: The original is another image, no DICOM file, or one that nothing can refer to.
            StoreError: A file of that name exists and `overwrite` is False, it is the original, or it cannot
                be written.
            MissingExtra: highdicom is not installed.
        """
        # Only here: few have DICOM files.
        from groundviz.dicom_out import writing

        heatmap = self.heatmap(method, target, **which)
        return writing.export(self.record, heatmap, path, original, frame=frame, overwrite=overwrite)

    def view(
        self, model: Any = None, *, processor: Any = None, contours: Contours | None = None, **state: Any
    ) -> GroundViewer:
        """The interactive viewer as a live widget, for a notebook with its kernel.

        What is chosen in it can be read and watched here, and what is assigned here is shown there:
        `viewer.selected`, `viewer.layer`, `viewer.observe(react, "selected")`. A saved notebook keeps a
        snapshot of it that works without a kernel.

        With the model, methods that were not measured yet can be asked for in the viewer, and its maps put
        to the test; `viewer.explanation` then holds what was found. `groundviz.explain_more` and
        `groundviz.challenge` do so without a viewer.

        Args:
            model: The model that answered, as `groundviz.explain` takes it; None to measure no more.
            processor: The model's processor, when it does not lie beside its weights.
            contours: What is known from elsewhere, as in `to_html`.
            state: What to show first, by the names of `groundviz.render.live.widget.GroundViewer`.

        Raises:
            MissingExtra: anywidget is not installed.
            UnsupportedModel: It is not the model that answered.
            ImageError: The contours do not fit the image.
        """
        side = html.Side("", self.record, outlines(contours, self.source_images))
        if model is not None:
            # Only here: without a model nothing needs torch.
            from groundviz.evidence.running.on_demand import OnDemand

            state["more"] = OnDemand.of(self.record, model, processor)
        return live_viewer()([side], explanation=self, **state)

    def add(
        self,
        model: Any,
        methods: str | Iterable[str] | Mapping[str, Mapping[str, Any]],
        *,
        processor: Any = None,
        tell: Callable[[str, int, int], object] | None = None,
    ) -> Explanation:
        """Another explanation with further methods; this one stays as it is. See `groundviz.explain_more`.

        Args:
            model: The model that answered, as `groundviz.explain` takes it.
            methods: Names of methods, or a table of names and their options.
            processor: The model's processor, when it does not lie beside its weights.
            tell: Called with how far the work has come, as in `groundviz.explain_more`.

        Raises:
            UnsupportedModel: It is not the model that answered.
            GroundvizError: A method's name will not do, or a method refuses.
            KeyboardInterrupt: Nothing was measured before the interruption.
        """
        # Only here: without a model nothing needs torch.
        from groundviz.methods.running.more import named_more

        return Explanation(named_more(self.record, model, methods, processor=processor, tell=tell))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write everything to one .gvz file, which `groundviz.open` opens without the model.

        The file contains the image.

        Raises:
            StoreError: A file of that name exists and `overwrite` is False, or it cannot be written.
        """
        return store.write(self.record, path, overwrite=overwrite)

    def __str__(self) -> str:
        return summary.of(self.record)

    def __repr__(self) -> str:
        return f"<Explanation: {self}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook keeps: the viewer over static HTML, an image and a line; no widget.

        So it outlives the kernel, and where scripts may not run the images stay. `groundviz.options`
        says whether all of these are kept.
        """
        shown = Explanation(embedding.embedded(self.record))
        return embedding.bundle(
            repr(self), lambda: html.fragment(self.record), lambda: shown.figure().preview()
        )


def open(path: str | os.PathLike[str]) -> Explanation:
    """Bring back an explanation that `save` wrote, on any machine, without model or torch.

    Raises:
        StoreError: There is no such file, or it is damaged, too new, or not a record.

    >>> import groundviz, pathlib, tempfile
    >>> from groundviz.demo.phantoms import phantom
    >>> chest = phantom(3, findings=["nodule"])
    >>> explanation = groundviz.explain("demo", chest.pixels, "Is there a nodule?")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = explanation.save(pathlib.Path(folder) / "case.gvz")
    ...     groundviz.open(saved).answer.text
    'yes'
    """
    return Explanation.from_record(store.read(path))
