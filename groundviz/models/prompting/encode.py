"""From images and a question to a prompt in which the role of every token is known.

These are the steps that all families share: fill the chat template, let the model's own processor expand and
tokenise it, and collect the result. Each family adds the positions of the image's cells.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from groundviz.models.prompting.chat import Chat, fill_template, fill_verbatim
from groundviz.models.prompting.control_tokens import ControlTokens, placeholder
from groundviz.models.prompting.formats import Format
from groundviz.models.prompting.offsets import woven
from groundviz.models.prompting.own_decoder import for_forward
from groundviz.models.prompting.prompt import (
    adds_special_tokens,
    check_images,
    check_length,
    check_messages,
    check_text,
    find_spans,
)
from groundviz.models.prompting.tokenizer_proxy import Scribe
from groundviz.record.conversation import Asking, Verbatim
from groundviz.record.types import Bools, Grid, Ints, Message, Prompt, SourceImage
from groundviz.runtime.inputs.encoded import Cells, Encoded
from groundviz.runtime.passes.forward import PROMPT, START


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """A question as the model's own processor makes it into a prompt.

    Attributes:
        text: The whole prompt before images are expanded.
        question: What was typed.
        inputs: Keyword tensors of the model's forward.
        token_ids: int (token,).
        written: The question as the template writes it.
        wrote: The characters of `written` that each token writes, int (token, 2); -1 for tokens of the
            template, and for all tokens of a slow tokenizer, which does not return characters.
        shapes: Rows and columns of each source image.
        messages: As in `Prompt`.
        verbatim: As in `Prompt`.
    """

    text: str
    question: str
    inputs: Mapping[str, Tensor]
    token_ids: Ints
    written: str
    wrote: Ints
    shapes: tuple[tuple[int, int], ...]
    messages: tuple[Message, ...] = ()
    verbatim: bool = False

    def where(self, token_id: int) -> Ints:
        """Positions in the prompt of a token, such as the image token."""
        return np.flatnonzero(self.token_ids == token_id)

    @property
    def typed(self) -> Bools:
        """Which tokens write the question, bool (token,)."""
        return np.asarray(self.wrote[:, 0] >= 0)

    @property
    def offsets(self) -> Ints | None:
        """As in `Prompt`, without the blanks before a word; None if the template changes the question."""
        if self.written != self.question or not self.typed.any():
            return None
        offsets = self.wrote.clip(min=0)
        for number, (start, stop) in enumerate(offsets.tolist()):
            text = self.question[start:stop]
            # A token that is only blanks keeps them.
            if text.strip():
                offsets[number, 0] += len(text) - len(text.lstrip())
        return offsets


def read_prompt(
    vlm: Any,
    source_images: Sequence[SourceImage],
    question: Asking,
    fallback: str | Format,
    *,
    marker: str | None = None,
    **options: Any,
) -> Asked:
    """Make the prompt for images and a question, in the model's own chat template.

    Args:
        vlm: The model with its processor.
        source_images: The images, in the order the prompt shows them.
        question: What to ask.
        fallback: `Format` for a processor without a chat template. A text is a `Format` with that `turn`,
            with {images} and {question}, that has neither system prompts nor earlier turns.
        marker: What a template writes once for each image. If None, the processor's image token; "" if it
            writes nothing.
        options: Further options of the processor.

    Raises:
        PromptError: The question cannot be asked of this model.
        UnsupportedModel: It takes no question at all.
    """
    if marker is None:
        marker = vlm.processor.image_token
    chat, messages = _chat_of(vlm, question, fallback, marker=marker, images=len(source_images))
    # A shallow copy, so that the user's processor keeps its own tokenizer.
    processor = copy.copy(vlm.processor)
    controls = ControlTokens.of(vlm.processor, "".join(chat.parts))
    processor.tokenizer = scribe = Scribe(controls, chat.fillings)
    second = getattr(vlm.processor, "qformer_tokenizer", None)
    if second is not None:
        # InstructBLIP's Q-Former reads the question too, with a tokenizer of its own.
        own = ControlTokens.of(SimpleNamespace(tokenizer=second))
        processor.qformer_tokenizer = Scribe(own, chat.fillings)
    names = [placeholder(number) for number in range(len(chat.fillings))]
    made = processor(
        images=list(map(as_image, source_images)),
        text=woven(chat.parts, names),
        return_tensors="pt",
        add_special_tokens=adds_special_tokens(vlm.processor.tokenizer, _start(chat)),
        **options,
    )
    kept = {name: one for name, one in made.items() if isinstance(one, Tensor) or _counts(vlm, name, one)}
    inputs = for_forward(vlm.model, kept)
    token_ids = inputs[PROMPT if PROMPT in inputs else START][0].numpy().astype(np.int64)
    check_images(_on_images(vlm, token_ids), len(token_ids), vlm.model.config, source_images)
    check_length(len(token_ids), vlm.model.config)
    wrote = scribe.wrote(token_ids.tolist())
    if isinstance(question, Verbatim):
        # The user wrote its control tokens, but they count as part of the template.
        wrote[np.isin(token_ids, list(controls.ids.values()))] = -1
        typed = written = question.text
    else:
        typed, written = messages[-1].text, chat.question
    if isinstance(question, str):
        # A single question is not recorded as a conversation.
        messages = ()
    return Asked(
        text=chat.text,
        question=typed,
        inputs=inputs,
        token_ids=token_ids,
        written=written,
        wrote=wrote,
        shapes=tuple(source_image.shape for source_image in source_images),
        messages=messages,
        verbatim=isinstance(question, Verbatim),
    )


def _on_images(vlm: Any, token_ids: Ints) -> int:
    """How many tokens of a prompt stand for images, where that is known."""
    owners = (vlm.processor, vlm.model.config)
    ids = [getattr(owner, "image_token_id", None) for owner in owners]
    return int(np.isin(token_ids, [one for one in ids if one is not None]).sum())


def _counts(vlm: Any, name: str, value: Any) -> bool:
    """Whether an output of a processor is a list that the model's forward takes, as of numbers of tiles."""
    return isinstance(value, list) and name in inspect.signature(vlm.model.forward).parameters


