"""A model whose weights are set by hand, so that what it attends to, and why, is known.

It is a real LLaVA (a SigLIP tower, a projector, a Llama decoder of two layers and four heads), and every
step in it can be computed by hand:

::

    tower       a cell is the mean brightness of its patch; the cells "first" and "second" are marked
    projector   the brightness of "first" is evidence for "nodule" and for "opacity", that of "second"
                for "effusion"; the brightness of other cells is evidence for nothing
    layer 0     the row that predicts the answer reads whether the question asks for "nodule"
    layer 1     if so, it attends to "first" with heads 0 and 1; the row of the word "nodule" attends
                to "second" with these heads; all other rows and heads attend to the first token
    output      a word's score is `weight` times the evidence that was carried to the row, and far
                below that of a word which is the answer to every image

So the log-probability of "nodule" as the first word of an answer is linear in the pixels of "first" and
depends on no other cell. Its attention is 1 on that cell in two heads of four in one layer of two, and zero
on all other cells. The same holds for "effusion" as the second word and the cell "second".

With `foils`, heads 2 and 3 attend to "second" where heads 0 and 1 attend to "first": then the evidence for
"nodule" as the first word is in one cell, and the evidence for "effusion" in the other. With `faint`, heads 0
and 1 give the cell a third of their attention and the rest to all tokens alike, and the scores of words
depend on the evidence a thousand times less: every number that measures something is smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, SiglipVisionConfig

from groundviz import models
from groundviz.models import VLM
from groundviz.record.types import Doubles, Floats, Foil, SourceImage, Target
from groundviz.testing.tiny.llava import VOCABULARY, tiny_llava_processor

QUESTION = "Is there a nodule ?"
FIRST_WORD, TWIN, SECOND_WORD, ALWAYS = "nodule", "opacity", "effusion", "normal"
SIDE, PATCH = 6, 7
FIRST, SECOND = (1, 4), (5, 2)

# Channels of the decoder. Marks are +SIZE or -SIZE in every token, so all tokens are equally long and
# the norms of the decoder divide by one and the same number. From layer 0 on it is mostly that of a
# ballast which every row gets there: a norm of what comes from the image alone would not change when
# all of it is scaled, and features times gradients would add up to zero at every cell.
CONSTANT, IS_FIRST, IS_SECOND, IS_START, IS_WORD, ASKED, FOR_FIRST, FOR_SECOND, BALLAST = range(9)
MARKS = (CONSTANT, IS_FIRST, IS_SECOND, IS_START, IS_WORD, ASKED)
WIDTH, HEADS, SIZE, HEAVY = 64, 4, 1000.0, 30.0
HEAD_WIDTH = WIDTH // HEADS
# With so slow a rotation the last channels of a head do not turn within a prompt.
ROTATION = 1e12
STILL = HEAD_WIDTH // 2 - 3
# Half of how much higher a token scores than the others that a head may attend to.
SURE, FAINT = 20.0, 1.5
MARGIN, CERTAIN_SCORE = 2.0, 30.0
WEIGHT, FAINT_WEIGHT = 3.0, 0.003


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planted:
    """The model, an image for it, and what is known about both.

    Attributes:
        vlm: The model.
        source_image: Its image: both marked cells bright, the others dark and not alike.
        first: Cell (row, col) that "nodule" as first word depends on.
        second: Cell (row, col) that "effusion" depends on, wherever it is depended on.
        weight: Nats that a word gains per unit of evidence, twice the mean brightness of its cell.
    """

    vlm: VLM
    source_image: SourceImage
    first: tuple[int, int]
    second: tuple[int, int]
    weight: float

    def nats(self, pixels: Floats) -> Doubles:
        """What each cell adds to the log-probability of "nodule" in an image of the same shape.

        Brightness counts from the middle grey on, which is zero to the model: float64 (rows, cols).
        """
        evidence = np.zeros((SIDE, SIDE))
        row, col = self.first
        patch = pixels[row * PATCH : (row + 1) * PATCH, col * PATCH : (col + 1) * PATCH]
        evidence[row, col] = self.weight * (2.0 * patch.mean(dtype=np.float64) - 1.0)
        return evidence

    def word(self, text: str, foil: str | None = None) -> Target:
        """A word as the first one of an answer, or rather than a foil if one is given."""
        other = None
        if foil:
            other = Foil(text=foil, token_ids=(VOCABULARY[foil],))
        return Target(tokens=(0,), text=text, foil=other)


def planted(*, foils: bool = False, faint: bool = False) -> Planted:
    """Build the model and its image; see the head of this file for what it does.

    Args:
        foils: Whether heads 2 and 3 attend to the second cell while heads 0 and 1 attend to the first.
        faint: Whether it attends to the cell weakly, and words depend on it weakly.

    >>> model = planted()
    >>> model.vlm.generate(model.source_image.pixels, QUESTION).split()[0]
    'normal'
    """
    weight = WEIGHT
    if faint:
        weight = FAINT_WEIGHT
    model = LlavaForConditionalGeneration(_config())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        _set_tower(model.model.vision_tower)
        _set_projector(model.model.multi_modal_projector)
        _set_decoder(model.model.language_model, foils=foils, faint=faint)
        _set_output(model.lm_head.weight, weight)
    model.generation_config.max_new_tokens = 2
    vlm = models.resolve(model.train(False), tiny_llava_processor(model))
    return Planted(vlm=vlm, source_image=_source_image(), first=FIRST, second=SECOND, weight=weight)


def _config() -> LlavaConfig:
    size: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": HEADS}
    return LlavaConfig(
        vision_config=SiglipVisionConfig(
            **size,
            hidden_size=16,
            intermediate_size=16,
            image_size=SIDE * PATCH,
            patch_size=PATCH,
            vision_use_head=False,
        ),
        text_config=LlamaConfig(
            **size,
            vocab_size=len(VOCABULARY),
            hidden_size=WIDTH,
            intermediate_size=WIDTH,
            num_key_value_heads=2,
            max_position_embeddings=512,
            rope_parameters={"rope_type": "default", "rope_theta": ROTATION},
            bos_token_id=VOCABULARY["<s>"],
            eos_token_id=VOCABULARY["</s>"],
            pad_token_id=VOCABULARY["<pad>"],
        ),
        image_token_index=VOCABULARY["<image>"],
        image_seq_length=SIDE**2,
        projector_hidden_act="relu",
        vision_feature_layer=-2,
        vision_feature_select_strategy="full",
    )


def _set_tower(tower: Any) -> None:
    """A patch's mean in channel 0, and a mark in channel 1 or 2; the layers pass them on."""
    embeddings = getattr(tower, "vision_model", tower).embeddings
    embeddings.patch_embedding.weight[0] = 1.0 / (3 * PATCH**2)
    for channel, (row, col) in ((1, FIRST), (2, SECOND)):
        embeddings.position_embedding.weight[row * SIDE + col, channel] = 1.0


