"""Checks what a user typed, and divides a prompt into image, question and template."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import numpy as np

from groundviz.errors import PromptError, argument
from groundviz.models.prompting.chat import NAMES, count_images
from groundviz.record.conversation import Asking, refuse_pasted
from groundviz.record.types import Bools, Ints, Message, SourceImage, Span

# No language has words that long on average; longer texts are refused before they are tokenised.
MOST_CHARACTERS_PER_TOKEN = 16


def check_text(config: Any, text: str, what: str) -> str:
    """Check that a text can be given to the model, and remove the blanks around it.

    Args:
        config: The model's, for the number of its positions.
        text: What a user typed.
        what: What it is, for the message: "question" or "answer".

    Raises:
        PromptError: It has no visible character, it is far too long for the model, or it has a lone
            surrogate or a control character.
    """
    typed = text.strip()
    most = MOST_CHARACTERS_PER_TOKEN * (_positions(config) or len(typed))
    if len(typed) > most:
        raise PromptError(
            f"The {what} is too long: it has {len(typed)} characters, and the model has positions for "
            f"{_positions(config)} tokens. Shorten it."
        )
    kinds = {unicodedata.category(character) for character in set(typed) - set("\t\n\r")}
    if "Cs" in kinds:
        raise PromptError(f"The {what} holds half a character (a lone surrogate). Type it again.")
    if "Cc" in kinds:
        raise PromptError(f"The {what} holds a control character, such as NUL or escape. Type it again.")
    if not any(kind[0] in "LNPS" for kind in kinds):
        raise PromptError(f"The {what} is empty: it has no token that can be seen. Give at least one word.")
    return typed


def check_length(count: int, config: Any, what: str = "question") -> None:
    """Refuse a prompt that leaves no room for an answer, or an answer that has no room.

    Raises:
        PromptError: It has at least as many tokens as the model has positions.
    """
    positions = _positions(config)
    if positions is not None and count >= positions:
        parts = "with what stands before it, it takes"
        if what == "question":
            parts = "image and question take"
        raise PromptError(
            f"The {what} is too long: {parts} {count} tokens, and the model has positions for {positions}. "
            "Shorten it."
        )


def check_images(taken: int, count: int, config: Any, source_images: Sequence[SourceImage]) -> None:
    """Refuse more images than there is room for, where fewer of them would have it.

    Args:
        taken: How many tokens of the prompt stand for images.
        count: How many it has in all.
        config: The model's.
        source_images: The images.

    Raises:
        PromptError: It has at least as many tokens as the model has positions, and fewer with fewer images.
    """
    positions = _positions(config)
    if positions is None or count < positions or not taken:
        return
    each = math.ceil(taken / len(source_images))
    fitting = (positions - 1 - (count - taken)) // each
    if fitting < 1:
        return
    raise PromptError(
        f"There are too many images: {len(source_images)} of about {each} tokens each, with the question "
        f"{count} tokens, and the model has positions for {positions}. Give at most "
        f"{fitting}{_fewer(source_images, fitting)}."
    )


def _fewer(source_images: Sequence[SourceImage], fitting: int) -> str:
    """How to choose so many slices, where the images are those of one stack."""
    slices = [one.slice for one in source_images if one.slice is not None]
    if len(slices) < len(source_images) or len({one.stack for one in slices}) > 1:
        return ""
    numbers = [one.number for one in slices]
    step = math.ceil((max(numbers) + 1 - min(numbers)) / fitting)
    return f", for example {argument('frames', range(min(numbers), max(numbers) + 1, step))}"


def check_messages(config: Any, asked: Asking, images: int) -> tuple[Message, ...]:
    """The messages of a question or a conversation, with a place for every image.

    Images are where the messages place them. If the messages place none, all images are put at the beginning
    of the user's first message, because later questions are about what was shown at the start.

    Args:
        config: The model's.
        asked: A question, or a conversation.
        images: How many images there are.

    Raises:
        PromptError: A text cannot be put to the model, or the messages place another number of images.
    """
    messages = (Message(role="user", content=(asked,)),) if isinstance(asked, str) else cast(Any, asked)
    checked: list[Message] = []
    placed = 0
    for message in messages:
        what = NAMES[message.role]
        if message is messages[-1]:
            what = "question"
        checked.append(replace(message, content=_checked(config, message, what)))
        placed += message.content.count(None)
    if not placed:
        first = next(number for number, message in enumerate(checked) if message.role == "user")
        checked[first] = replace(checked[first], content=(*[None] * images, *checked[first].content))
    elif placed != images:
        raise PromptError(
            f"The messages place {placed} image{'s' * (placed != 1)}, and {count_images(images)}. Place each "
            "image once, or leave all places out."
        )
    return tuple(checked)


def adds_special_tokens(tokenizer: Any, text: str) -> bool:
    """Whether the tokenizer should add its start token: not if the template wrote it already."""
    start = getattr(tokenizer, "bos_token", None)
    return not (start and text.startswith(start))


def find_spans(typed: Bools, image: Ints) -> tuple[Span, ...]:
    """Divide a prompt into spans of image tokens, of the question and of the template.

    Args:
        typed: Which tokens write the question, bool (token,).
        image: Positions of the image tokens.
    """
    kinds = np.where(typed, "question", "template").astype(object)
    kinds[image] = "image"
    changes = np.flatnonzero(kinds[1:] != kinds[:-1]) + 1
    spans = []
    for start, stop in pairwise([0, *changes.tolist(), len(kinds)]):
        if stop > start:
            spans.append(Span(kind=kinds[start], start=start, stop=stop))
    return tuple(spans)


def _positions(config: Any) -> int | None:
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def _checked(config: Any, message: Message, what: str) -> tuple[str | None, ...]:
    """The content of a message; a single text loses the blanks around it."""
    several = sum(part is not None for part in message.content) > 1
    checked: list[str | None] = []
    for part in message.content:
        # Among several texts blanks may separate a text from an image; they are kept.
        if part is not None and (part.strip() or not several):
            typed = check_text(config, part, what)
            refuse_pasted(typed)
            if not several:
                part = typed
        checked.append(part)
    return tuple(checked)
