"""Fills a chat template, and keeps what was typed apart from what the template writes around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groundviz.errors import PromptError
from groundviz.models.prompting.control_tokens import PLACES, placeholder
from groundviz.models.prompting.formats import Format, writer
from groundviz.models.prompting.offsets import woven
from groundviz.models.prompting.tokenizer_proxy import Filling
from groundviz.record.types import Message

NAMES = {"system": "system prompt", "user": "earlier turn", "assistant": "earlier turn"}
_LOST = (
    "The chat template loses the question, or changes with it: it cannot be told where the question "
    "stands in the prompt. Use the model's own template, or reword the question."
)


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat template filled with what was typed.

    Attributes:
        parts: What the template writes around each place for a text.
        fillings: What stands in each place.
    """

    parts: tuple[str, ...]
    fillings: tuple[Filling, ...]

    @property
    def text(self) -> str:
        """The whole prompt."""
        return woven(self.parts, [one.text for one in self.fillings])

    @property
    def question(self) -> str:
        """The question as the template writes it."""
        pieces = {one.base: one.text for one in self.fillings if one.base is not None}
        in_order = sorted(pieces.items())
        return "".join(text for _, text in in_order)


def render_chat(
    processor: Any, question: str, fallback: str | Format, *, marker: str, images: int = 1
) -> str:
    """The prompt text of some images and one question, in the model's own chat template.

    Args:
        processor: The model's processor.
        question: Checked by `check_text`.
        fallback: Format for a processor without a chat template; or its `turn` alone.
        marker: What a template writes once for each image.
        images: How many images there are.
    """
    message = Message(role="user", content=(*[None] * images, question))
    return fill_template(processor, (message,), fallback, marker=marker, images=images).text


def fill_template(
    processor: Any, asked: str | tuple[Message, ...], fallback: str | Format, *, marker: str, images: int = 1
) -> Chat:
    """Fill a chat template, and find which parts of the prompt were typed.

    The template is filled with names in place of texts, then with one real text at a time, then with all of
    them. The first prompt shows where the texts go, the others what the template makes of each text.

    Args:
        processor: The model's processor.
        asked: A question, or messages as `check_messages` gives them.
        fallback: As for `render_chat`.
        marker: As for `render_chat`; empty where the processor itself puts the images in.
        images: How many images there are.

    Raises:
        PromptError: The template does not write exactly one marker for each image, it leaves out a text, or
            the question is the filled template itself.
    """
    if isinstance(asked, str):
        asked = (Message(role="user", content=(*[None] * images, asked)),)
    write = writer(processor, asked, fallback, marker)
    texts = [part for _, part in _typed(asked)]
    names = [placeholder(number) for number in range(len(texts))]
    one_text = []
    for number, text in enumerate(texts):
        one_text.append([*names[:number], text, *names[number + 1 :]])
    named, *with_one, whole = write([names, *one_text, texts])
    # Parts of the template and numbers of texts take turns.
    pieces = PLACES.split(named)
    parts, slots = tuple(pieces[::2]), list(map(int, pieces[1::2]))
    _check_all_written(asked, slots)
    written = []
    for number, prompt in enumerate(with_one):
        written.append(_as_written(named, prompt, slots.count(number), number))
    bases = _bases(asked, written)
    chat = Chat(parts, tuple(Filling(written[slot], bases[slot]) for slot in slots))
    if chat.text != whole:
        raise PromptError(_LOST)
    _check_images(parts, marker, images)
    if len(asked) == 1:
        _refuse_own(parts, marker, texts[-1])
    return chat


def fill_verbatim(processor: Any, text: str, *, marker: str, images: int = 1) -> Chat:
    """Take a prompt that the user wrote in full, and find the image tokens in it.

    Args:
        processor: The model's processor.
        text: The whole prompt.
        marker: What a template writes for an image, as for `render_chat`; put in front if the text has no
            image token.
        images: How many images there are.

    Raises:
        PromptError: The text holds another number of image tokens.
    """
    token = str(getattr(processor, "image_token", None) or "")
    pieces = text.split(token) if token else [text]
    if len(pieces) == 1:
        return Chat((marker * images, ""), (Filling(text, commands=True),))
    if not marker or len(pieces) - 1 != images:
        expected = "its processor itself puts images into the prompt"
        if marker:
            expected = count_images(images)
        raise PromptError(
            f"The verbatim prompt has {len(pieces) - 1} image token{'s' * (len(pieces) > 2)} {token!r}, and "
            f"{expected}. Write the token once for each image, or leave it out to have the images in front."
        )
    parts, fillings, at = [""], [], 0
    for number, piece in enumerate(pieces):
        if number:
            parts[-1] += token
        if piece:
            parts.append("")
            fillings.append(Filling(piece, at, commands=True))
        at += len(piece) + len(token)
    return Chat(tuple(parts), tuple(fillings))


def count_images(images: int) -> str:
    """How many images there are, for messages."""
    if images == 1:
        return "there is one image"
    return f"there are {images} images"


def _typed(asked: tuple[Message, ...]) -> list[tuple[Message, str]]:
    """All texts of a conversation, each with its message; images are left out."""
    return [(message, part) for message in asked for part in message.content if part is not None]


def _check_all_written(asked: tuple[Message, ...], slots: Sequence[int]) -> None:
    """Stop if a template leaves a text out."""
    for number, (message, _) in enumerate(_typed(asked)):
        if number in slots:
            continue
        if message is asked[-1]:
            raise PromptError(_LOST)
        raise PromptError(
            f"The chat template leaves out the {NAMES[message.role]}: it has no place for one. Leave it "
            "out, say it in the question, or give the whole prompt as groundviz.Verbatim('...')."
        )


def _as_written(named: str, prompt: str, times: int, number: int) -> str:
    """What a template makes of a text.

    Args:
        named: The prompt with names in place of all texts.
        prompt: The same prompt with the text in place of its name.
        times: How often the template writes the text.
        number: The number of the text.
    """
    name = placeholder(number)
    length = (len(prompt) - len(named) + times * len(name)) // times
    start = named.index(name)
    return prompt[start:][: max(0, length)]


def _bases(asked: tuple[Message, ...], written: Sequence[str]) -> list[int | None]:
    """Where in the question each text begins; None for texts of other messages.

    The question is all texts of the last message, joined.
    """
    bases: list[int | None] = []
    start = 0
    for (message, _), text in zip(_typed(asked), written, strict=True):
        if message is asked[-1]:
            bases.append(start)
            start += len(text)
        else:
            bases.append(None)
    return bases


def _check_images(parts: Sequence[str], marker: str, images: int) -> None:
    """Stop if the template does not write one marker for each image."""
    if not marker:
        return
    written = sum(part.count(marker) for part in parts)
    if written != images:
        raise PromptError(
            f"The prompt has {written or 'no'} image token{'s' * (written != 1)}: the template should write "
            f"one for each image, and {count_images(images)}. Use the model's own template, or ask about "
            "one image."
        )


def _refuse_own(parts: Sequence[str], marker: str, question: str) -> None:
    """Stop a question that is already in the model's own template."""

    def normal(text: str) -> str:
        if marker:
            text = text.replace(marker, "")
        return " ".join(text.split())

    first, last, typed = normal(parts[0]), normal(parts[-1]), normal(question)
    if first and last and typed.startswith(first) and typed.endswith(last):
        raise PromptError(
            "The question is in the model's own chat template already, which would be put around it once "
            "more. Give the question alone, or the whole prompt as groundviz.Verbatim('...')."
        )
