"""Messages written as a prompt: in a processor's chat template, or in a format of a family's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from groundviz.errors import PromptError
from groundviz.models.prompting.template_filling import fill
from groundviz.record.types import Message

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


Write = Callable[[Sequence[Sequence[str]]], Sequence[str]]


def writer(processor: Any, asked: tuple[Message, ...], fallback: str | Format, marker: str) -> Write:
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
