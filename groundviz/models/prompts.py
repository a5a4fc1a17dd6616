"""From a question to tokens that know what they stand for, and from answer tokens back to characters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from groundviz.errors import PromptError
from groundviz.types import Ints, Prompt, Span

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A prompt and the keyword tensors that carry it into the model's forward."""

    prompt: Prompt
    inputs: Mapping[str, Tensor]


def check_text(tokenizer: Any, text: str, what: str) -> str:
    """A text as the model will read it, without surrounding blanks.

    Args:
        tokenizer: The model's tokenizer.
        text: What a user typed.
        what: What it is, for the message: "question" or "answer".

    Raises:
        PromptError: It is empty, is not valid Unicode text, or contains a control token of the model.
    """
    typed = text.strip()
    if not typed:
        raise PromptError(f"The {what} is empty: it has no token. Give at least one word.")
    try:
        typed.encode("utf-8")
    except UnicodeEncodeError:
        raise PromptError(f"The {what} holds half a character (a lone surrogate). Type it again.") from None
    smuggled = _control_tokens(tokenizer, typed)
    if smuggled:
        raise PromptError(
            f"The {what} contains {smuggled[0]!r}, which this model reads as a command, not as text. "
            "Remove it."
        )
    return typed


def check_length(prompt_length: int, config: Any) -> None:
    """Refuse a prompt that leaves no room for an answer.

    Raises:
        PromptError: The prompt is at least as long as the model has positions.
    """
    positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    if positions is not None and prompt_length >= positions:
        raise PromptError(
            f"The question is too long: image and question take {prompt_length} tokens, and the model has "
            f"positions for {positions}. Shorten it."
        )


def render_chat(processor: Any, question: str, fallback: str) -> str:
    """The prompt text of one image and one question, in the model's own chat template.

    Args:
        processor: The model's processor.
        question: Checked by `check_text`.
        fallback: Template with {question}, for a processor without a chat template.
    """
    if not getattr(processor, "chat_template", None):
        return fallback.format(question=question)
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}
    return str(processor.apply_chat_template([message], add_generation_prompt=True, tokenize=False))


def adds_special_tokens(tokenizer: Any, text: str) -> bool:
    """Whether the tokenizer should still add its start token: not where the template wrote it."""
    start = getattr(tokenizer, "bos_token", None)
    return not (start and text.startswith(start))


def find_spans(
    tokenizer: Any, token_ids: list[int], expanded: str, question: str, image: Ints
) -> tuple[Span, ...]:
    """Which tokens are image, which are the question, and which are the template around them.

    Args:
        tokenizer: A fast tokenizer, or a slow one (then the question is not told from the template).
        token_ids: The prompt.
        expanded: The prompt's text with one marker per image token.
        question: As it stands in that text.
        image: Positions of the image tokens.
    """
    kinds = np.full(len(token_ids), "template", dtype=object)
    start = expanded.rfind(question)
    if start >= 0 and getattr(tokenizer, "is_fast", False):
        coded = tokenizer(
            expanded,
            return_offsets_mapping=True,
            add_special_tokens=adds_special_tokens(tokenizer, expanded),
        )
        if list(coded.input_ids) == token_ids:
            begins, ends = np.array(coded.offset_mapping).T
            kinds[(begins < start + len(question)) & (ends > start) & (ends > begins)] = "question"
    kinds[image] = "image"
    edges = [0, *(np.flatnonzero(kinds[1:] != kinds[:-1]) + 1).tolist(), len(kinds)]
    return tuple(Span(kind=kinds[a], start=a, stop=b) for a, b in pairwise(edges) if b > a)


def character_spans(tokenizer: Any, token_ids: list[int]) -> tuple[str, tuple[str, ...], Ints]:
    """Decode answer tokens one prefix at a time, so that each knows the characters it wrote.

    Tokens that together make one character (bytes of an emoji) share its range; special tokens
    wrote nothing and have an empty one.

    Returns:
        The text, each token as text, and int (T, 2) offsets into the text.
    """
    special = set(tokenizer.all_special_ids)
    ends, spoken, written = [], [], ""
    for token in token_ids:
        if token not in special or token == tokenizer.unk_token_id:
            spoken.append(token)
            decoded = _decode(tokenizer, spoken)
            written = decoded if not decoded.endswith(REPLACEMENT) else written
        ends.append(len(written))
    text = _decode(tokenizer, spoken)
    offsets = _offsets(text, ends, [t in special and t != tokenizer.unk_token_id for t in token_ids])
    tokens = tuple(
        text[a:b] if b > a else str(tokenizer.convert_ids_to_tokens(token))
        for token, (a, b) in zip(token_ids, offsets.tolist(), strict=True)
    )
    return text, tokens, offsets


def _offsets(text: str, ends: list[int], silent: list[bool]) -> Ints:
    """Turn the text length behind each token into ranges without surrounding blanks."""
    offsets = np.zeros((len(ends), 2), dtype=np.int64)
    start = 0
    for i, stop in enumerate(ends):
        if silent[i]:
            offsets[i] = (stop, stop)
            continue
        # A token that completes nothing belongs to the character that a later one completes.
        shown = next((end for end in ends[i:] if end > start), len(text))
        blanks = len(text[start:shown]) - len(text[start:shown].lstrip())
        offsets[i] = (start + blanks if start + blanks < shown else start, shown)
        start = stop
    return offsets


def _decode(tokenizer: Any, token_ids: list[int]) -> str:
    return str(tokenizer.decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _control_tokens(tokenizer: Any, text: str) -> list[str]:
    """Special tokens that the text would turn into; an unknown word is not one."""
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    special = (special | set(tokenizer.all_special_ids)) - {tokenizer.unk_token_id}
    ids = tokenizer(text, add_special_tokens=False).input_ids
    return [str(tokenizer.convert_ids_to_tokens(i)) for i in ids if i in special]
