"""Real tokenizers of every common kind, trained here, and a tiny model that reads with each of them."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
)
from tokenizers.models import BPE, Unigram, WordLevel, WordPiece
from tokenizers.trainers import BpeTrainer, UnigramTrainer, WordPieceTrainer
from transformers import PreTrainedTokenizerFast

from groundviz import models
from groundviz.models.adapter.vlm import VLM
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

CORPUS = [
    "USER: is there a nodule in the left upper lobe of the lung? ASSISTANT: no, there is none.",
    "system user assistant image pad unk start end of turn INST <|/>[]\\n 0123456789",
    "what does the image show? pneumothorax, effusion, cardiomegaly and a large opacity.",
] * 3
UNKNOWN = {"unk_token": "<unk>"}
ROLES = "{% for m in messages %}{% for p in m.content %}"
PARTS = "{% if p.type == 'image' %}<image>\n{% else %}{{ p.text }}{% endif %}{% endfor %}"
VICUNA = ROLES.replace("{% for p", "USER: {% for p") + PARTS + "{% endfor %} ASSISTANT:"
CHATML = (
    ROLES.replace("{% for p", "<|im_start|>{{ m.role }}\n{% for p")
    + PARTS
    + "<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
LLAMA = ROLES.replace("{% for p", "<s>[INST] {% for p") + PARTS + " [/INST]{% endfor %}"


def fast(tokenizer: Tokenizer, more: list[Any], **named: str) -> PreTrainedTokenizerFast:
    """A transformers tokenizer; its special tokens by their short names, `bos` for "bos_token"."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        additional_special_tokens=more,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{name}_token": token for name, token in named.items()},
    )


@dataclass(frozen=True)
class Kind:
    """One kind of tokenizer, with the chat template it comes with.

    Attributes:
        tokenizer: Built from scratch.
        template: Jinja.
        lossless: Whether decoding gives back every character.
    """

    tokenizer: Any
    template: str
    lossless: bool = True


def byte_level(more: list[Any], **named: str) -> PreTrainedTokenizerFast:
    """GPT-2's and Qwen's kind; what is unknown to it is spelled in bytes."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return fast(tokenizer, more, **named)


def qwen() -> Kind:
    """The end token stands in for the unknown one, and one marker is not called special."""
    tokenizer = byte_level(
        ["<|im_start|>", "<image>"], eos="<|im_end|>", unk="<|endoftext|>", pad="<|endoftext|>"
    )
    tokenizer.add_tokens([AddedToken("<think>", special=False)])
    return Kind(tokenizer, CHATML + "<think>\n")


def gpt() -> Kind:
    """A start token that the tokenizer adds itself, and a marker that eats the blanks around it."""
    tokenizer = byte_level([AddedToken("<image>", lstrip=True, rstrip=True), "[IMG]"], bos="<s>", eos="</s>")
    tokenizer.backend_tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]),
        ]
    )
    return Kind(tokenizer, VICUNA)


def llama(scheme: str, *, legacy: bool = False) -> PreTrainedTokenizerFast:
    """Sentencepiece BPE with bytes for what it does not know, as Llama and Mistral have it."""
    trainer = BpeTrainer(
        vocab_size=500,
        special_tokens=["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    tokenizer = Tokenizer(BPE(**UNKNOWN, fuse_unk=True, byte_fallback=True))
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1),
        ]
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    more = ["<image>", "[INST]", "[/INST]"]
    return fast(without_special_bytes(tokenizer), more, unk="<unk>", bos="<s>", eos="</s>", pad="<pad>")


def without_special_bytes(tokenizer: Tokenizer) -> Tokenizer:
    """The trainer can only add bytes as special tokens; in the published vocabularies they are not."""
    described = json.loads(tokenizer.to_str())
    described["added_tokens"] = [a for a in described["added_tokens"] if not a["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(described))


def unigram() -> Kind:
    """Its vocabulary knows "</s>" as a word, the likeliest of all."""
    tokenizer = Tokenizer(Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = UnigramTrainer(
        vocab_size=120,
        special_tokens=["<pad>", "<unk>", "<s>", "</s>"],
        show_progress=False,
        **UNKNOWN,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    named = {"pad": "<pad>", "unk": "<unk>", "bos": "<s>", "eos": "</s>"}
    return Kind(fast(tokenizer, ["<image>"], **named), VICUNA, lossless=False)


def word_piece() -> Kind:
    """BERT's kind: lower case, accents gone, brackets by themselves."""
    tokenizer = Tokenizer(WordPiece())
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([*CORPUS, "pad unk cls sep mask < > /"], trainer)
    named = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    return Kind(fast(tokenizer, ["<image>"], **named), VICUNA, lossless=False)


def words() -> Kind:
    """Whole words alone, brackets among them; markers fall into words."""
    named = {"pad": "<pad>", "unk": "<unk>", "bos": "<s>", "eos": "</s>"}
    known = [
        *named.values(),
        "<image>",
        *"USER : ASSISTANT is there a nodule ? < > / s pad unk image".split(),
    ]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(known)}, **UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    return Kind(fast(tokenizer, ["<image>"], **named), VICUNA, lossless=False)


KINDS = {
    "byte-level, chatml": qwen,
    "byte-level, own start": gpt,
    "sentencepiece, first": lambda: Kind(llama("first"), LLAMA),
    "sentencepiece, always": lambda: Kind(llama("always"), VICUNA),
    "sentencepiece, legacy": lambda: Kind(llama("", legacy=True), LLAMA),
    "unigram": unigram,
    "wordpiece": word_piece,
    "words": words,
}


@pytest.fixture(scope="session", params=KINDS)
def kind(request) -> Kind:
    """Each kind of tokenizer in turn."""
    return KINDS[request.param]()


@pytest.fixture(scope="session")
def reader(kind) -> VLM:
    """A tiny model whose processor reads with the tokenizer."""
    model = tiny_llava()
    processor = tiny_llava_processor(model)
    processor.tokenizer, processor.chat_template = kind.tokenizer, kind.template
    processor.image_token_id = kind.tokenizer.convert_tokens_to_ids("<image>")
    model.resize_token_embeddings(len(kind.tokenizer), mean_resizing=False)
    model.config.image_token_id = processor.image_token_id
    return models.resolve(model, processor)
