"""What a live viewer needs of whatever measures more for it."""

from __future__ import annotations

from typing import Any, Protocol

from groundviz.record.types import Record
from groundviz.render.live.background_task import Tell


class More(Protocol):
    """Where maps and checks come from that were not made yet."""

    def offers(self, record: Record) -> list[dict[str, str]]:
        """The methods that can be measured: "name", "does" and "cost" of each."""

    def measure(self, explanation: Any, method: str, tell: Tell) -> Any:
        """The explanation with the maps of one of them."""

    def unchallenged(self, record: Record) -> dict[str, str]:
        """What putting the maps to the test asks ("does") and its cost; empty where that was done."""

    def challenge(self, explanation: Any, tell: Tell) -> Any:
        """The explanation with what came of it."""
