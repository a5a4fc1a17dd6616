"""Answer tokens know the characters they wrote, whatever the tokenizer does to text."""

from itertools import pairwise

import pytest
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE, WordLevel
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from groundviz.models.prompts import adds_special_tokens, character_spans

TEXTS = [
    "left upper lobe",
    "No pneumothorax, no effusion.",
    "5 μm nodule",
    "肺炎 in the 左 lung",
    "🫁 clear 👍🏽",
    " leading and  double  blanks",
]


@pytest.fixture(scope="module")
def byte_level():
    """A byte-level BPE tokenizer that knows English words; everything else falls into single bytes."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=320, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(
        ["left upper lobe lung nodule effusion pneumothorax no in the"] * 3, trainer
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")  # noqa: S106


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_cover_the_text_in_order(byte_level, text):
    ids = byte_level(text, add_special_tokens=False).input_ids
    written, tokens, offsets = character_spans(byte_level, ids)
    assert written == text
    assert len(tokens) == len(offsets) == len(ids)
    covered = sorted({i for start, stop in offsets for i in range(start, stop)})
    assert "".join(text[i] for i in covered) == text.replace(" ", "") or len(covered) >= len(
        text.replace(" ", "")
    )
    assert all(start < stop for start, stop in offsets)
    assert all(a[0] <= b[0] for a, b in pairwise(offsets))


def test_bytes_of_one_character_share_it(byte_level):
    ids = byte_level("a🫁b", add_special_tokens=False).input_ids
    text, tokens, offsets = character_spans(byte_level, ids)
    assert tokens == ("a", *["🫁"] * (len(ids) - 2), "b")
    assert {tuple(o) for o in offsets[1:-1].tolist()} == {(1, 2)}
    assert text == "a🫁b"


def test_special_tokens_write_nothing(byte_level):
    ids = [*byte_level("left", add_special_tokens=False).input_ids, byte_level.eos_token_id]
    text, tokens, offsets = character_spans(byte_level, ids)
    assert text == "left"
    assert tokens[-1] == "</s>"
    assert offsets[-1].tolist() == [4, 4]


def test_blanks_between_words_belong_to_no_token():
    words = Tokenizer(WordLevel({"<unk>": 0, "left": 1, "lung": 2}, unk_token="<unk>"))  # noqa: S106
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")  # noqa: S106
    text, tokens, offsets = character_spans(tokenizer, [1, 2, 1, 0])
    assert text == "left lung left <unk>"
    assert tokens == ("left", "lung", "left", "<unk>")
    assert offsets.tolist() == [[0, 4], [5, 9], [10, 14], [15, 20]]


def test_a_template_that_wrote_the_start_token_gets_no_second_one(byte_level):
    class Starts:
        bos_token = "<s>"  # noqa: S105

    assert not adds_special_tokens(Starts(), "<s>USER: hello")
    assert adds_special_tokens(Starts(), "USER: hello")
    assert adds_special_tokens(byte_level, "anything")
