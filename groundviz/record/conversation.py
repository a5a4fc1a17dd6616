"""What a model can be asked: a question, a conversation that ends in one, or a prompt word for word."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast, get_args

from groundviz.errors import PromptError
from groundviz.record.parts.messages import Message, Role
from groundviz.record.types import Prompt

# Turns as chat formats open them: a control token and who speaks, or a pair of brackets around a turn.
_MARKED_TURNS = re.compile(
    r"<\|im_start\|>\s*(system|user|assistant)\b"
    r"|<start_of_turn>\s*(system|user|model)\b"
    r"|<\|start_header_id\|>\s*(system|user|assistant)\s*<\|end_header_id\|>"
    r"|<\|(system|user)\|>.*<\|assistant\|>"
    r"|^\s*(<s>)?\s*\[INST\].*\[/INST\]"
    r"|<<SYS>>.*<</SYS>>"
    r"|<end_of_utterance>\s*(User|Assistant|<)",
    re.DOTALL,
)
# Names in capitals, as in "USER: ... ASSISTANT: ...": nobody writes both in a question.
_CAPITAL_TURNS = re.compile(r"\b(USER|HUMAN)\s?:.*\bASSISTANT\s?:", re.DOTALL)
# Other names are ordinary words. They are a template's only where it waits for the answer at the end.
_WAITING = re.compile(
    r"(^|\n|[.?!>]\s|### ?)(User|Human|Instruction)\s?:.*(\b|### ?)(Assistant|AI|Response)\s?:\s*$", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Verbatim:
    r"""A prompt that goes to the model word for word, in no chat template.

    Control tokens count in it, and only in it. Each image stands where the text holds the model's image
    token; where it holds none, the images are put in front. The tokenizer adds its start token
    unless the text begins with it.

    >>> Verbatim("USER: <image>\nIs there a nodule? ASSISTANT:").text[:6]
    'USER: '
    """

    text: str


# In the form in which models are asked: with all messages of the right shape.
Asking = str | Verbatim | tuple[Message, ...]


def asking(question: Any, system: Any = None) -> Asking:
    """What `explain` was asked, checked, in the form in which models are asked.

    Args:
        question: A text, a `Verbatim`, or a list of chat messages, {"role": ..., "content": ...}, the last of
            which is the user's. The content is a text or a list of parts: {"type": "text", "text": ...}
            and {"type": "image"}, where the next image stands.
        system: A system prompt to put in front.

    Raises:
        PromptError: Something is of another kind, or the messages make no conversation.

    >>> asking("Is there a nodule?")
    'Is there a nodule?'
    >>> [message.role for message in asking("Is there a nodule?", system="You are a radiologist.")]
    ['system', 'user']
    """
    if system is not None and not isinstance(system, str):
        raise PromptError(f"The system prompt is {_kind(system)}: expected a text. Give system='...'.")
    if isinstance(question, Verbatim):
        return _verbatim(question, system)
    if isinstance(question, str) and system is None:
        return question
    if isinstance(question, str):
        messages = [Message(role="user", content=(question,))]
    elif isinstance(question, Sequence) and not isinstance(question, bytes | bytearray):
        messages = [_message(number, one) for number, one in enumerate(question)]
    else:
        raise PromptError(
            f"The question is {_kind(question)}: expected a text, a list of chat messages or a "
            "groundviz.Verbatim. Give the question as a text."
        )
    if system is not None:
        messages.insert(0, Message(role="system", content=(system,)))
    _check_order(messages)
    # A message with a text alone is the same as that text: it gets the same record.
    if len(messages) == 1 and len(messages[0].content) == 1:
        return cast(str, messages[0].content[0])
    return tuple(messages)


def asked_again(prompt: Prompt) -> Asking:
    """What made a prompt, to make it again of."""
    if prompt.verbatim:
        return Verbatim(prompt.question)
    return prompt.messages or prompt.question


def instead(asked: Asking, question: str) -> Asking:
    """The same conversation with another question at its end; a verbatim prompt gives way to the question."""
    if isinstance(asked, str | Verbatim):
        return question
    images = tuple(part for part in asked[-1].content if part is None)
    return (*asked[:-1], replace(asked[-1], content=(*images, question)))


def described(prompt: Prompt, image_token: str) -> dict[str, str]:
    """How a model was asked, in plain words under "prompt", where it was asked more than a question.

    Args:
        prompt: What was asked.
        image_token: How a prompt marks an image; "" where it does not.
    """
    if prompt.verbatim and image_token and image_token in prompt.question:
        return {"prompt": "verbatim"}
    if prompt.verbatim:
        return {"prompt": "verbatim, with the images put in front"}
    roles = [message.role for message in prompt.messages]
    before = []
    if "system" in roles:
        before.append("a system prompt")
    # The last turn is the question itself.
    earlier = len(roles[:-1]) - roles[:-1].count("system")
    if earlier:
        before.append(f"{earlier} earlier turn{'s' * (earlier != 1)}")
    if not before:
        return {}
    return {"prompt": f"the question behind {' and '.join(before)}"}


def refuse_pasted(text: str) -> None:
    """Stop a chat template that was pasted as a question: it would be asked inside the model's own.

    A control token by itself is no template, and neither are "user:" and "assistant:" in a sentence.

    Raises:
        PromptError: The text holds the turns of a chat.

    >>> refuse_pasted("The user: a nurse. Is there a nodule?")
    """
    if _MARKED_TURNS.search(text) or _CAPITAL_TURNS.search(text) or _WAITING.search(text):
        raise PromptError(
            "The text holds the turns of a chat template, and the model's own template would be put around "
            "it. Give the question alone, earlier turns as a list of messages, or the whole prompt as "
            "groundviz.Verbatim('...')."
        )


def _verbatim(question: Verbatim, system: str | None) -> Verbatim:
    if not isinstance(question.text, str):
        raise PromptError(f"The verbatim prompt is {_kind(question.text)}: expected a text. Give a text.")
    if system is not None:
        raise PromptError(
            "There is a system prompt beside a verbatim prompt: nothing is put around the latter. "
            "Write the system prompt into it."
        )
    return question


def _message(number: int, given: Any) -> Message:
    """One chat message, as transformers' chat templates take it."""
    if isinstance(given, Message):
        return given
    where = f"Message {number} of the question"
    if not isinstance(given, Mapping):
        raise PromptError(f"{where} is {_kind(given)}: expected a table with 'role' and 'content'. Give one.")
    fields = {"role", "content"}
    # In the order in which they were given, and should have been.
    unknown = [repr(name) for name in given if name not in fields]
    missing = [repr(name) for name in ("role", "content") if name not in given]
    if unknown or missing:
        raise PromptError(
            f"{where} has {', '.join(unknown) or 'nothing'} beside, and {', '.join(missing) or 'nothing'} "
            "missing: expected 'role' and 'content' alone. Give these two."
        )
    if given["role"] not in get_args(Role):
        raise PromptError(
            f"{where} has the role {given['role']!r}: expected 'system', 'user' or 'assistant'. "
            "Name one of these."
        )
    content = given["content"]
    if isinstance(content, str):
        return Message(role=given["role"], content=(content,))
    if not isinstance(content, Sequence) or isinstance(content, bytes | bytearray):
        raise PromptError(f"{where} holds {_kind(content)}: expected a text or a list of parts. Give one.")
    parts = []
    for one in content:
        part = _part(where, one)
        # An empty text would part the texts around it for nothing.
        if part != "":
            parts.append(part)
    return Message(role=given["role"], content=tuple(parts))


