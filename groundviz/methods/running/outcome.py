"""What a user is told of a method that did not come to a map, or to one that says nothing."""

from __future__ import annotations

import warnings

from groundviz.record.tiles import which
from groundviz.record.types import Heatmaps, Target
from groundviz.runtime import Live


def images_left_out(name: str, maps: list[Heatmaps], live: Live) -> list[str]:
    """The images that a method did not reach before an interruption, as they are named to the user."""
    if not live.interrupted:
        return []
    images = live.source_images
    seen = {one.grid.image for one in maps}
    # Images are measured one after the other, so that those without a map were not reached.
    return [f"{name} on {which(image, images)}" for image in range(len(images)) if image not in seen]


def tell_of_no_evidence(name: str, maps: list[Heatmaps], targets: tuple[Target, ...]) -> None:
    """Warn once of a method none of whose maps of what was asked for points anywhere."""
    shown = [one.at(target) for one in maps for target in targets if one.has(target)]
    if shown and not any(heatmap.has_evidence for heatmap in shown):
        warnings.warn(
            f"{name} found no evidence: in its map all cells have the same value, so that it points nowhere. "
            "Use another method, or explain another part of the answer.",
            RuntimeWarning,
            # The caller of `explain`, which has `measure` called by `Live.steadily`.
            stacklevel=7,
        )
