"""Stacks: which images of a question belong together as slices, and where along them a map lies.

The images of a record stand in the order in which the model was given them. Slices of a stack that were
chosen stand together under the stack; a stack is named by the numbers of its images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundviz.errors import UnknownName
from groundviz.record.mass import magnitudes
from groundviz.record.types import Doubles, Record, SourceImage, Target

Stack = tuple[int, ...]

# Slices of a stack that are drawn unasked.
MOST_DRAWN = 4


def grouped(images: Sequence[SourceImage]) -> tuple[Stack, ...]:
    """The numbers of the images that belong together: each stack, and every other image alone.

    >>> import numpy as np
    >>> from groundviz import images
    >>> volume = images.load_stack(np.zeros((3, 4, 5), np.uint8))
    >>> grouped([*volume, images.load(np.zeros((4, 5), np.uint8))])
    ((0, 1, 2), (3,))
    """
    found: dict[tuple[str, int], list[int]] = {}
    for number, one in enumerate(images):
        key = ("image", number)
        if one.slice is not None:
            key = ("stack", one.slice.stack)
        found.setdefault(key, []).append(number)
    return tuple(map(tuple, found.values()))


def position(image: SourceImage) -> str:
    """Where an image lies in the patient, in words, such as "H 55.0 mm"; empty where that is not known."""
    if image.position_mm is None:
        return ""
    # With a minus sign of the width of a digit.
    along = f"{image.position_mm:.1f}".replace("-", "\N{MINUS SIGN}")
    return f"{image.towards} {along} mm".strip()


def is_stack(stack: Stack, images: Sequence[SourceImage]) -> bool:
    """Whether these images are several slices of one stack."""
    return len(stack) > 1 and images[stack[0]].slice is not None


def named(images: Sequence[SourceImage], stack: int) -> Stack:
    """The images of a stack by its number, from 0.

    Raises:
        UnknownName: There is none of that number.
    """
    found = tuple(number for number, one in enumerate(images) if one.slice and one.slice.stack == stack)
    if not found:
        known = sorted({one.slice.stack for one in images if one.slice})
        there = f"there are {', '.join(map(str, known))}" if known else "no image is a slice"
        raise UnknownName(f"There is no stack {stack!r}: {there}. Stacks are counted from 0.")
    return found


def shares(
    record: Record,
    method: str,
    target: Target,
    stack: Stack,
    *,
    layer: int | None = None,
    head: int | None = None,
) -> Doubles | None:
    """The share of a map's mass that lies on each slice of a stack: (slice,), summing to 1.

    The mass is the sum of the magnitudes of a map's values, over all cells and tiles of a slice.

    Args:
        record: What holds the maps.
        method: Whose maps.
        target: Of which part of the answer.
        stack: One of `grouped`.
        layer: One layer, or None for all combined.
        head: One head, or None for all combined.

    Returns:
        None where a slice has no map of the target, or all of them hold nothing.

    Raises:
        TargetError: The layer or the head was not measured.
    """
    mass = np.full(len(stack), np.nan)
    for maps in record.heatmaps:
        if maps.method != method or maps.grid.image not in stack or not maps.has(target):
            continue
        at = stack.index(maps.grid.image)
        values = maps.at(target, layer=layer, head=head).values
        mass[at] = np.nansum([mass[at], magnitudes(values).sum(dtype=np.float64)])
    total = mass.sum()
    # A comparison with NaN is false.
    if not total > 0.0:
        return None
    return np.asarray(mass / total)


def heaviest(record: Record, stack: Stack, method: str | None = None, target: Target | None = None) -> Stack:
    """The images of a stack, those first that hold most of a map.

    Where that is not known, they stay in their order.

    Args:
        record: What holds the maps.
        stack: One of `grouped`.
        method: Whose map; None for that of the first method.
        target: What it is of; None for what was explained first.
    """
    found = None
    if record.heatmaps and len(stack) > 1:
        found = shares(record, method or record.heatmaps[0].method, target or record.target, stack)
    if found is None:
        return stack
    # Of slices that hold the same, the first goes first.
    return tuple(stack[at] for at in np.argsort(-found, kind="stable"))


def drawn(record: Record, method: str | None = None, target: Target | None = None) -> tuple[int, ...]:
    """The images that are drawn unasked: of each stack those slices that hold most of a map, and all others.

    Args:
        record: What holds the maps.
        method: Whose map decides, as in `heaviest`.
        target: Of what, as in `heaviest`.
    """
    kept: set[int] = set()
    for stack in grouped(record.source_images):
        kept.update(heaviest(record, stack, method, target)[:MOST_DRAWN])
    return tuple(sorted(kept))
