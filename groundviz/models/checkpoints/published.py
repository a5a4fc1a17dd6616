"""The inputs of a published checkpoint's model, made as the paper's evaluation made them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from transformers import AddedToken, AutoTokenizer, BatchFeature, LlamaTokenizer, PreTrainedConfig

from groundviz.errors import UnsupportedModel

IMAGE = "<image>"
SYSTEM = (
    "A chat between a curious {person} and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the {person}'s questions."
)
# What SigPhi-Med, LLaVA-Rad and Med-MoE are asked in; {{images}} and {{question}} are filled in later.
VICUNA = SYSTEM.format(person="user") + " USER: {images}\n{question} ASSISTANT:"


@dataclass(slots=True, kw_only=True, eq=False)
class PublishedProcessor:
    """Tokenizer and image processor of a published checkpoint, called like any processor.

    The text is cut at its image tokens and each piece is tokenised by itself, as the LLaVA line does:
    sentencepiece writes other tokens on either side of an image when it sees the whole.

    Attributes:
        tokenizer: Read at each call, so that it can be replaced; it has `image_token` as one token.
        image_processor: Makes pixel values of images.
        prompt: The paper's prompt, with {images} and {question}.
        image_tokens: How many tokens stand for one image.
        image_token: What stands for an image in a text.
        chat_template: None: the prompt is no chat.
    """

    tokenizer: Any
    image_processor: Any
    prompt: str
    image_tokens: int
    image_token: str = IMAGE
    chat_template: None = None

    @classmethod
    def of(
        cls,
        config: Any,
        tokenizer: Any,
        shown: Callable[[int], Any],
        prompt: str,
        *,
        image_token: str = IMAGE,
    ) -> PublishedProcessor:
        """The processor of a model with that config, whose images are made by `images(side)`."""
        return cls(
            tokenizer=tokenizer,
            image_processor=shown(config.vision_config.image_size),
            prompt=prompt,
            image_tokens=config.image_seq_length,
            image_token=image_token,
        )

    @property
    def image_token_id(self) -> int:
        """Id of the token that stands for one patch."""
        return int(self.tokenizer.convert_tokens_to_ids(self.image_token))

    def __call__(
        self,
        images: Any = None,
        text: str | Sequence[str] = "",
        *,
        add_special_tokens: bool = True,
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """The keyword tensors of the model's forward for one prompt.

        Args:
            images: An image or several, one for each image token; None for a text alone.
            text: The prompt, or a list of one.
            add_special_tokens: Whether the prompt begins with the tokenizer's start token.
            return_tensors: "pt"; there is nothing else.
        """
        (whole,) = [text] if isinstance(text, str) else text
        first, *others = whole.split(self.image_token)
        # A later piece has no start token of its own.
        pieces = [self.tokenizer(first, add_special_tokens=add_special_tokens).input_ids]
        for piece in others:
            pieces += [[self.image_token_id] * self.image_tokens]
            pieces += [self.tokenizer(piece, add_special_tokens=False).input_ids]
        ids = torch.tensor([list(chain.from_iterable(pieces))])
        made = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if images is not None:
            made |= self.image_processor(images=images, return_tensors=return_tensors)
        return BatchFeature(made)


def speaking(tokenizer: Any, *, at_most: int) -> dict[str, Any]:
    """Settings of a generation config: greedy, until the tokenizer's end token or `at_most` tokens.

    Configs of these checkpoints give other ids here and there; the tokenizer's are right.
    """
    end = tokenizer.eos_token_id
    return {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": end,
        "pad_token_id": end,
        "max_new_tokens": at_most,
    }


def read_tokenizer(folder: Path, token: str = IMAGE) -> Any:
    """The tokenizer in a folder, with one token for an image: the first id behind its vocabulary.

    Args:
        folder: Where tokenizer_config.json lies beside tokenizer.model or tokenizer.json.
        token: What stands for an image; one that the tokenizer knows keeps its id.

    Raises:
        UnsupportedModel: There is no tokenizer, or none that transformers can read.
    """
    try:
        described = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        # Told by the model type alone, transformers reads LLaVA's sentencepiece wrong.
        llama = str(described.get("tokenizer_class", "")).lower().startswith("llama")
        reader = LlamaTokenizer if llama else AutoTokenizer
        # The checkpoint's own config is of no model that transformers knows.
        known: dict[str, Any] = {} if llama else {"config": PreTrainedConfig()}
        tokenizer = reader.from_pretrained(folder, trust_remote_code=False, **known)
    except ImportError:
        raise
    except Exception as error:
        # The libraries that read tokenizers raise Exception itself.
        raise UnsupportedModel(
            f"The tokenizer of the checkpoint cannot be read ({type(error).__name__}). Give a folder with "
            "tokenizer_config.json and tokenizer.model or tokenizer.json, or pass processor=..."
        ) from None
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False)])
    return tokenizer
