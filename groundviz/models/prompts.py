"""From a question to the tokens of a prompt, each of which knows what it stands for."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from groundviz.errors import PromptError
from groundviz.models.control_tokens import PLACEHOLDER
from groundviz.types import Bools, Ints, Span

# No language has words that long on average; longer texts are refused before they are tokenised.
MOST_CHARACTERS_PER_TOKEN = 16


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat template filled with a question.

    Attributes:
        parts: What the template writes around each place for the question.
        question: As the template writes it.
    """

    parts: tuple[str, ...]
    question: str

    @property
    def text(self) -> str:
        """The whole prompt."""
        return self.question.join(self.parts)


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


def render_chat(processor: Any, question: str, fallback: str, *, marker: str, images: int = 1) -> str:
    """The prompt text of some images and one question, in the model's own chat template.

    Args:
        processor: The model's processor.
        question: Checked by `check_text`.
        fallback: Template with {images} and {question}, for a processor without a chat template.
        marker: What a template writes once for each image.
        images: How many images there are.
    """
    if not getattr(processor, "chat_template", None):
        return fallback.format(question=question, images=marker * images)
    content = [*[{"type": "image"}] * images, {"type": "text", "text": question}]
    message = {"role": "user", "content": content}
    return str(processor.apply_chat_template([message], add_generation_prompt=True, tokenize=False))


def fill_template(processor: Any, question: str, fallback: str, *, marker: str, images: int = 1) -> Chat:
    """The chat template's own text, told from the question in it.

    Args:
        processor: The model's processor.
        question: Checked by `check_text`.
        fallback: As for `render_chat`.
        marker: As for `render_chat`; empty where the processor itself puts the images in.
        images: How many images there are.

    Raises:
        PromptError: The template itself does not write exactly one marker for each image, whatever
            the question says, or writes no question.
    """
    write = partial(render_chat, processor, fallback=fallback, marker=marker, images=images)
    parts = tuple(write(PLACEHOLDER).split(PLACEHOLDER))
    text = write(question)
    length = (len(text) - sum(map(len, parts))) // max(1, len(parts) - 1)
    chat = Chat(parts, text[len(parts[0]) :][: max(0, length)])
    if len(parts) == 1 or chat.text != text:
        raise PromptError(
            "The chat template loses the question, or changes with it: it cannot be told where the question "
            "stands in the prompt. Use the model's own template, or reword the question."
        )
    written = sum(part.count(marker) for part in parts) if marker else images
    if written != images:
        raise PromptError(
            f"The prompt has {written or 'no'} image token{'s' * (written != 1)}: the template should write "
            f"one for each image, and there {'is one' if images == 1 else f'are {images}'}. Use the model's "
            "own template, or ask about one image."
        )
    return chat


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
