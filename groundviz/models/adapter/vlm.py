"""A vision-language model with its processor and the adapter of its family."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from groundviz import images
from groundviz.models.adapter.mismatch import check_belonging
from groundviz.models.adapter.shape_check import encode_or_say
from groundviz.models.prompting.control_tokens import ControlTokens
from groundviz.models.prompting.offsets import character_spans
from groundviz.models.prompting.prompt import check_length, check_text
from groundviz.record.conversation import Asking
from groundviz.record.types import Ints, SourceImage
from groundviz.registry import Registry
from groundviz.runtime.inputs.encoded import Encoded
from groundviz.runtime.inputs.sites import Parts
from groundviz.runtime.loan.device import home, on_device
from groundviz.runtime.passes.forward import added, continued, for_generate


class Family(Protocol):
    """What groundviz must know of one architecture; one object per file of this folder."""

    # Two more facts may be stated, for tables: `says`, what the family is, in a sentence; `classes`, which
    # classes of transformers it is for. Nothing depends on them.

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Hub ids of checkpoints it is meant for."""

    def matches(self, config: Any) -> bool:
        """Whether a model with this config belongs to the family."""

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """The prompt, its tensors, and where each cell of the image lies in the source images.

        Raises:
            ImageError: An image is too long or too small for this model's processor.
            PromptError: The question cannot be asked of this model.
            UnsupportedModel: Model and processor do not belong together.
        """

    def parts(self, model: Any) -> Parts:
        """The model's modules, by what they do."""


def _fault(entry: object) -> str:
    """Why an object is no family, or "" if it is one."""
    if isinstance(entry, type):
        return "is a class, and should be an object of it"
    lacking = [part for part in ("matches", "encode", "parts") if not callable(getattr(entry, part, None))]
    if not hasattr(entry, "checkpoints"):
        lacking.append("checkpoints")
    if not lacking:
        return ""
    return f"lacks {' and '.join(lacking)}"


# What remains where no family matches: a model that is measured, and one of which nothing inside is known.
MEASURED, UNKNOWN = "measured", "unknown"
FAMILIES: Registry[Family] = Registry("model family", "groundviz.families", _fault)


def family_of(config: Any) -> str | None:
    """Name of the family that a model with this config belongs to, ours before others; None if none.

    A family that fails to answer, as one of another package may, is skipped with a warning.
    """
    for name in FAMILIES.ours_first():
        try:
            if FAMILIES[name].matches(config):
                return name
        except Exception as error:
            warnings.warn(
                f"The model family {name!r} is passed over: it cannot say whether a model of type "
                f"{getattr(config, 'model_type', None)!r} is its own ({type(error).__name__}).",
                RuntimeWarning,
                stacklevel=2,
            )
    return None


@dataclass(frozen=True, slots=True, eq=False)
class VLM:
    """A model that `explain` accepts.

    Attributes:
        model: The transformers module, as the user has it.
        processor: Its processor: tokenizer and image processor.
        family_name: Name of its family.
        name: Hub id, "demo", or the class name for a model from a folder or from memory; never a path.
        revision: Hub revision, or None.
        sources: What was loaded from where, in plain words, where there is more to say.
    """

    model: Any
    processor: Any
    family_name: str
    name: str
    revision: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def family(self) -> Family:
        """The family's adapter."""
        return FAMILIES[self.family_name]

    def encode(self, source_images: Sequence[SourceImage], question: Asking) -> Encoded:
        """The prompt, the keyword tensors of the model's forward, and where the image is in them.

        Raises:
            ImageError: An image is too long or too small for this model's processor.
            PromptError: The question cannot be asked of this model.
            UnsupportedModel: Model and processor do not belong together.
        """
        encoded = encode_or_say(self.family, self, tuple(source_images), question)
        known, highest = self.model.get_input_embeddings().weight.shape[0], encoded.prompt.token_ids.max()
        check_belonging(
            highest < known,
            f"The prompt holds token {highest}, and the model has embeddings for {known} tokens.",
        )
        return encoded

    def inputs(self, image: Any, question: Asking) -> dict[str, Tensor]:
        """The exact keyword tensors of the model's forward, on its device.

        Args:
            image: An image, or a list of them, as `explain` takes them.
            question: What to ask.

        Raises:
            ImageError: The image cannot be read.
            PromptError: The question cannot be asked of this model.
        """
        return on_device(self.model, self.encode(images.load_each(image), question).inputs)

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
        config = self.model.config
        controls = ControlTokens.of(self.processor)
        token_ids = controls.read(check_text(config, text, "answer"))
        check_length(after + len(token_ids), config, "answer")
        return token_ids

    def parts(self) -> Parts:
        """The model's modules, by what they do."""
        measured = getattr(self.family, "measured_parts", None)
        if measured is not None:
            found: Parts = measured(self)
            return found
        return self.family.parts(self.model)

    def describe(self) -> str:
        """What was loaded from where and how it is asked, one line for each fact; no paths."""
        name = self.name
        if self.revision:
            name = f"{name} at {self.revision}"
        facts = {
            "model": name,
            "architecture": f"{type(self.model).__name__}, family {self.family_name}",
            **self.sources,
            "computes in": f"{str(self.model.dtype).removeprefix('torch.')} on {home(self.model)}",
            "prompt": repr(getattr(self.processor, "prompt", None) or "the processor's chat template"),
        }
        return "\n".join(f"{name}: {fact}" for name, fact in facts.items())

    def generate(self, image: Any, question: Asking) -> str:
        """The model's plain answer, as `model.generate` gives it, without any explanation."""
        inputs = self.inputs(image, question)
        made = self.model.generate(**for_generate(self.model, inputs))
        return self.read_answer(added(inputs[continued(inputs)][0], made[0]))[0]