def _set_projector(projector: Any) -> None:
    """Brightness + 2 is the evidence of a marked cell, zero that of others: the bends are far away."""
    inner, outer = projector.linear_1, projector.linear_2
    for unit, (mark, evidence, channel) in enumerate(((1, FOR_FIRST, IS_FIRST), (2, FOR_SECOND, IS_SECOND))):
        inner.weight[unit, 0], inner.weight[unit, mark], inner.bias[unit] = 1.0, 2 * MARGIN, -MARGIN
        inner.weight[2 + unit, mark] = 1.0
        outer.weight[evidence, unit] = 1.0
        outer.weight[channel, 2 + unit] = 2 * SIZE
    outer.bias[:] = _marks()


def _set_decoder(decoder: Any, *, foils: bool, faint: bool) -> None:
    decoder.embed_tokens.weight[:] = _marks()
    decoder.embed_tokens.weight[VOCABULARY["USER"], IS_START] = SIZE
    decoder.embed_tokens.weight[VOCABULARY[FIRST_WORD], IS_WORD] = SIZE
    # Marks become +1 and -1 behind each norm.
    light, heavy = ((len(MARKS) + ballast**2) ** 0.5 for ballast in (0.0, HEAVY))
    decoder.layers[0].input_layernorm.weight[:] = light / WIDTH**0.5
    for norm in (decoder.layers[1].input_layernorm, decoder.norm):
        norm.weight[:] = heavy / WIDTH**0.5
    _set_reader(decoder.layers[0].self_attn)
    _set_looker(decoder.layers[1].self_attn, foils=foils, faint=faint)


