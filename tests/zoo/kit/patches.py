"""What tiny models share that see images of any shape as a grid of merged patches."""

from __future__ import annotations

from typing import Any

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.words import text_config, word_tokenizer

PATCH, MERGED = 4, 2
AREA = {"shortest_edge": 32 * 32, "longest_edge": 64 * 64}


def square_patches(kind: Any, **options: Any) -> Any:
    """An image processor that cuts patches of four by four pixels, and merges two by two of them.

    >>> from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    >>> square_patches(Qwen2VLImageProcessorPil).patch_size
    4
    """
    return kind(**{"patch_size": PATCH, "merge_size": MERGED, "size": dict(AREA), **options})


def still_processor(kind: Any, pixels: Any, template: str, *controls: str, **named: str) -> Any:
    """A processor for images alone, of a class that wants a video processor, too.

    Args:
        kind: The processor's class.
        pixels: The image processor.
        template: Of the chat.
        controls: The control tokens.
        named: Which of them the tokenizer knows by a name.

    >>> from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    >>> from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor
    >>> pixels = square_patches(Qwen2VLImageProcessorPil)
    >>> named = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
    >>> still_processor(Qwen3VLProcessor, pixels, "", *named.values(), **named).image_token
    '<|image_pad|>'
    """
    tokenizer = word_tokenizer(*controls, **named)
    return for_stills(kind)(
        image_processor=pixels, tokenizer=tokenizer, video_processor=NO_FILMS, chat_template=template
    )


def tower(**more: Any) -> dict[str, Any]:
    """A tower of two layers that reads patches of four by four pixels and merges two by two of them.

    >>> tower(out_hidden_size=32)["depth"]
    2
    """
    return {
        "depth": 2,
        "num_heads": 2,
        "hidden_size": 16,
        "intermediate_size": 24,
        "patch_size": PATCH,
        "spatial_merge_size": MERGED,
        **more,
    }


def turned_text(
    *controls: str, sections: tuple[int, ...], turned: float = 1.0, **more: Any
) -> dict[str, Any]:
    """A decoder whose positions have several axes, turning so many pairs of channels along each.

    Args:
        controls: The control tokens.
        sections: Pairs of channels along each axis.
        turned: The share of a head's channels that is turned.
        more: Options of the decoder's configuration.

    >>> turned_text(sections=(1, 1, 2))["rope_parameters"]["mrope_section"]
    [1, 1, 2]
    """
    turning: dict[str, Any] = {
        "rope_type": "default",
        "rope_theta": 10_000.0,
        "mrope_section": list(sections),
        "partial_rotary_factor": turned,
    }
    return {**text_config(*controls), "rope_parameters": turning, **more}
