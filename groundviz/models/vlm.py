"""A vision-language model with the processor and the family knowledge that explain it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from groundviz import images
from groundviz.errors import UnsupportedModel
from groundviz.models.characters import character_spans
from groundviz.models.control_tokens import ControlTokens
from groundviz.models.prompts import Encoded, check_length, check_text
from groundviz.registry import Registry
from groundviz.runtime.placement import on_device
from groundviz.runtime.sites import Parts
from groundviz.types import Grid, Ints, Prompt, Study


class Family(Protocol):
    """What groundviz must know of one architecture; one object per file of this folder."""

    def matches(self, config: Any) -> bool:
        """Whether a model with this config belongs to the family."""

    def encode(self, vlm: VLM, study: Study, question: str) -> Encoded:
        """The prompt, its tensors, and where each image token lies in the source image.

        Raises:
            PromptError: The question cannot be asked of this model.
        """

    def pixel_grids(self, vlm: VLM, study: Study) -> tuple[Grid, ...]:
        """Where each pixel of the pictures that the model sees lies in the source image."""

    def parts(self, model: Any) -> Parts:
        """The model's modules, by what they do."""


FAMILIES: Registry[Family] = Registry("model family", "groundviz.families")


@dataclass(frozen=True, slots=True, eq=False)
class VLM:
    """A model that `explain` accepts.

    Attributes:
        model: The transformers module, as the user has it.
        processor: Its processor: tokenizer and image processor.
        family_name: Name of its family.
        name: Hub id, "demo", or the class name for a model from a folder or from memory; never a path.
        revision: Hub revision, or None.
    """

    model: Any
    processor: Any
    family_name: str
    name: str
    revision: str | None = None

    @property
    def family(self) -> Family:
        """The family's adapter."""
        return FAMILIES[self.family_name]

    def encode(self, study: Study, question: str) -> tuple[Prompt, Mapping[str, Tensor]]:
        """The prompt and the keyword tensors of the model's forward."""
        encoded = self.family.encode(self, study, question)
        known, highest = self.model.get_input_embeddings().weight.shape[0], encoded.prompt.token_ids.max()
        if highest >= known:
            raise UnsupportedModel(
                f"The prompt holds token {highest}, and the model has embeddings for {known} tokens. Model "
                "and processor do not belong together; load the processor of this checkpoint."
            )
        return encoded.prompt, encoded.inputs

    def read_answer(self, token_ids: Sequence[int]) -> tuple[str, tuple[str, ...], Ints]:
        """The answer's text, each token as text, and each token's characters, int (T, 2)."""
        return character_spans(self.processor.tokenizer, [int(i) for i in token_ids])

    def answer_ids(self, text: str, *, after: int = 0) -> list[int]:
        """The tokens of an answer the model is to be given, without special tokens.

        Args:
            text: The answer.
            after: How many tokens stand before it.

        Raises:
            PromptError: It is empty, too long, or contains a control token that the tokenizer
                cannot write as text.
        """
        config, controls = self.model.config, ControlTokens.of(self.processor)
        token_ids = controls.read(check_text(config, text, "answer"))
        check_length(after + len(token_ids), config, "answer")
        return token_ids

    def pixel_grids(self, study: Study) -> tuple[Grid, ...]:
        """Where each pixel of the pictures that the model sees lies in the source image."""
        return self.family.pixel_grids(self, study)

    def parts(self) -> Parts:
        """The model's modules, by what they do."""
        return self.family.parts(self.model)

    def generate(self, image: Any, question: str) -> str:
        """The model's plain answer, as `model.generate` gives it, without any explanation."""
        prompt, inputs = self.encode(images.load(image), question)
        answer = self.model.generate(**on_device(self.model, inputs))[0, len(prompt.token_ids) :]
        return self.read_answer(np.asarray(answer.cpu()).tolist())[0]
