"""From images and a question to a prompt whose every token knows what it stands for.

The steps all families share: fill the chat template, let the model's own processor expand and
tokenise it, and put together what was found. Where the image's cells lie is each family's own.
"""

from __future__ import annotations

import copy
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
from groundviz.models.prompting.prompt import (
    adds_special_tokens,
    check_length,
    check_messages,
    check_text,
    find_spans,
)
from groundviz.models.prompting.tokenizer_proxy import Scribe
from groundviz.record.conversation import Asking, Verbatim
from groundviz.record.types import Bools, Grid, Ints, Message, Prompt, SourceImage
from groundviz.runtime.inputs.encoded import Cells, Encoded


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """A question as the model's own processor puts it.

    Attributes:
        text: The whole prompt before images are expanded.
        question: What was typed.
        inputs: Keyword tensors of the model's forward.
        token_ids: int (token,).
        written: The question as the template writes it.
        wrote: The characters of that which each token wrote, int (token, 2); -1 for tokens of the
            template, and for all, where a slow tokenizer does not tell.
        messages: As in `Prompt`.
        verbatim: As in `Prompt`.
    """

    text: str
    question: str
    inputs: Mapping[str, Tensor]
    token_ids: Ints
    written: str
    wrote: Ints
    messages: tuple[Message, ...] = ()
    verbatim: bool = False

    @property
    def typed(self) -> Bools:
        """Which tokens write the question, bool (token,)."""
        return np.asarray(self.wrote[:, 0] >= 0)

    @property
    def offsets(self) -> Ints | None:
        """As in `Prompt`, without the blanks before a word; not known where the template changes it."""
        if self.written != self.question or not self.typed.any():
            return None
        starts, stops = self.wrote.clip(min=0).T
        texts = [self.question[start:stop] for start, stop in zip(starts, stops, strict=True)]
        blanks = [len(text) - len(text.lstrip()) if text.strip() else 0 for text in texts]
        return np.stack([starts + np.array(blanks), stops], axis=1)


def read_prompt(
    vlm: Any,
    source_images: Sequence[SourceImage],
    question: Asking,
    fallback: str | Format,
    *,
    marker: str | None = None,
    **options: Any,
) -> Asked:
    """Put images and a question to a model in its own chat template.

    Args:
        vlm: The model with its processor.
        source_images: The images, in the order the prompt shows them.
        question: What to ask.
        fallback: `Format` for a processor without a chat template; or its `turn`, with {images} and
            {question}, for one that knows neither system prompts nor earlier turns.
        marker: What a template writes once for each image: the processor's image token when None,
            nothing when "".
        options: Further options of the processor.

    Raises:
        PromptError: The question cannot be asked of this model.
    """
    marker = vlm.processor.image_token if marker is None else marker
    chat, messages = _chat_of(vlm, question, fallback, marker=marker, images=len(source_images))
    # A copy that shares everything: the user's processor keeps its tokenizer.
    processor = copy.copy(vlm.processor)
    controls = ControlTokens.of(vlm.processor, "".join(chat.parts))
    processor.tokenizer = scribe = Scribe(controls, chat.fillings)
    second = getattr(vlm.processor, "qformer_tokenizer", None)
    if second is not None:
        # InstructBLIP's Q-Former reads the question, too.
        own = ControlTokens.of(SimpleNamespace(tokenizer=second))
        processor.qformer_tokenizer = Scribe(own, chat.fillings)
    made = processor(
        images=[as_image(source_image) for source_image in source_images],
        text=woven(chat.parts, [placeholder(number) for number in range(len(chat.fillings))]),
        return_tensors="pt",
        add_special_tokens=adds_special_tokens(vlm.processor.tokenizer, _start(chat)),
        **options,
    )
    inputs = {name: value for name, value in made.items() if isinstance(value, Tensor)}
    token_ids = inputs["input_ids"][0].numpy().astype(np.int64)
    check_length(len(token_ids), vlm.model.config)
    wrote = scribe.wrote(token_ids.tolist())
    if isinstance(question, Verbatim):
        # Its control tokens are the template's, although the user wrote them.
        wrote[np.isin(token_ids, list(controls.ids.values()))] = -1
    return Asked(
        text=chat.text,
        question=question.text if isinstance(question, Verbatim) else messages[-1].text,
        inputs=inputs,
        token_ids=token_ids,
        written=question.text if isinstance(question, Verbatim) else chat.question,
        wrote=wrote,
        messages=() if isinstance(question, str | Verbatim) else messages,
        verbatim=isinstance(question, Verbatim),
    )


def _chat_of(
    vlm: Any, question: Asking, fallback: str | Format, *, marker: str, images: int
) -> tuple[Chat, tuple[Message, ...]]:
    """The prompt as text, and the messages in it; none where it is verbatim."""
    if isinstance(question, Verbatim):
        check_text(vlm.model.config, question.text, "verbatim prompt")
        return fill_verbatim(vlm.processor, question.text, marker=marker, images=images), ()
    messages = check_messages(vlm.model.config, question, images)
    return fill_template(vlm.processor, messages, fallback, marker=marker, images=images), messages


def _start(chat: Chat) -> str:
    """How the prompt begins, as far as control tokens count there."""
    first = chat.fillings[0]
    return chat.parts[0] + first.text if first.commands else chat.parts[0]


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
        image: Positions of the image tokens; where cells stand at the stage "language" when None.
        grids: What attention maps lie on; the grids of the stage "language" when None.
        columns: As in `Encoded`; the image tokens' positions when None.
    """
    image = cells["language"].index if image is None else image
    grids = cells["language"].grids if grids is None else grids
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
    columns = image if columns is None else columns
    return Encoded(prompt=prompt, inputs=asked.inputs, columns=columns, cells=cells)


def as_image(source_image: SourceImage) -> Image.Image:
    """A study as processors take images: 8 bits, three colours."""
    levels = np.rint(source_image.pixels * 255).astype(np.uint8)
    return Image.fromarray(levels).convert("RGB")
