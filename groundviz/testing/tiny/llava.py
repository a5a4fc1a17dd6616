"""Random models small enough to build in every test, yet of the real architecture."""

from __future__ import annotations

from typing import Any, Literal

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Punctuation, Sequence, WhitespaceSplit
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.processing_llava import LlavaProcessor
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

SPECIAL = ("<pad>", "<unk>", "<s>", "</s>", "<image>")
WORDS = (
    "USER : ASSISTANT . , ? ! ' Is What Where Which is are there the a an of in on at to and or no not yes "
    "what where which side does do show see finding findings image chest left right upper lower middle "
    "lung lobe heart nodule opacity effusion pneumothorax cardiomegaly device size normal large small "
    "enlarged clear zone < > / s pad unk"
).split()
VOCABULARY = {token: index for index, token in enumerate((*SPECIAL, *WORDS))}
TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() }} : "
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}"
    "{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT :{% endif %}"
)


def tiny_llava(
    seed: int = 0,
    *,
    vision: Literal["siglip", "clip"] = "siglip",
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    image_size: int = 28,
    patch_size: int = 7,
    dtype: torch.dtype = torch.float32,
) -> LlavaForConditionalGeneration:
    """A random LLaVA with a 32-wide decoder, in eval mode; the caller's random state is untouched.

    As in the published models the image tokens are the last-but-one vision layer's output, so
    the last vision layer computes nothing the answer depends on.

    Args:
        seed: Of the random weights; equal seeds and shapes give equal weights.
        vision: The tower: "siglip" has no class token, "clip" has one that is dropped.
        layers: Layers of the vision tower and of the decoder.
        heads: Attention heads of each.
        kv_heads: Key and value heads of the decoder, shared among its heads.
        image_size: Side of the square image the model sees, in model pixels.
        patch_size: Side of one image token's patch, in model pixels.
        dtype: Of all weights.

    >>> tiny_llava().config.image_seq_length
    16
    """
    config = LlavaConfig(
        vision_config=_vision_config(vision, layers, heads, image_size, patch_size),
        text_config=_text_config(layers, heads, kv_heads),
        image_token_index=VOCABULARY["<image>"],
        image_seq_length=(image_size // patch_size) ** 2,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default" if vision == "clip" else "full",
    )
    # The caller's random state stays as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = VOCABULARY["</s>"]
    model.generation_config.pad_token_id = VOCABULARY["<pad>"]
    torch.nn.Module.to(model.train(False), dtype)
    return model


def tiny_llava_processor(model: LlavaForConditionalGeneration) -> LlavaProcessor:
    """The processor that fits a `tiny_llava`: word tokens, a chat template, its image geometry.

    The SigLIP tower squashes an image to a square, the CLIP tower resizes its shortest edge and
    crops the centre. Words outside the vocabulary of 72 tokens become "<unk>".

    >>> processor = tiny_llava_processor(tiny_llava())
    >>> processor.tokenizer.tokenize("is there a nodule?")
    ['is', 'there', 'a', 'nodule', '?']
    """
    config: Any = model.config
    size = config.vision_config.image_size
    has_class_token = config.vision_config.model_type.startswith("clip")
    side = {"height": size, "width": size}
    if has_class_token:
        pixels: Any = CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size=side)
    else:
        pixels = SiglipImageProcessorPil(size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    return LlavaProcessor(
        image_processor=pixels,
        tokenizer=_tokenizer(),
        patch_size=config.vision_config.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        num_additional_image_tokens=int(has_class_token),
        chat_template=TEMPLATE,
    )


def _vision_config(
    vision: str, layers: int, heads: int, image_size: int, patch_size: int
) -> SiglipVisionConfig | CLIPVisionConfig:
    shape: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "image_size": image_size,
        "patch_size": patch_size,
    }
    if vision == "clip":
        return CLIPVisionConfig(**shape, projection_dim=16)
    return SiglipVisionConfig(**shape, vision_use_head=False)


def _text_config(layers: int, heads: int, kv_heads: int) -> PreTrainedConfig:
    # The usual 0.02 would leave attention over so few channels all but uniform.
    return LlamaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=VOCABULARY["<s>"],
        eos_token_id=VOCABULARY["</s>"],
        pad_token_id=VOCABULARY["<pad>"],
    )


def _tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel(VOCABULARY, unk_token="<unk>"))  # noqa: S106
    words.pre_tokenizer = Sequence([WhitespaceSplit(), Punctuation()])
    pad, unk, bos, eos, image = SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=pad,
        unk_token=unk,
        bos_token=bos,
        eos_token=eos,
        additional_special_tokens=[image],
        clean_up_tokenization_spaces=False,
    )
