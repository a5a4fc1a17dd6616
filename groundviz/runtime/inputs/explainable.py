"""The interface of a model and its processor, as the runtime uses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from groundviz.record.conversation import Asking
from groundviz.record.types import Ints, SourceImage
from groundviz.runtime.inputs.encoded import Encoded
from groundviz.runtime.inputs.sites import Parts


class Explainable(Protocol):
    """A model with its processor, which can be borrowed and explained."""

    @property
    def model(self) -> Any:
        """The transformers module."""

    @property
    def processor(self) -> Any:
        """Its processor: tokenizer and image processor."""

    @property
    def name(self) -> str:
        """A public name, never a path."""

    @property
    def revision(self) -> str | None:
        """Hub revision."""

    @property
    def sources(self) -> Mapping[str, str]:
        """What it was put together from, as text for people."""

    @property
    def family_name(self) -> str:
        """Name of the model family."""

    def encode(self, source_images: Sequence[SourceImage], question: Asking) -> Encoded:
        """The prompt, the keyword tensors of the model's forward, and the positions of the image in them."""

    def read_answer(self, token_ids: Sequence[int]) -> tuple[str, tuple[str, ...], Ints]:
        """The text of answer tokens, each token as text, and each token's characters (T, 2)."""

    def answer_ids(self, text: str, *, after: int = 0) -> list[int]:
        """The tokens of a given answer, which follow `after` other tokens."""

    def parts(self) -> Parts:
        """The model's modules, by what they do."""
