"""The text of a prompt, with what was typed told from what the template writes around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
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
        return "".join(pieces[base] for base in sorted(pieces))


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
    """The chat template's own text, told from what was typed.

    Args:
        processor: The model's processor.
        asked: A question, or messages as `check_messages` gives them.
        fallback: As for `render_chat`.
        marker: As for `render_chat`; empty where the processor itself puts the images in.
        images: How many images there are.

    Raises:
        PromptError: The template itself does not write exactly one marker for each image, whatever was
            typed, or does not write all that was, or is what was typed.
    """
    if isinstance(asked, str):
        asked = (Message(role="user", content=(*[None] * images, asked)),)
    write = writer(processor, asked, fallback, marker)
    texts = [part for message in asked for part in message.content if part is not None]
    names = [placeholder(number) for number in range(len(texts))]
    # Every text by a name; each text alone among names, which tells what becomes of it; and all texts.
    alone = [[*names[:at], text, *names[at + 1 :]] for at, text in enumerate(texts)]
    base, *single, whole = write([names, *alone, texts])
    split = PLACES.split(base)
    parts, slots = tuple(split[::2]), [int(number) for number in split[1::2]]
    _check_all_written(asked, slots)
    written = [_as_written(base, one, slots.count(at), at) for at, one in enumerate(single)]
    bases = _bases(asked, written)
    chat = Chat(parts, tuple(Filling(written[slot], bases[slot]) for slot in slots))
    if chat.text != whole:
        raise PromptError(_LOST)
    _check_images(parts, marker, images)
    if len(asked) == 1:
        _refuse_own(parts, marker, texts[-1])
    return chat


def fill_verbatim(processor: Any, text: str, *, marker: str, images: int = 1) -> Chat:
    """A prompt that is written already, told from the image tokens in it.

    Args:
        processor: The model's processor.
        text: The whole prompt.
        marker: What stands for an image, as for `render_chat`; put in front where the text has none.
        images: How many images there are.

    Raises:
        PromptError: The text holds another number of image tokens.
    """
    token = str(processor.image_token)
    pieces = text.split(token)
    if len(pieces) == 1:
        return Chat((marker * images, ""), (Filling(text, commands=True),))
    if not marker or len(pieces) - 1 != images:
        expected = count_images(images) if marker else "its processor itself puts images into the prompt"
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
    return "there is one image" if images == 1 else f"there are {images} images"


def _check_all_written(asked: tuple[Message, ...], slots: Sequence[int]) -> None:
    """Stop where a template leaves a text out."""
    owners = [message for message in asked for part in message.content if part is not None]
    for number, message in enumerate(owners):
        if number in slots:
            continue
        if message is asked[-1]:
            raise PromptError(_LOST)
        raise PromptError(
            f"The chat template leaves out the {NAMES[message.role]}: it has no place for one. Leave it "
            "out, say it in the question, or give the whole prompt as groundviz.Verbatim('...')."
        )


def _as_written(base: str, one: str, times: int, number: int) -> str:
    """What a template makes of a text, by a prompt with its name and by the same with the text itself."""
    name = placeholder(number)
    length = (len(one) - len(base) + times * len(name)) // times
    return one[base.index(name) :][: max(0, length)]


def _bases(asked: tuple[Message, ...], written: Sequence[str]) -> list[int | None]:
    """Where in the question each text begins; None for texts of other messages."""
    count = sum(part is not None for part in asked[-1].content)
    own = written[len(written) - count :]
    starts = list(accumulate(map(len, own), initial=0))[:-1]
    return [*[None] * (len(written) - count), *starts]


def _check_images(parts: Sequence[str], marker: str, images: int) -> None:
    written = sum(part.count(marker) for part in parts) if marker else images
    if written != images:
        raise PromptError(
            f"The prompt has {written or 'no'} image token{'s' * (written != 1)}: the template should write "
            f"one for each image, and {count_images(images)}. Use the model's own template, or ask about "
            "one image."
        )


def _refuse_own(parts: Sequence[str], marker: str, question: str) -> None:
    """Stop a question that was put into the model's own template already."""
    first, last, typed = (
        " ".join((text.replace(marker, "") if marker else text).split())
        for text in (parts[0], parts[-1], question)
    )
    if first and last and typed.startswith(first) and typed.endswith(last):
        raise PromptError(
            "The question stands in the model's own chat template already: that would be put around it once "
            "more. Give the question alone, or the whole prompt as groundviz.Verbatim('...')."
        )
