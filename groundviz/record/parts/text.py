"""What a model was given to read, and what it answered, token by token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from groundviz.record.parts import brief
from groundviz.record.parts.arrays import Floats, Ints
from groundviz.record.parts.image import Grid
from groundviz.record.parts.messages import Message

SpanKind = Literal["image", "question", "template"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A run of prompt tokens [start, stop) that came from one place."""

    kind: SpanKind
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompt:
    """The exact tokens the model was given, and what each of them stands for.

    Attributes:
        text: The whole prompt before images are expanded.
        question: What was typed: the last turn's text where there are several, or the verbatim prompt.
        token_ids: int (token,).
        tokens: The tokens by their names in the vocabulary.
        spans: What each of them came from.
        grids: The image cells that attention maps lie on.
        offsets: int (token, 2), the characters of `question` that each token wrote; empty for tokens
            that wrote none. None where that is not known.
        messages: The whole conversation, a system prompt first, where more than a question was asked;
            the spans call its other turns "template", like all that stands around the question.
        verbatim: Whether `question` is the prompt itself, put into no chat template.
    """

    text: str
    question: str
    token_ids: Ints
    tokens: tuple[str, ...]
    spans: tuple[Span, ...]
    grids: tuple[Grid, ...]
    offsets: Ints | None = None
    messages: tuple[Message, ...] = ()
    verbatim: bool = False

    @property
    def image_ids(self) -> frozenset[int]:
        """Ids of the tokens that stand for an image."""
        spans = (self.token_ids[span.start : span.stop] for span in self.spans if span.kind == "image")
        return frozenset(int(token) for ids in spans for token in ids)

    @property
    def asked(self) -> tuple[int, ...]:
        """Indices of the question's tokens as `Target.tokens` counts them, ascending: -1 is the last one."""
        spans = (range(span.start, span.stop) for span in self.spans if span.kind == "question")
        return tuple(at - len(self.tokens) for span in spans for at in span)

    def __repr__(self) -> str:
        turns = ""
        if self.messages:
            turns = brief.counted(len(self.messages), "message")
        tokens, grids = brief.counted(len(self.tokens), "token"), brief.counted(len(self.grids), "grid")
        return brief.line("Prompt", brief.quoted(self.question), turns, tokens, grids)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What the model answered, token by token.

    Attributes:
        text: The answer without special tokens.
        token_ids: int (T,), exactly what was generated, end token included.
        tokens: The T tokens as text; special tokens keep their name.
        offsets: int (T, 2), the characters of `text` each token wrote; empty for special tokens.
        logprobs: float32 (T,), natural log of the model's raw (unwarped) probability of each token.
        source: "generated" by the model, or "given" to it.
        finished: Whether the model ended the answer by itself; False where it was cut off by its length,
            None where that is not known, as for a given answer.
    """

    text: str
    token_ids: Ints
    tokens: tuple[str, ...]
    offsets: Ints
    logprobs: Floats
    source: Literal["generated", "given"]
    finished: bool | None = None

    @property
    def spoken(self) -> tuple[int, ...]:
        """Indices of the tokens that wrote a character of the answer."""
        return tuple(int(i) for i in np.flatnonzero(self.offsets[:, 1] > self.offsets[:, 0]))

    @property
    def confidence(self) -> float:
        """Probability of the whole spoken answer: the product over its tokens, 0 to 1."""
        return float(np.exp(self.logprobs[list(self.spoken)].sum(dtype=np.float64)))

    def __repr__(self) -> str:
        cut = ""
        if self.finished is False:
            cut = "cut off by its length"
        tokens = brief.counted(len(self.tokens), "token")
        share = f"probability {self.confidence:.3g}"
        return brief.line("Answer", brief.quoted(self.text), tokens, share, self.source, cut)
