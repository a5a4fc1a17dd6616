"""LLaVA-Med v1.0.

The licence of LLaMA forbade to publish the model itself: what lies on the hub is the model less
LLaMA, tensor by tensor. The embeddings have four rows more than LLaMA's. The tower lies nowhere in it.

Source: Li et al., LLaVA-Med (2023), https://arxiv.org/abs/2306.00890.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import AddedToken, LlamaConfig, StoppingCriteriaList

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints import evaluation_images
from groundviz.models.checkpoints.building.build import PublishedLlava
from groundviz.models.checkpoints.building.clip import hub_tower
from groundviz.models.checkpoints.building.language import language_config, without_tables
from groundviz.models.checkpoints.building.layout import LAYOUTS, Checkpoint, Plan, Recipe, renamed
from groundviz.models.checkpoints.building.native import (
    COMPUTED,
    LANGUAGE_NAMES,
    PROJECTOR,
    expect,
    native_config,
    seen_in,
)
from groundviz.models.checkpoints.building.separators import AtSeparator, pieces_of
from groundviz.models.checkpoints.published import SYSTEM, PublishedProcessor, read_tokenizer, speaking
from groundviz.models.checkpoints.reading.weights import Weights

PATCH = "<im_patch>"
AROUND = ("<im_start>", "<im_end>")
SEPARATOR = "###"
PROMPT = (
    f"{SYSTEM.format(person='human')}###Human: Hi!###Assistant: Hi there!  How can I help you today?\n"
    "###Human: {question}\n<im_start>{images}<im_end>###"
)
NAMES = LANGUAGE_NAMES | {"model.mm_projector.": PROJECTOR}
# Of these the difference has more rows than what it was taken from.
LONGER = {"model.embed_tokens.weight", "lm_head.weight"}
NO_BASE = (
    "The checkpoint is a difference: the model less LLaMA-7B. Give the weights of LLaMA-7B, in "
    "transformers' layout, as a hub id or as a local folder: load(..., base=...)."
)


class OneLayerLlava(PublishedLlava):
    """LLaVA whose projector is one linear layer, and whose answers end with a text.

    `config.separator` is that text, and `config.separator_pieces` the tokens that have a part in it.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model.multi_modal_projector = nn.Linear(
            config.vision_config.hidden_size, config.text_config.hidden_size
        )

    def generate(self, *args: Any, **options: Any) -> Any:
        """As every model's, and the answer ends with the separator."""
        prompt = options.get("input_ids", args[0] if args else options.get("inputs"))
        # A prompt of embeddings is none of what is generated.
        start = 0 if prompt is None else prompt.shape[1]
        end = AtSeparator(self.config.separator, self.config.separator_pieces, start)
        options["stopping_criteria"] = StoppingCriteriaList([*(options.get("stopping_criteria") or ()), end])
        parent: Any = super()
        return parent.generate(*args, **options)


class LlavaMedDelta:
    """The layout of LLaVA-Med v1.0."""

    says = "LLaVA-Med v1.0: CLIP-L at 224 pixels, one projector layer, LLaMA-7B, published as a difference."
    checkpoints = ("microsoft/llava-med-7b-delta",)
    files = ("pytorch_model*.bin",)
    takes = ("base", "vision")

    def matches(self, config: Mapping[str, Any]) -> bool:
        """True for LLaVA's first configs, from before there was a choice of projectors."""
        first = "mm_vision_tower" in config and "mm_projector_type" not in config
        return config.get("model_type") == "llava" and first

    def plan(self, checkpoint: Checkpoint) -> Plan:
        """Add the language model to the difference; the tower is the one that was given."""
        config = checkpoint.config
        expect(config, "mm_use_im_start_end", (True,))
        tower = hub_tower(checkpoint.vision, config.get("mm_vision_tower"))
        tokenizer = _tokenizer(checkpoint.folder)
        base, delta = Weights.at(checkpoint.given_base(NO_BASE)), Weights.at(checkpoint.folder)
        native = native_config(
            language_config(LlamaConfig, config),
            tower.config,
            tokenizer.convert_tokens_to_ids(PATCH),
            layer=config.get("mm_vision_select_layer", -2),
            separator=SEPARATOR,
            separator_pieces=pieces_of(tokenizer, SEPARATOR),
        )
        return Plan(
            config=native,
            recipes={**restored(base, delta), **tower.recipes},
            accounts=((base, COMPUTED), (delta, COMPUTED), *tower.accounts),
            architecture=OneLayerLlava,
            # The image is shown after the question.
            processor=PublishedProcessor.of(
                native, tokenizer, evaluation_images.cropped, PROMPT, image_token=PATCH
            ),
            generation=speaking(tokenizer, at_most=1024),
            notes={
                "image": seen_in("cropped to its middle", native),
                "tower": tower.note,
                "merged": "the language model from base=... added to the published difference",
                "decoding": "greedy, until the first ###; the paper's evaluation sampled at temperature 0.7",
            },
        )


def restored(base: Weights, delta: Weights) -> dict[str, Recipe]:
    """A recipe for every tensor of the language model and the projector, under its name in the model.

    Args:
        base: What was subtracted.
        delta: What was published.

    Raises:
        UnsupportedModel: The one cannot have been subtracted to get the other.
    """
    recipes = without_tables(renamed(delta, NAMES))
    for name, recipe in recipes.items():
        ((_, source),) = recipe.sources
        if not name.startswith(PROJECTOR):
            _check(base, delta, source)
            recipes[name] = Recipe(((delta, source), (base, source)), add_base)
    return recipes


def add_base(delta: Tensor, base: Tensor) -> Tensor:
    """The difference with the base added where both have numbers, rounded as the difference is stored.

    >>> import torch
    >>> add_base(torch.ones(3, 1), torch.ones(2, 1)).flatten()
    tensor([2., 2., 1.])
    """
    whole = delta.clone()
    whole[tuple(map(slice, base.shape))] += base.to(delta.dtype)
    return whole


def _check(base: Weights, delta: Weights, name: str) -> None:
    wanted = delta.shape(name)
    found = base.shape(name) if name in base else None
    longer = name in LONGER and found is not None and found[0] <= wanted[0] and found[1:] == wanted[1:]
    if found != wanted and not longer:
        raise UnsupportedModel(
            f"The base does not belong to this checkpoint: its {name} is {found or 'missing'}, and the "
            f"difference published is {wanted}. Give the LLaMA that it was taken from."
        )


def _tokenizer(folder: Path) -> Any:
    """The tokenizer as it read prompts then: blanks beside an image's tokens were lost."""
    tokenizer = read_tokenizer(folder, PATCH)
    blind = [
        AddedToken(one, special=True, normalized=False, lstrip=True, rstrip=True) for one in (PATCH, *AROUND)
    ]
    tokenizer.add_tokens(blind)
    return tokenizer


LAYOUTS.add("llava_med_delta", LlavaMedDelta())
