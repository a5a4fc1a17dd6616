"""What is explained: a part of the answer or the question, perhaps rather than something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from groundviz.record.parts import brief


@dataclass(frozen=True, slots=True, kw_only=True)
class Foil:
    """What the model might have generated instead of a target.

    Attributes:
        text: How it reads.
        token_ids: Its tokens, as they would stand in the target's place.
    """

    text: str
    token_ids: tuple[int, ...]

    def __repr__(self) -> str:
        return brief.line("Foil", brief.quoted(self.text), brief.counted(len(self.token_ids), "token"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The part of the answer to be explained, perhaps rather than something else in its place.

    Its scalar is the summed log-probability of the tokens, each given what stands before it;
    minus that of the foil's tokens, where there is a foil. A part of the question is a target, too:
    of where the model looked when it read that. It has no probability, and no foil.

    Attributes:
        tokens: Indices of answer tokens, ascending; or, all below zero, of tokens of the prompt,
            counted back from the answer's first: -1 is the prompt's last token.
        text: How the target reads, for labels.
        foil: What the model might have generated in place of the tokens.

    >>> Target(tokens=(3,), text="effusion").kind
    'logprob'
    """

    tokens: tuple[int, ...]
    text: str
    foil: Foil | None = None

    @property
    def kind(self) -> Literal["logprob", "contrast"]:
        """What the scalar is."""
        return "contrast" if self.foil else "logprob"

    @property
    def in_question(self) -> bool:
        """Whether it is a part of the question, and not of the answer."""
        return min(self.tokens, default=0) < 0

    @property
    def scalar(self) -> tuple[tuple[int, ...], Foil | None]:
        """What tells one target from another: the same tokens against the same foil."""
        return self.tokens, self.foil

    def __repr__(self) -> str:
        first, last = min(self.tokens, default=0), max(self.tokens, default=0)
        which = brief.counted(len(self.tokens), "token") or "no token"
        if len(self.tokens) == 1:
            which = f"token {first}"
        elif self.tokens:
            which += f" from {first} to {last}"
        foil = ""
        if self.foil is not None:
            foil = f"foil {brief.quoted(self.foil.text)}"
        return brief.line("Target", brief.quoted(self.text), which, foil)
