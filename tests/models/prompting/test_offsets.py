"""Answer tokens know the characters they wrote, whatever the tokenizer does to text."""

from itertools import pairwise

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE, WordLevel
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from groundviz.models.prompting.offsets import character_spans, characters_written, text_ranges, unknown_id

TEXTS = [
    "left upper lobe",
    "No pneumothorax, no effusion.",
    "5 μm nodule",
    "肺炎 in the 左 lung",
    "🫁 clear 👍🏽",
    " leading and  double  blanks",
    "عقدة في الرئة",
    "a\ufffdb\ufffd",
    "é̖҉ ﷽",
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
    assert tokens == ("a", "<0xF0>", "<0x9F>", "<0xAB>", "<0x81>", "b")
    assert {tuple(o) for o in offsets[1:-1].tolist()} == {(1, 2)}
    assert text == "a🫁b"


def test_special_tokens_write_nothing(byte_level):
    ids = [*byte_level("left", add_special_tokens=False).input_ids, byte_level.eos_token_id]
    text, tokens, offsets = character_spans(byte_level, ids)
    assert text == "left"
    assert tokens[-1] == "</s>"
    assert offsets[-1].tolist() == [4, 4]


def test_an_end_token_that_is_also_called_the_unknown_one_writes_nothing(byte_level):
    both = {"eos_token": "</s>", "unk_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=byte_level.backend_tokenizer, **both)
    assert unknown_id(tokenizer) is None
    text, _, offsets = character_spans(tokenizer, [*tokenizer("left").input_ids, tokenizer.eos_token_id])
    assert text == "left"
    assert offsets[-1].tolist() == [4, 4]


def test_blanks_between_words_belong_to_no_token():
    words = Tokenizer(WordLevel({"<unk>": 0, "left": 1, "lung": 2}, unk_token="<unk>"))  # noqa: S106
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")  # noqa: S106
    assert unknown_id(tokenizer) == 0
    text, tokens, offsets = character_spans(tokenizer, [1, 2, 1, 0])
    assert text == "left lung left <unk>"
    assert tokens == ("left", "lung", "left", "<unk>")
    assert offsets.tolist() == [[0, 4], [5, 9], [10, 14], [15, 20]]


@pytest.mark.parametrize("whole", ["🫁", "肺", "ة", "μ"])
@pytest.mark.parametrize("kept", [1, 2, 3])
@pytest.mark.parametrize("behind", ["", " lung"])
def test_half_a_character_is_shown_as_its_bytes(byte_level, whole, kept, behind):
    halves = byte_level(whole, add_special_tokens=False).input_ids[:kept]
    ids = [byte_level.convert_tokens_to_ids("a"), *halves, *byte_level(behind).input_ids]
    if len(halves) == len(whole.encode()):
        return
    text, tokens, offsets = character_spans(byte_level, ids)
    assert len(tokens) == len(offsets) == len(ids)
    assert tokens[1 : 1 + len(halves)] == tuple(f"<0x{byte:02X}>" for byte in whole.encode()[:kept])
    assert all(0 <= start < stop <= len(text) for start, stop in offsets)


def test_bytes_joined_to_a_blank_or_a_letter_are_shown_beside_it():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "ð"), ("Ġð", "Ł"), ("«", "ģ"), ("«ģ", "a")]
    known = [*alphabet, *("".join(pair) for pair in merges)]
    letters = Tokenizer(BPE({piece: index for index, piece in enumerate(known)}, merges))
    letters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    letters.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters)
    ids = tokenizer("no 🫁a").input_ids
    text, tokens, offsets = character_spans(tokenizer, ids)
    assert tokens == ("n", "o", "<0xF0><0x9F>", "<0xAB><0x81>a")
    assert text == "no 🫁a"
    assert offsets.tolist() == [[0, 1], [1, 2], [3, 5], [3, 5]]


def test_bytes_of_a_sentencepiece_vocabulary_keep_their_names():
    vocabulary = {"<unk>": 0, "a": 1, **{f"<0x{byte:02X}>": 2 + byte for byte in range(256)}}
    pieces = Tokenizer(BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))  # noqa: S106
    pieces.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=pieces, unk_token="<unk>")  # noqa: S106
    ids = tokenizer("a🫁").input_ids[:-1]
    text, tokens, offsets = character_spans(tokenizer, ids)
    assert tokens == ("a", "<0xF0>", "<0x9F>", "<0xAB>")
    assert text.startswith("a\ufffd")
    assert len(offsets) == len(ids)


def test_every_byte_has_a_name(byte_level):
    ids = byte_level.convert_tokens_to_ids(sorted(pre_tokenizers.ByteLevel.alphabet()))
    shown = [character_spans(byte_level, [index])[1][0] for index in ids]
    named = {name for name in shown if name.startswith("<0x")}
    assert named == {f"<0x{byte:02X}>" for byte in range(0x80, 0x100)}
    assert len(shown) == 256


def test_any_sequence_of_tokens_keeps_its_length(byte_level):
    draw = np.random.default_rng(0)
    for _ in range(200):
        ids = draw.integers(0, len(byte_level), size=12).tolist()
        text, tokens, offsets = character_spans(byte_level, ids)
        assert len(tokens) == len(offsets) == 12
        assert all(tokens)
        assert ((offsets >= 0) & (offsets <= len(text))).all()
        assert (offsets[:, 1] >= offsets[:, 0]).all()


def test_places_are_where_a_text_fills_a_template():
    assert list(text_ranges(("ab", "", "c"), "xyz")) == [(2, 5), (5, 8)]


def test_what_takes_no_room_between_two_covered_tokens_is_covered():
    offsets = [(0, 0), (0, 2), (2, 3), (3, 3), (3, 5), (5, 6)]
    assert characters_written(offsets, [(2, 5)]).tolist() == [
        [-1, -1],
        [-1, -1],
        [0, 1],
        [1, 1],
        [1, 3],
        [-1, -1],
    ]
    assert (characters_written(offsets, []) == -1).all()
    assert (characters_written(offsets, [(6, 9)]) == -1).all()


def test_a_token_that_writes_the_template_too_counts_for_its_part_of_the_text():
    assert characters_written([(0, 3), (3, 4), (4, 9)], [(2, 6)]).tolist() == [[0, 1], [1, 2], [2, 4]]


def test_a_text_that_stands_twice_is_written_twice():
    assert characters_written([(0, 2), (2, 4), (4, 6)], [(0, 2), (4, 6)]).tolist() == [
        [0, 2],
        [-1, -1],
        [0, 2],
    ]
