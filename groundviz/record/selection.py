"""Naming what a record holds: a part of its answer, a method, an image, a layer, and the maps of these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from groundviz.errors import TargetError, UnknownName
from groundviz.record import stacks, tiles
from groundviz.record.targets import Named, find
from groundviz.record.tiles import Tile
from groundviz.record.types import Heatmap, Heatmaps, Record, Target

Layer = int | Literal["each"] | None


def target(record: Record, named: Named | None) -> Target:
    """A part of the answer or question, or one of the targets asked for, by how it reads; None for the first.

    Raises:
        TargetError: The answer or question has no such part.
    """
    if named is None:
        return record.target
    asked = {target.text: target for target in record.targets if target.foil}
    if isinstance(named, str) and named in asked:
        return asked[named]
    return find(record.answer, named, record.prompt)


def methods(record: Record) -> tuple[str, ...]:
    """Names of the methods that made maps, the default first."""
    return tuple(dict.fromkeys(maps.method for maps in record.heatmaps))


def measured(record: Record, method: str | None) -> list[Heatmaps]:
    """Everything that a method measured; None for the first method.

    Raises:
        UnknownName: The record holds no maps of that method.
    """
    wanted = method
    if method is None and record.heatmaps:
        wanted = methods(record)[0]
    found = [maps for maps in record.heatmaps if maps.method == wanted]
    if not found:
        known = ", ".join(methods(record)) or "none"
        raise UnknownName(
            f"This explanation holds no maps of {method!r}: it holds {known}. Name one of these, or measure "
            "more: explanation.add(model, methods) in Python."
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which maps of a record a figure shows.

    Attributes:
        methods: Names of methods; None for all.
        image: Which image, from 0; None for all.
        tile: Which tile; None for all, or for the first of an image that has many.
        layer: One layer, "each" for a map of each, or None to combine them.
        head: One head, or None to combine all.
    """

    methods: str | Sequence[str] | None = None
    image: int | None = None
    tile: Tile | None = None
    layer: Layer = None
    head: int | None = None

    def rows(self, record: Record, goals: Sequence[Target], *, named: bool) -> list[list[Heatmap]]:
        """The maps of some parts of the answer: a row for each method and grid, a map for each part.

        Layer by layer, a row for each part as well, and a map for each layer.

        Args:
            record: What holds them.
            goals: The parts of the answer.
            named: Whether somebody asked for these parts; those that a method did not measure are an
                error then, and else left out.

        Raises:
            TargetError: A part, layer or head was not measured, or no method tells layers apart.
            UnknownName: There is no such method, image or tile.
        """
        chosen = list(self._chosen(record, goals))
        # Methods that measure whole targets have no map of each word: what is there is drawn.
        wanted = []
        for maps in chosen:
            wanted.append((maps, [goal for goal in goals if named or maps.has(goal)]))
        if self.layer == "each":
            return self._swept(wanted)
        rows = []
        for maps, row in wanted:
            rows.append([maps.at(goal, layer=self.layer, head=self.head) for goal in row])
        return rows

    def _chosen(self, record: Record, goals: Sequence[Target]) -> Iterator[Heatmaps]:
        names = self.methods
        if names is None:
            names = methods(record)
        elif isinstance(names, str):
            names = [names]
        slices = stacks.drawn(record, next(iter(names), None), next(iter(goals), None))
        for method in names:
            found = tiles.choose(measured(record, method), self.image, self.tile)
            # Who names a tile gets it, of however many.
            if self.tile is None:
                found = tiles.drawn(found)
            # Nor is a slice left out that was named.
            if self.image is None:
                found = [one for one in found if one.grid.image in slices]
            yield from found

    def _swept(self, wanted: Sequence[tuple[Heatmaps, Sequence[Target]]]) -> list[list[Heatmap]]:
        layered = [(maps, goals) for maps, goals in wanted if len(maps.layers) > 1]
        if not layered:
            names = ", ".join(dict.fromkeys(maps.method for maps, _ in wanted))
            raise TargetError(
                f"There are no layers to draw one by one: {names} combines them all. Name a method that "
                "tells layers apart, such as 'attention' or 'stage_audit'."
            )
        rows = []
        for maps, goals in layered:
            for goal in goals:
                rows.append([maps.at(goal, layer=layer, head=self.head) for layer in maps.layers])
        return rows
