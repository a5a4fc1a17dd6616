"""How a prompt marks an image, where a processor has no chat template that does it."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from PIL import Image

# An image that any processor takes, and a prompt that marks none.
_SIDE, _WORD = 64, "a"
# An entry goes with its processor.
_MARKERS: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def marker_of(processor: Any) -> str:
    """What a prompt must hold once for each image: the image token, or "" where the processor adds it.

    Cost: at the first call for a processor without a chat template, it reads a small image.
    """
    token = str(getattr(processor, "image_token", None) or "")
    if not token or getattr(processor, "chat_template", None):
        return token
    if processor not in _MARKERS:
        _MARKERS[processor] = "" if _puts_in(processor, token) else token
    return _MARKERS[processor]


def _puts_in(processor: Any, token: str) -> bool:
    """Whether a prompt without the image token has more of them with an image than without."""
    try:
        shown = processor(images=[Image.new("RGB", (_SIDE, _SIDE))], text=_WORD, return_tensors="pt")
    except Exception:
        # Processors that need the token fail with all kinds of errors.
        return False
    alone = processor.tokenizer(_WORD).input_ids
    number = processor.tokenizer.convert_tokens_to_ids(token)
    return int(shown["input_ids"][0].tolist().count(number)) > int(alone.count(number))
