"""One turn of a conversation, as records keep it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
        """All that is said in it."""
        return "".join(text for text in self.content if text is not None)
