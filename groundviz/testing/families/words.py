"""What the tiny models of all families share: a word-level tokenizer, and random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Punctuation, Sequence, WhitespaceSplit
from torch import nn
from transformers import PreTrainedTokenizerFast

from groundviz.testing.tiny.llava import SPECIAL, VOCABULARY

ANSWER_TOKENS = 4


def randomized(model: Any) -> Any:
    """Weights large enough that attention is far from uniform, also where models start at zero."""
    for tensor in model.parameters():
        if tensor.ndim > 1 or not tensor.data.eq(1).all():
            tensor.data.normal_(0.0, 0.3)
    # Not through eval(): the models are typed, and some override it.
    nn.Module.train(model, False)
    model.generation_config.do_sample = False
    return model


def vocabulary(*controls: str) -> dict[str, int]:
    """The words of `groundviz.testing.tiny.llava`, then a family's control tokens.

    >>> vocabulary("<|im_start|>")["<|im_start|>"] == len(VOCABULARY)
    True
    """
    added = [token for token in controls if token not in VOCABULARY]
    return VOCABULARY | {token: len(VOCABULARY) + number for number, token in enumerate(added)}


def word_tokenizer(*controls: str, **named: str) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words that reads a family's control tokens as one token each.

    Args:
        controls: The family's control tokens.
        named: Which of them the tokenizer knows by a name, such as image_token.

    >>> word_tokenizer("<|im_start|>").tokenize("<|im_start|>USER: is there a nodule?")[:3]
    ['<|im_start|>', 'USER', ':']
    """
    words = Tokenizer(WordLevel(vocabulary(*controls), unk_token="<unk>"))  # noqa: S106
    words.pre_tokenizer = Sequence([WhitespaceSplit(), Punctuation()])
    pad, unk, bos, eos, image = SPECIAL
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=pad,
        unk_token=unk,
        bos_token=bos,
        eos_token=eos,
        extra_special_tokens=named,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.add_tokens([image, *controls], special_tokens=True)
    return tokenizer


def random_model(make: Callable[[], Any], seed: int, *controls: str) -> Any:
    """A model with random weights, that answers greedily; the caller's random state is untouched.

    Args:
        make: Builds the model.
        seed: Of the weights.
        controls: The family's control tokens. Like a trained model, it says none of them; nor does it
            stop before it has generated as much as it may.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = randomized(make())
    ids = vocabulary(*controls)
    unsaid = [ids[token] for token in (*SPECIAL, *controls)]
    model.get_output_embeddings().weight.data[unsaid] = 0.0
    settings = model.generation_config
    settings.eos_token_id, settings.pad_token_id = ids["</s>"], ids["<pad>"]
    settings.max_new_tokens = ANSWER_TOKENS
    return model


def text_config(*controls: str, layers: int = 2) -> dict[str, Any]:
    """The shape of a 32-wide decoder that knows the words and a family's control tokens."""
    return {
        "vocab_size": len(vocabulary(*controls)),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "bos_token_id": VOCABULARY["<s>"],
        "eos_token_id": VOCABULARY["</s>"],
        "pad_token_id": VOCABULARY["<pad>"],
    }
