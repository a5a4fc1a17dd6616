"""Writes messages as a prompt: in a processor's chat template, or in a format that a family defines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from groundviz.errors import PromptError
from groundviz.models.prompting.template_filling import fill
from groundviz.record.types import Message

# What a prompt contains if a template writes a list of parts as Python prints it.
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


Write = Callable[[Sequence[Sequence[str]]], Sequence[str]]


def writer(processor: Any, asked: tuple[Message, ...], fallback: str | Format, marker: str) -> Write:
    """A function that writes prompts: from several sets of texts to a prompt for each set.

    Args:
        processor: The model's processor.
        asked: The messages whose texts are replaced.
        fallback: As for `render_chat`.
        marker: As for `render_chat`.
    """
    if getattr(processor, "chat_template", None):
        return partial(_in_template, processor, asked)
    form = fallback
    if isinstance(form, str):
        form = Format(form)
    return partial(_in_format, form, asked, marker)


def _in_template(processor: Any, asked: tuple[Message, ...], sets: Sequence[Sequence[str]]) -> Sequence[str]:
    """Prompts in the processor's chat template, with messages in a form that it takes.

    Most templates take a message as a list of parts. Some want the system prompt, or all messages, as a plain
    text: they lose a list, fail on it, or write it as Python prints it. Each form is tried until one works.
    """
    forms: tuple[tuple[str, ...], ...] = ((),)
    if len(asked) > 1:
        forms = ((), ("system",), ("system", "user", "assistant"))
    refusal, incomplete = None, None
    for plain in forms:
        try:
            written = fill(processor, [_as_chat(asked, iter(texts), plain) for texts in sets])
        except PromptError as error:
            refusal = refusal or error
            continue
        if all(name in written[0] for name in sets[0]) and not _PYTHON.search(written[0]):
            return written
        incomplete = incomplete or written
    if incomplete is None and refusal is not None:
        raise refusal
    # The caller says which text is missing.
    return incomplete or ()


def _as_chat(asked: tuple[Message, ...], texts: Iterator[str], plain: Sequence[str]) -> list[dict[str, Any]]:
    """Messages as transformers takes them, with other texts.

    Args:
        asked: The messages.
        texts: What replaces their texts, in order.
        plain: The roles whose messages are a plain text, if they hold no image.
    """
    chat = []
    for message in asked:
        content: Any = []
        for part in message.content:
            if part is None:
                content.append({"type": "image"})
            else:
                content.append({"type": "text", "text": next(texts)})
        if message.role in plain and None not in message.content:
            content = "".join(part["text"] for part in content)
        chat.append({"role": message.role, "content": content})
    return chat


def _in_format(
    form: Format, asked: tuple[Message, ...], marker: str, sets: Sequence[Sequence[str]]
) -> Sequence[str]:
    """Prompts in a family's own format, one for each set of texts."""
    return [_by_hand(form, asked, marker, iter(texts)) for texts in sets]


def _by_hand(form: Format, asked: tuple[Message, ...], marker: str, texts: Iterator[str]) -> str:
    """One prompt in a family's own format."""
    written, before = form.start, "system"
    for message in asked:
        text = "".join(next(texts) for part in message.content if part is not None)
        images = message.content.count(None)
        known = {"system": form.system, "assistant": form.answer, "user": form.turn}[message.role]
        # Turns alternate, and images come first in a turn.
        if not known or (message.role == before != "system") or None in message.content[images:]:
            raise PromptError(_unknown_to(form))
        if message.role == "user" and not images and before == "assistant":
            known = form.later
        if message.role == "user" and before == "assistant" and not known:
            raise PromptError(_unknown_to(form))
        written += known.format(images=marker * images, question=text, answer=text, system=text)
        before = message.role
    return written


def _unknown_to(form: Format) -> str:
    knows = ["one question, with the images in front of it"]
    if form.system:
        knows.append("a system prompt")
    if form.answer:
        knows.append("earlier turns, the user's and the assistant's by turns")
    return (
        "The processor has no chat template, and this model's prompt format has no place for these "
        f"messages: it knows {' and '.join(knows)}. Leave the rest out, or give the whole prompt as "
        "groundviz.Verbatim('...')."
    )
