"""Tokenizers that frame their text."""

from __future__ import annotations

from typing import Any

from tokenizers.processors import TemplateProcessing


def framed(tokenizer: Any, before: str = "", after: str = "") -> Any:
    """The same tokenizer; it now puts one token before each text, and one after it.

    Args:
        tokenizer: A fast tokenizer, which is changed.
        before: The token before, such as "[CLS]"; "" for none.
        after: The token after, such as "[SEP]"; "" for none.

    >>> from groundviz.testing.families.words import word_tokenizer
    >>> words = framed(word_tokenizer("[CLS]", "[SEP]"), "[CLS]", "[SEP]")
    >>> words.convert_ids_to_tokens(words("is there").input_ids)
    ['[CLS]', 'is', 'there', '[SEP]']
    """
    known = [(token, tokenizer.convert_tokens_to_ids(token)) for token in (before, after) if token]
    frame = f"{before} $A {after}".strip()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=frame, special_tokens=known)
    return tokenizer