def _chat_of(
    vlm: Any, question: Asking, fallback: str | Format, *, marker: str, images: int
) -> tuple[Chat, tuple[Message, ...]]:
    """The prompt as text, and the messages in it; a verbatim prompt has none."""
    if isinstance(question, Verbatim):
        check_text(vlm.model.config, question.text, "verbatim prompt")
        return fill_verbatim(vlm.processor, question.text, marker=marker, images=images), ()
    messages = check_messages(vlm.model.config, question, images)
    return fill_template(vlm.processor, messages, fallback, marker=marker, images=images), messages


def _start(chat: Chat) -> str:
    """The beginning of the prompt, up to the first text in which control tokens are no commands."""
    first = chat.fillings[0]
    if first.commands:
        return chat.parts[0] + first.text
    return chat.parts[0]


def finish(
    vlm: Any,
    asked: Asked,
    *,
    cells: Mapping[str, Cells],
    image: Ints | None = None,
    grids: Sequence[Grid] | None = None,
    columns: Ints | None = None,
) -> Encoded:
    """Put together what a family found out about a prompt.

    Args:
        vlm: The model with its processor.
        asked: From `read_prompt`.
        cells: By stage, as in `Encoded`.
        image: Positions of the image tokens; if None, those of the cells at the stage "language".
        grids: The grids of attention maps; if None, those of the stage "language".
        columns: As in `Encoded`; if None, the positions of the image tokens.
    """
    if image is None:
        image = cells["language"].index
    if grids is None:
        grids = cells["language"].grids
    if columns is None:
        columns = image
    prompt = Prompt(
        text=asked.text,
        question=asked.question,
        token_ids=asked.token_ids,
        tokens=tuple(vlm.processor.tokenizer.convert_ids_to_tokens(asked.token_ids.tolist())),
        spans=find_spans(asked.typed, image),
        grids=tuple(grids),
        offsets=asked.offsets,
        messages=asked.messages,
        verbatim=asked.verbatim,
    )
    return Encoded(prompt=prompt, inputs=asked.inputs, columns=columns, cells=cells)


def as_image(source_image: SourceImage) -> Image.Image:
    """A source image as processors take images: 8 bits, three colours."""
    levels = np.rint(source_image.pixels * 255).astype(np.uint8)
    return Image.fromarray(levels).convert("RGB")
