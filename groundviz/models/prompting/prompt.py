"""From a question to the tokens of a prompt, each of which knows what it stands for."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import numpy as np

from groundviz.errors import PromptError
from groundviz.models.prompting.chat import NAMES, count_images
from groundviz.record.conversation import Asking, refuse_pasted
from groundviz.record.types import Bools, Ints, Message, Span

# No language has words that long on average; longer texts are refused before they are tokenised.
MOST_CHARACTERS_PER_TOKEN = 16


def check_text(config: Any, text: str, what: str) -> str:
    """A text that can be put to the model, without surrounding blanks.

    Args:
        config: The model's, for the number of its positions.
        text: What a user typed.
        what: What it is, for the message: "question" or "answer".

    Raises:
        PromptError: Nothing in it can be seen, it is far too long for the model, or it holds a
            character that nobody types: half a character, or one that commands a terminal.
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
    """Refuse a prompt that leaves no room for an answer, or an answer for which there is no room.

    Raises:
        PromptError: It has at least as many tokens as the model has positions.
    """
    positions = _positions(config)
    if positions is not None and count >= positions:
        parts = "image and question take" if what == "question" else "with what stands before it, it takes"
        raise PromptError(
            f"The {what} is too long: {parts} {count} tokens, and the model has positions for {positions}. "
            "Shorten it."
        )


def check_messages(config: Any, asked: Asking, images: int) -> tuple[Message, ...]:
    """The messages of a question or a conversation, with every image in its place.

    Images stand where the messages say. Where they do not say, all stand at the beginning of the user's
    first message: what is asked later is about what was shown at the start.

    Args:
        config: The model's.
        asked: A question, or a conversation.
        images: How many images there are.

    Raises:
        PromptError: A text cannot be put to the model, or the messages place another number of images.
    """
    messages = (Message(role="user", content=(asked,)),) if isinstance(asked, str) else cast(Any, asked)
    last = len(messages) - 1
    checked = tuple(
        replace(one, content=_checked(config, one, "question" if number == last else NAMES[one.role]))
        for number, one in enumerate(messages)
    )
    placed = sum(part is None for one in checked for part in one.content)
    if not placed:
        first = next(number for number, one in enumerate(checked) if one.role == "user")
        shown = replace(checked[first], content=(*[None] * images, *checked[first].content))
        return (*checked[:first], shown, *checked[first + 1 :])
    if placed != images:
        raise PromptError(
            f"The messages place {placed} image{'s' * (placed != 1)}, and {count_images(images)}. Place each "
            "image once, or leave all places out."
        )
    return checked


def adds_special_tokens(tokenizer: Any, text: str) -> bool:
    """Whether the tokenizer should still add its start token: not where the template wrote it."""
    start = getattr(tokenizer, "bos_token", None)
    return not (start and text.startswith(start))


def find_spans(typed: Bools, image: Ints) -> tuple[Span, ...]:
    """Which tokens are image, which are the question, and which are the template around them.

    Args:
        typed: Which tokens write the question, bool (token,).
        image: Positions of the image tokens.
    """
    kinds = np.where(typed, "question", "template").astype(object)
    kinds[image] = "image"
    edges = [0, *(np.flatnonzero(kinds[1:] != kinds[:-1]) + 1).tolist(), len(kinds)]
    return tuple(Span(kind=kinds[a], start=a, stop=b) for a, b in pairwise(edges) if b > a)


def _positions(config: Any) -> int | None:
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def _checked(config: Any, message: Message, what: str) -> tuple[str | None, ...]:
    """The content of a message, without blanks around it where it is one text."""
    several = sum(part is not None for part in message.content) > 1
    checked: list[str | None] = []
    for part in message.content:
        # Blanks between images and texts are the user's own.
        if part is not None and (part.strip() or not several):
            typed = check_text(config, part, what)
            refuse_pasted(typed)
            part = part if several else typed
        checked.append(part)
    return tuple(checked)
