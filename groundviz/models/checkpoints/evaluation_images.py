"""How the papers' evaluations made images: pixel for pixel, with Pillow, as they did."""

from __future__ import annotations

from typing import Any

from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from groundviz.record.geometry import scale_shift
from groundviz.record.types import Doubles


def squashed(side: int) -> SiglipImageProcessorPil:
    """SigLIP's images: both sides scaled to `side` whatever their ratio (SigPhi-Med).

    The evaluation then rounds to half precision, at 1e-3 in the logits; this does not.
    """
    size = {"height": side, "width": side}
    return SiglipImageProcessorPil(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3)


def cropped(side: int) -> CLIPImageProcessorPil:
    """CLIP's images: the shorter side to `side`, the longer cropped (LLaVA-Med v1.0, Med-MoE)."""
    return CLIPImageProcessorPil(**_square(side))


def padded(side: int) -> LlavaImageProcessorPil:
    """CLIP's images, made square before with margins of the mean colour (LLaVA-Med v1.5).

    The evaluation moves an image with margins by one pixel half of the time, at random; this never does.
    """
    return LlavaImageProcessorPil(**_square(side), do_pad=True)


def cropped_as_open_clip(side: int) -> CLIPImageProcessorPil:
    """As `cropped`, but the middle is found by rounding half to even (LLaVA-Rad)."""
    return _RoundedCrop(**_square(side))


def _square(side: int) -> dict[str, Any]:
    return {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}


class _RoundedCrop(CLIPImageProcessorPil):
    """Torchvision's rounding, which lies one pixel off transformers' where the margin is 3, 7, 11 ..."""

    # Its two base classes disagree on the signature.
    def center_crop(self, image: Any, size: Any, **options: Any) -> Any:  # type: ignore[override]
        """The middle of an image (channel, row, col)."""
        top, left = (round((length - size.height) / 2) for length in image.shape[-2:])
        return image[..., top : top + size.height, left : left + size.width]

    def source_to_model(self, shape: tuple[int, int]) -> tuple[Doubles, tuple[int, int]]:
        """The affine from source pixels to model pixels, and the model image's rows and columns."""
        side = int(self.size["shortest_edge"])
        # The longer side is cut to whole pixels.
        rows, cols = (int(side * length / min(shape)) for length in shape)
        shift = (float(-round((rows - side) / 2)), float(-round((cols - side) / 2)))
        return scale_shift((rows / shape[0], cols / shape[1]), shift), (side, side)
