"""The tiles into which models of the LLaVA-NeXT kind cut images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from groundviz.models.adapter.mismatch import check_belonging


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tiling:
    """What the vision tower makes of one tile.

    Attributes:
        side: Rows and columns of a tile, in pixels.
        patch: Rows and columns of a patch, in pixels.
        class_tokens: How many tokens of the tower precede the patches of each tile.

    >>> Tiling(side=384, patch=14).across
    27
    """

    side: int
    patch: int
    class_tokens: int = 0

    @property
    def across(self) -> int:
        """How many patches there are along a side of a tile; a rim narrower than a patch is not seen."""
        return self.side // self.patch


def tiling_of(vlm: Any) -> Tiling:
    """The tiles of a model.

    Raises:
        UnsupportedModel: The processor makes tiles of another size, or of other resolutions.
    """
    config, processor = vlm.model.config, vlm.processor.image_processor
    side = config.vision_config.image_size
    lengths = set()
    for size in (processor.size, processor.crop_size):
        lengths |= {int(length) for length in dict(size or {}).values() if length}
    model_sizes = [list(size) for size in config.image_grid_pinpoints]
    processor_sizes = [list(size) for size in processor.image_grid_pinpoints]
    check_belonging(
        lengths == {side} and model_sizes == processor_sizes,
        f"The processor cuts images of {len(processor_sizes)} sizes into tiles of "
        f"{' or '.join(map(str, sorted(lengths)))} pixels, and the model takes {len(model_sizes)} sizes and "
        f"tiles of {side}.",
    )
    dropped = int(config.vision_feature_select_strategy == "default")
    return Tiling(side=side, patch=config.vision_config.patch_size, class_tokens=dropped)