def _set_reader(attention: Any) -> None:
    """All heads attend to the word in the question, or else to the start, and note which it was."""
    for key_head in range(2):
        _put(attention.k_proj.weight, key_head, {0: {IS_WORD: 1.0}, 1: {IS_START: 1.0}})
        noted = {0: {IS_WORD: 0.5, CONSTANT: 0.5}, 1: {CONSTANT: 1.0}}
        _put(attention.v_proj.weight, key_head, noted, first=0)
    for head in range(HEADS):
        _put(
            attention.q_proj.weight,
            head,
            {0: {CONSTANT: 2 * SURE}, 1: {CONSTANT: SURE}},
            factor=HEAD_WIDTH**0.5,
        )
        attention.o_proj.weight[ASKED, head * HEAD_WIDTH] = 2 * SIZE / HEADS
        attention.o_proj.weight[BALLAST, head * HEAD_WIDTH + 1] = HEAVY * SIZE / HEADS


def _set_looker(attention: Any, *, foils: bool, faint: bool) -> None:
    """Attend to the first cell, the second, or the start, and carry the evidence over."""
    # The score of a marked cell is `2 * sought` above those of other cells; the start is in between.
    sought, start = 2 * SURE, SURE
    if faint:
        sought, start = FAINT, 0.0
    asked = {ASKED: sought / 2, IS_WORD: -sought / 2}
    generated = {IS_WORD: sought / 2, CONSTANT: sought / 2}
    idle: dict[int, float] = {}
    for key_head in range(2):
        _put(attention.k_proj.weight, key_head, {0: {IS_FIRST: 1.0}, 1: {IS_SECOND: 1.0}, 2: {IS_START: 1.0}})
        evidence = {0: {FOR_FIRST: SIZE}, 1: {FOR_SECOND: SIZE}}
        _put(attention.v_proj.weight, key_head, evidence, first=0)
    for head in range(HEADS):
        if head < HEADS // 2:
            # To the first cell if the question asks for it, to the second behind the first word.
            wanted = {0: asked, 1: generated, 2: {CONSTANT: start}}
        elif foils:
            wanted = {0: idle, 1: asked, 2: {CONSTANT: start}}
        else:
            # Always to the start.
            wanted = {0: idle, 1: idle, 2: {CONSTANT: SURE}}
        _put(attention.q_proj.weight, head, wanted, factor=HEAD_WIDTH**0.5)
        attention.o_proj.weight[FOR_FIRST, head * HEAD_WIDTH] = 2.0 / HEADS
        attention.o_proj.weight[FOR_SECOND, head * HEAD_WIDTH + 1] = 2.0 / HEADS


def _set_output(head: Tensor, weight: float) -> None:
    head[VOCABULARY[ALWAYS], CONSTANT] = CERTAIN_SCORE
    for word, channel in ((FIRST_WORD, FOR_FIRST), (TWIN, FOR_FIRST), (SECOND_WORD, FOR_SECOND)):
        head[VOCABULARY[word], channel] = weight * SIZE


def _put(
    matrix: Tensor,
    head: int,
    rows: dict[int, dict[int, float]],
    *,
    first: int = STILL,
    factor: float = 1.0,
) -> None:
    """Set some rows of one head of a projection, by the channels they read."""
    for row, reads in rows.items():
        for channel, value in reads.items():
            matrix[head * HEAD_WIDTH + first + row, channel] = value * factor


def _marks() -> Tensor:
    """A token that is nothing in particular."""
    token = torch.zeros(WIDTH)
    token[list(MARKS)] = -SIZE
    token[CONSTANT] = SIZE
    return token


def _source_image() -> SourceImage:
    pixels = np.random.default_rng(5).uniform(0.1, 0.3, (SIDE * PATCH, SIDE * PATCH))
    for row, col in (FIRST, SECOND):
        pixels[row * PATCH : (row + 1) * PATCH, col * PATCH : (col + 1) * PATCH] += 0.6
    # Whole levels, because the processor gets the image as bytes.
    levels = np.rint(pixels * 255) / 255
    return SourceImage(
        pixels=levels.astype(np.float32), source="array", raw_range=(0.0, 1.0), sha256="0" * 64
    )
