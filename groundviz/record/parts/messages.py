"""One turn of a conversation, as records keep it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from groundviz.record.parts import brief

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: Who speaks.
        content: Texts, in their order; None where an image stands.
    """

    role: Role
    content: tuple[str | None, ...]

    @property
    def text(self) -> str:
        """All texts in it, joined."""
        return "".join(text for text in self.content if text is not None)

    def __repr__(self) -> str:
        images = brief.counted(self.content.count(None), "image")
        return brief.line("Message", self.role, brief.quoted(self.text), images)
