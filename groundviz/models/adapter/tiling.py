"""The tiles into which models of the LLaVA-NeXT kind cut images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from groundviz.models.adapter.mismatch import check_belonging


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tiling:
    """What the tower makes of a tile.

    Attributes:
        side: Rows and columns of a tile, in pixels.
        patch: Rows and columns of a patch, in pixels.
        class_tokens: How many of the tower's tokens of a tile stand before its patches.

    >>> Tiling(side=384, patch=14).across
    27
    """

    side: int
    patch: int
    class_tokens: int = 0

    @property
    def across(self) -> int:
        """How many patches a tile has on a side; pixels that fill no patch are not seen."""
        return self.side // self.patch


def tiling_of(vlm: Any) -> Tiling:
    """The tiles of a model.

    Raises:
        UnsupportedModel: The processor makes tiles of another size, or of other resolutions.
    """
    config, own = vlm.model.config, vlm.processor.image_processor
    side = config.vision_config.image_size
    made = sorted(
        {int(one) for size in (own.size, own.crop_size) for one in dict(size or {}).values() if one}
    )
    ours, theirs = ([list(one) for one in each.image_grid_pinpoints] for each in (config, own))
    check_belonging(
        made == [side] and ours == theirs,
        f"The processor cuts images of {len(theirs)} sizes into tiles of {' or '.join(map(str, made))} "
        f"pixels, and the model takes {len(ours)} sizes and tiles of {side}.",
    )
    dropped = int(config.vision_feature_select_strategy == "default")
    return Tiling(side=side, patch=config.vision_config.patch_size, class_tokens=dropped)
