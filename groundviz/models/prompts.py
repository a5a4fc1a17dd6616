"""From a question to the tokens of a prompt, each of which knows what it stands for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, cast

import numpy as np

from groundviz.conversation import Asking, refuse_pasted
from groundviz.errors import PromptError
from groundviz.models.characters import woven
from groundviz.models.control_tokens import PLACES, placeholder
from groundviz.models.scribe import Filling
from groundviz.models.templates import fill
from groundviz.types import Bools, Ints, Message, Span

# No language has words that long on average; longer texts are refused before they are tokenised.
MOST_CHARACTERS_PER_TOKEN = 16
_NAMES = {"system": "system prompt", "user": "earlier turn", "assistant": "earlier turn"}
_LOST = (
    "The chat template loses the question, or changes with it: it cannot be told where the question "
    "stands in the prompt. Use the model's own template, or reword the question."
)
# How a template reads that writes a list of parts as if it were a text.
_PYTHON = re.compile(r"""['"]type['"]: ?['"]text['"]""")


@dataclass(frozen=True, slots=True)
class Format:
    """A prompt written by hand, for a processor without a chat template.

    Attributes:
        turn: A question with its images, up to where the model answers: with {images} and {question}.
        later: A question without images.
        answer: How an answer ends a turn that was answered: with {answer}; empty where the format knows
            no earlier turns.
        system: How a system prompt stands in front: with {system}; empty where the format knows none.
        start: What stands before everything.
    """

    turn: str
    later: str = ""
    answer: str = ""
    system: str = ""
    start: str = ""


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
        replace(one, content=_checked(config, one, "question" if number == last else _NAMES[one.role]))
        for number, one in enumerate(messages)
    )
    placed = sum(part is None for one in checked for part in one.content)
    if not placed:
        first = next(number for number, one in enumerate(checked) if one.role == "user")
        shown = replace(checked[first], content=(*[None] * images, *checked[first].content))
        return (*checked[:first], shown, *checked[first + 1 :])
    if placed != images:
        raise PromptError(
            f"The messages place {placed} image{'s' * (placed != 1)}, and {_count(images)}. Place each image "
            "once, or leave all places out."
        )
    return checked


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
    write = _writer(processor, asked, fallback, marker)
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
        expected = _count(images) if marker else "its processor itself puts images into the prompt"
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


Write = Callable[[Sequence[Sequence[str]]], Sequence[str]]


def _writer(processor: Any, asked: tuple[Message, ...], fallback: str | Format, marker: str) -> Write:
    """What makes prompts of the texts of some messages, several sets of texts at once."""
    if getattr(processor, "chat_template", None):
        return partial(_in_template, processor, asked)
    form = Format(fallback) if isinstance(fallback, str) else fallback
    return lambda sets: [_by_hand(form, asked, marker, iter(texts)) for texts in sets]


def _in_template(processor: Any, asked: tuple[Message, ...], sets: Sequence[Sequence[str]]) -> Sequence[str]:
    """In the processor's chat template, with messages in a form that it takes.

    Most templates take texts as lists of parts, some a system prompt or all texts as they are: such a
    template loses a list, fails, or writes it as Python does.
    """
    refusal, poor = None, None
    for bare in ((), ("system",), ("system", "user", "assistant"))[: 1 if len(asked) == 1 else None]:
        try:
            written = fill(processor, [_as_chat(asked, iter(texts), bare) for texts in sets])
        except PromptError as error:
            refusal = refusal or error
            continue
        if all(name in written[0] for name in sets[0]) and not _PYTHON.search(written[0]):
            return written
        poor = poor or written
    if poor is None and refusal is not None:
        raise refusal
    return poor or ()


def _as_chat(asked: tuple[Message, ...], texts: Iterator[str], bare: Sequence[str]) -> list[dict[str, Any]]:
    """Messages as transformers takes them, with other texts, those of some roles not in lists."""
    chat = []
    for message in asked:
        content: Any = [
            {"type": "image"} if part is None else {"type": "text", "text": next(texts)}
            for part in message.content
        ]
        if message.role in bare and None not in message.content:
            content = "".join(part["text"] for part in content)
        chat.append({"role": message.role, "content": content})
    return chat


def _by_hand(form: Format, asked: tuple[Message, ...], marker: str, texts: Iterator[str]) -> str:
    """In a format without a chat template."""
    written, before = form.start, "system"
    for message in asked:
        said = "".join(next(texts) for part in message.content if part is not None)
        images = message.content.count(None)
        known = {"system": form.system, "assistant": form.answer, "user": form.turn}[message.role]
        if not known or (message.role == before != "system") or None in message.content[images:]:
            raise PromptError(_unknown_to(form))
        if message.role == "user" and not images and before == "assistant":
            known = form.later
        if message.role == "user" and before == "assistant" and not known:
            raise PromptError(_unknown_to(form))
        written += known.format(images=marker * images, question=said, answer=said, system=said)
        before = message.role
    return written


def _unknown_to(form: Format) -> str:
    knows = ["one question, with the images in front of it"]
    knows += ["a system prompt"] * bool(form.system)
    knows += ["earlier turns, the user's and the assistant's by turns"] * bool(form.answer)
    return (
        "The processor has no chat template, and this model's prompt format has no place for these "
        f"messages: it knows {' and '.join(knows)}. Leave the rest out, or give the whole prompt as "
        "groundviz.Verbatim('...')."
    )


def _check_all_written(asked: tuple[Message, ...], slots: Sequence[int]) -> None:
    """Stop where a template leaves a text out."""
    owners = [message for message in asked for part in message.content if part is not None]
    for number, message in enumerate(owners):
        if number in slots:
            continue
        if message is asked[-1]:
            raise PromptError(_LOST)
        raise PromptError(
            f"The chat template leaves out the {_NAMES[message.role]}: it has no place for one. Leave it "
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
            f"one for each image, and {_count(images)}. Use the model's own template, or ask about one image."
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


def _count(images: int) -> str:
    return "there is one image" if images == 1 else f"there are {images} images"
