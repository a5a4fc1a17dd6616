"""What the user holds: one question, one answer, and every map made of it."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from groundviz import files, store, tiles
from groundviz.errors import UnknownName
from groundviz.render import escape, figure, html, words
from groundviz.render.paper import PaperFigure
from groundviz.targets import Named, find
from groundviz.tiles import Tile
from groundviz.types import Answer, Heatmap, Heatmaps, Record, Study, Target


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Explanation:
    """One answer of a model with the maps of where it looked; needs neither the model nor torch.

    In a notebook it shows itself as static HTML. `figure()` draws it for a paper, `heatmap()`
    gives the raw numbers, `save()` keeps it and `groundviz.open()` brings it back.

    Attributes:
        record: Everything that is known, as `groundviz.types.Record`.

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
        """What the model said, token by token, with log-probabilities."""
        return self.record.answer

    @property
    def tokens(self) -> tuple[str, ...]:
        """The answer's tokens as text; `answer.logprobs` has their log-probabilities."""
        return self.record.answer.tokens

    @property
    def study(self) -> Study:
        """The image, as the model and the reader see it; the first where there are several."""
        return self.record.study

    @property
    def studies(self) -> tuple[Study, ...]:
        """All images that were asked about, in the order they were given."""
        return self.record.studies

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods that made maps, the default first."""
        return tuple(dict.fromkeys(maps.method for maps in self.record.heatmaps))

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
        goal = self.record.target if target is None else self._target(target)
        return tiles.choose(self._maps(method), image, tile)[0].at(goal, layer=layer, head=head)

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
        goal = self.record.target if target is None else self._target(target)
        return tuple(maps.at(goal, layer=layer, head=head) for maps in tiles.choose(self._maps(method)))

    def figure(
        self,
        targets: Named | list[Named] | None = None,
        methods: str | list[str] | None = None,
        *,
        width: figure.Width = "double",
        smooth: bool = False,
        image: int | None = None,
        tile: Tile | None = None,
        layer: int | None = None,
        head: int | None = None,
    ) -> PaperFigure:
        """A figure for a paper: the image beside its maps, a row per method, a panel per target.

        Where there are several images, or tiles of one, each has a row of its own.

        Args:
            targets: One part of the answer, or a list of them, as in `heatmap`; None for all
                that was explained and as many of its first words as fit.
            methods: One method, or a list; None for all.
            width: "single" (89 mm), "onehalf" (120 mm), "double" (183 mm), or millimetres.
            smooth: Interpolate values between cell centres instead of showing the model's cells.
            image: Which image to draw, counted from 0; None for all.
            tile: Which tile to draw, as in `heatmap`; None for all, or for the first of an image that
                has more than four.
            layer: As in `heatmap`.
            head: As in `heatmap`.

        Raises:
            UnknownName: There is no such width, or the record holds no maps of such a method, image or
                tile.
            TargetError: As in `heatmap`, or there is nothing to draw.
        """
        goals = figure.default_targets(self.record, width)
        if targets is not None:
            named = targets if isinstance(targets, list) else [targets]
            goals = [self._target(one) for one in named]
        if methods is None:
            methods = list(self.methods)
        chosen = [
            maps
            for name in (methods if isinstance(methods, list) else [methods])
            for maps in self._drawn(name, image, tile)
        ]
        # Methods that measure whole targets have no map of each word: what is there is drawn.
        wanted = [[goal for goal in goals if targets is not None or maps.has(goal)] for maps in chosen]
        rows = [
            [maps.at(goal, layer=layer, head=head) for goal in row]
            for maps, row in zip(chosen, wanted, strict=True)
        ]
        return figure.draw(self.record, rows, width=width, smooth=smooth)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """A self-contained page without scripts: every token with its maps, checks and origin.

        The page contains the image. It is written to `path` as well, if one is given.

        Raises:
            StoreError: The file cannot be written there.
        """
        text = html.page([self.record], [self.figure()])
        if path is not None:
            files.write(path, text.encode())
        return text

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write everything to one .gvz file, which `groundviz.open` opens without the model.

        The file contains the image.

        Raises:
            StoreError: A file of that name exists and `overwrite` is False, or it cannot be written.
        """
        return store.write(self.record, path, overwrite=overwrite)

    def __str__(self) -> str:
        sure = words.percent(self.answer.confidence)
        return escape.visible(f"{self.question} {self.answer.text} ({sure}; maps: {', '.join(self.methods)})")

    def __repr__(self) -> str:
        return f"<Explanation: {self}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook keeps: static HTML, a picture and a line, so that it outlives the kernel."""
        return {
            "text/plain": repr(self),
            "text/html": html.fragment(self.record),
            "image/png": base64.b64encode(self.figure().preview()).decode(),
        }

    def _target(self, named: Named | None) -> Target:
        """A part of the answer, or one of the targets that were asked for, by how it reads."""
        asked = {target.text: target for target in self.record.targets if target.rival}
        return asked[named] if isinstance(named, str) and named in asked else find(self.answer, named)

    def _drawn(self, method: str, image: int | None, tile: Tile | None) -> list[Heatmaps]:
        """What a figure shows of a method."""
        chosen = tiles.choose(self._maps(method), image, tile)
        return tiles.drawn(chosen) if tile is None else chosen

    def _maps(self, method: str | None) -> list[Heatmaps]:
        """Everything that a method measured."""
        wanted = self.methods[:1] if method is None else (method,)
        found = [maps for maps in self.record.heatmaps if maps.method in wanted]
        if not found:
            known = ", ".join(self.methods) or "none"
            raise UnknownName(
                f"This explanation holds no maps of {method!r}: it holds {known}. Name one of these."
            )
        return found


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
