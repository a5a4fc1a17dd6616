"""What is to beware of in images, told once for the slices of a stack that share it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from groundviz.record.stacks import grouped, is_stack
from groundviz.record.tiles import which, whose
from groundviz.record.types import SourceImage


def notes_on(images: Sequence[SourceImage], shown: Collection[int]) -> Iterator[tuple[str, list[str]]]:
    """The notes on some images: what to call those they are about, and the notes.

    Args:
        images: All images of a record.
        shown: The numbers of those that are told about.
    """
    for group in grouped(images):
        kept = [image for image in group if image in shown]
        shared: list[str] = []
        if is_stack(group, images) and kept:
            shared = [note for note in images[kept[0]].notes if all(note in images[at].notes for at in kept)]
        if shared:
            yield " of ".join(filter(None, ("all slices", whose(group[0], images)))), shared
        for image in kept:
            own = [note for note in images[image].notes if note not in shared]
            if own:
                yield which(image, images), own
