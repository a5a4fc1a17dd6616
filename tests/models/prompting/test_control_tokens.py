"""A control token that was typed is written as text, or refused where it cannot be."""

from types import SimpleNamespace

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE, WordLevel
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from groundviz.errors import PromptError
from groundviz.models.prompting.control_tokens import ALONE, ControlTokens

PARTS = ("<|user|>", "</s><think>")


def named(**tokens):
    """Arguments for special tokens; their names look like secrets to the linter."""
    return {f"{name}_token": token for name, token in tokens.items()}


@pytest.fixture
def letters():
    """Each byte is a token, and "</s>" one more, wherever the letters come from."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("<", "/"), ("s", ">"), ("</", "s>")]
    known = [*alphabet, *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(BPE({piece: index for index, piece in enumerate(known)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, additional_special_tokens=["<|user|>"], **named(eos="</s>")
    )


def controls_of(tokenizer, template="<|user|></s><think>"):
    return ControlTokens.of(SimpleNamespace(tokenizer=tokenizer), template)


def test_special_and_image_tokens_are_control_tokens(letters):
    controls = ControlTokens.of(SimpleNamespace(tokenizer=letters, **named(image="s>")))
    assert set(controls.ids) == {"</s>", "<|user|>", "s>"}


def test_a_marker_that_the_template_writes_is_one_too(letters):
    letters.add_tokens([AddedToken(text) for text in ("<think>", "<loc_7>", "user", "\n\n", "  ")])
    assert set(controls_of(letters, "<|user|>\n\nuser  <think>").ids) == {"</s>", "<|user|>", "<think>"}


def test_even_a_vocabularys_own_word_is_spelled(letters):
    controls = controls_of(letters)
    reading = controls.read_as_text(PARTS, "a</s>b")
    assert letters.convert_ids_to_tokens(reading.token_ids) == [
        "<|user|>", "a", "</", "s>", "b", "</s>", *"<think>",
    ]  # fmt: skip
    assert reading.wrote.tolist() == [[-1, -1], [0, 1], [1, 3], [3, 5], [5, 6], *[[-1, -1]] * 8]


def test_a_token_that_takes_the_template_to_complete_is_spelled(letters):
    parts = ("<", " ?")
    controls = controls_of(letters, "")
    assert controls.smuggled(parts, "/s>") == ("</s>",)
    reading = controls.read_as_text(parts, "/s>")
    assert letters.eos_token_id not in reading.token_ids
    assert letters.decode(reading.token_ids) == "</s> ?"


def test_an_end_token_called_the_unknown_one_is_not_overlooked(letters):
    letters.unk_token = letters.eos_token
    controls = controls_of(letters, "")
    assert controls.smuggled(("<", ""), "/s>") == ("</s>",)
    assert letters.eos_token_id not in controls.read_as_text(("<", ""), "/s>").token_ids


def test_of_two_control_tokens_that_begin_alike_the_template_keeps_the_longer(letters):
    letters.add_tokens([AddedToken(text, special=True) for text in ("<|user|>s", "<|user|>s>x")])
    reading = controls_of(letters, "").read_as_text(("<|user|>s>x", "<|user|>s"), "<|user|>")
    pieces = letters.convert_ids_to_tokens(reading.token_ids)
    assert pieces == ["<|user|>s>x", *"<|user|>", "<|user|>s"]


def test_letters_that_become_a_token_when_normalised_are_spelled(letters):
    letters.backend_tokenizer.normalizer = normalizers.NFKC()
    letters.add_tokens([AddedToken("<end>", normalized=True, special=True)], special_tokens=True)
    wide = "\uff1cend\uff1e"
    controls = controls_of(letters, "")
    assert controls.smuggled(ALONE, wide) == ("<end>",)
    assert letters.decode(controls.read(wide)) == "<end>"
    assert letters.convert_tokens_to_ids("<end>") not in controls.read(wide)


def test_nobody_can_type_the_new_names(letters):
    controls = controls_of(letters)
    reading = controls.read_as_text(PARTS, "zq0x000000 ZQ1X000001 </s>")
    assert letters.decode(reading.token_ids) == "<|user|>zq0x000000 ZQ1X000001 </s></s><think>"
    assert reading.token_ids.count(letters.eos_token_id) == 1


def test_an_unknown_word_is_no_control_token_and_a_typed_one_is_refused():
    words = WordLevel({"<unk>": 0, "</s>": 1, "is": 2}, unk_token="<unk>")  # noqa: S106
    tokenizer = Tokenizer(words)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named(unk="<unk>", eos="</s>"))
    controls = controls_of(fast)
    assert controls.read("is zzz") == [2, 0]
    for token in ("<unk>", "</s>"):
        with pytest.raises(PromptError, match=f"contains '{token}', which this model reads as a command"):
            controls.read(f"is {token}")


def test_a_slow_tokenizer_writes_them_as_text_too():
    slow = ByT5Tokenizer(extra_ids=0, additional_special_tokens=["<image>"])
    controls = controls_of(slow)
    reading = controls.read_as_text(("a<image>", "b"), "<image></s>", add_special_tokens=True)
    image, end = slow.convert_tokens_to_ids(["<image>", "</s>"])
    assert [index for index in reading.token_ids if index in (image, end)] == [image, end]
    assert reading.token_ids[1] == image
    assert reading.token_ids[-1] == end
    assert slow.decode(reading.token_ids[2:-2]) == "<image></s>"
    assert controls.read("a</s>") == [slow.convert_tokens_to_ids(letter) for letter in "a</s>"]


def test_a_slow_tokenizer_that_knows_the_marker_as_a_word_refuses_it():
    class Words(ByT5Tokenizer):
        def _tokenize(self, text, **kwargs):
            return [text]

        def _convert_token_to_id(self, token):
            return 50

    with pytest.raises(PromptError, match="no way to write it as text"):
        controls_of(Words(extra_ids=0)).read("</s>")