def _part(where: str, given: Any) -> str | None:
    """A text, or None for an image."""
    if isinstance(given, Mapping) and dict(given) == {"type": "image"}:
        return None
    if isinstance(given, Mapping) and given.keys() == {"type", "text"} and given["type"] == "text":
        if isinstance(given["text"], str):
            return given["text"]
    found = _kind(given)
    if isinstance(given, Mapping):
        # The names of its fields alone: what they hold may name a patient.
        found = f"a part with {sorted(map(str, given))}"
    raise PromptError(
        f"{where} holds {found}: expected {{'type': 'text', 'text': '...'}} or {{'type': 'image'}}. "
        "Images themselves are given as the image to explain."
    )


def _check_order(messages: Sequence[Message]) -> None:
    if not messages or messages[-1].role != "user":
        last = "there is no message"
        if messages:
            last = f"the last message is the {messages[-1].role}'s"
        raise PromptError(f"The conversation asks nothing: {last}. Let it end in a message of the user.")
    if any(message.role == "system" for message in messages[1:]):
        raise PromptError(
            "There is a system prompt behind another message: expected one, in front. Give one system prompt."
        )
    if any(part is None for message in messages if message.role != "user" for part in message.content):
        raise PromptError(
            "An image stands in a message that is not the user's. Put it into one of the user's."
        )
    for number, message in enumerate(messages):
        if not message.text.strip():
            raise PromptError(
                f"Message {number} of the conversation, the {message.role}'s, is empty: found no text. "
                "Give it a text, or leave it out."
            )


def _kind(value: Any) -> str:
    """What was found, in words, without what it holds."""
    if value is None:
        return "None"
    return f"of type {type(value).__name__}"
