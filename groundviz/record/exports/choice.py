"""Which maps of a record leave it, one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard

import numpy as np

from groundviz.errors import OptionError, TargetError
from groundviz.record import arguments, selection, tiles
from groundviz.record.targets import Named
from groundviz.record.tiles import Tile
from groundviz.record.types import Heatmap, Heatmaps, Record, Target

# Layers or heads: all combined, every one by itself, one, or several.
Which = int | Sequence[int] | Literal["each"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which maps of a record are meant.

    Attributes:
        methods: One method or several; None for all.
        targets: One part of the answer or question, or a list of them. None for all that each method
            measured, or for what was asked for, as `asked_alone` says.
        layers: None to combine layers as the method says, "each" for every one, or some of them.
        heads: As `layers`.
        image: Which image, from 0; None for all.
        tile: Which tile; None for all.
        asked_alone: Whether no targets means those that were asked for, rather than all there are.
    """

    methods: str | Sequence[str] | None = None
    targets: Named | list[Named] | None = None
    layers: Which = None
    heads: Which = None
    image: int | None = None
    tile: Tile | None = None
    asked_alone: bool = False

    def heatmaps(self, record: Record) -> Iterator[Heatmap]:
        """The maps: method by method, grid by grid, target by target, layer by layer, head by head.

        Raises:
            UnknownName: The record holds no maps of such a method, image or tile.
            TargetError: The answer has no such part, or it, a layer or a head was not measured.
            OptionError: The layers or heads are neither numbers nor "each", or the methods are no names.
        """
        for maps in self.measured(record):
            for goal in self._goals(record, maps):
                for layer in _entries("layers", self.layers, maps.layers):
                    for head in _entries("heads", self.heads, _heads(maps)):
                        yield maps.at(goal, layer=layer, head=head)

    def measured(self, record: Record) -> Iterator[Heatmaps]:
        """Everything that the chosen methods measured on the chosen images and tiles.

        Raises:
            UnknownName: As in `heatmaps`.
            OptionError: The methods are no names.
        """
        for name in _names(record, self.methods):
            yield from tiles.choose(selection.measured(record, name), self.image, self.tile)

    def _goals(self, record: Record, maps: Heatmaps) -> list[Target]:
        if self.targets is not None:
            return [selection.target(record, one) for one in _several(self.targets)]
        if not self.asked_alone:
            return list(maps.targets)
        # A method that measures whole targets may have been added with others than those asked for.
        return [goal for goal in record.targets if maps.has(goal)]


def first(record: Record, choice: Choice) -> Heatmap:
    """The one map that is meant where a file holds one.

    Raises:
        UnknownName: As in `Choice.heatmaps`.
        TargetError: As in `Choice.heatmaps`, or no such map was measured.
        OptionError: As in `Choice.heatmaps`.
    """
    for heatmap in choice.heatmaps(record):
        return heatmap
    raise TargetError(
        "There is no map to write: none of these methods measured what was asked for. "
        "Name a target that one of them measured."
    )


def _names(record: Record, wanted: str | Collection[str] | None) -> list[str]:
    """The methods that are meant, each once: no row of a table may count twice."""
    arguments.check_methods(wanted)
    if wanted is None:
        return list(selection.methods(record))
    if isinstance(wanted, str):
        return [wanted]
    # What can be read once would be empty for the second file of a folder.
    if not isinstance(wanted, Collection):
        raise OptionError(
            f"methods is of type {type(wanted).__name__}: expected a name or a list of names. "
            "Give for example methods=['attention']."
        )
    return list(dict.fromkeys(wanted))


def _several(targets: Named | list[Named]) -> list[Named]:
    # A tuple of two numbers is one range of tokens; only a list is several targets.
    if isinstance(targets, list):
        return targets
    return [targets]


def _heads(maps: Heatmaps) -> tuple[int, ...]:
    """Indices of the heads; none where a method does not tell them apart."""
    count = maps.values.shape[2]
    if count == 1:
        return ()
    return tuple(range(count))


def _is_whole(value: object) -> TypeGuard[int]:
    # True is an int to Python, and no layer to anybody.
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _entries(what: str, wanted: Which, measured: Sequence[int]) -> Sequence[int | None]:
    """Which layers or heads to take, None standing for all of them combined."""
    if wanted is None:
        return [None]
    if isinstance(wanted, str):
        if wanted == "each":
            return list(measured) or [None]
    elif _is_whole(wanted):
        return [int(wanted)]
    # A row of numbers of numpy is as good as a list of them.
    elif isinstance(wanted, Sequence | np.ndarray) and len(wanted) and all(map(_is_whole, wanted)):
        return list(dict.fromkeys(np.asarray(wanted).tolist()))
    raise OptionError(
        f"The {what} are {wanted!r:.60}: expected None to combine them, 'each', a number or several. "
        f"Give for example {what}='each'."
    )
