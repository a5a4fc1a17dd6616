"""A tokenizer that fills in the question is the tokenizer itself, but for control tokens in the question."""

import numpy as np
import pytest
import torch

from groundviz.models.prompting.control_tokens import ControlTokens, placeholder
from groundviz.models.prompting.tokenizer_proxy import Filling, Scribe
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

AROUND = f"USER : {placeholder(0)} ASSISTANT :"


@pytest.fixture(scope="module")
def processor():
    return tiny_llava_processor(tiny_llava())


def scribe(processor, question):
    return Scribe(ControlTokens.of(processor), [Filling(question)])


@pytest.mark.parametrize("options", [{}, {"return_tensors": "pt"}, {"add_special_tokens": False}])
def test_an_ordinary_question_is_read_as_the_tokenizer_reads_it(processor, options):
    writer = scribe(processor, "is there a nodule")
    found = writer(AROUND, **options)
    plain = processor.tokenizer(AROUND.replace(placeholder(0), "is there a nodule"), **options)
    assert found.keys() == plain.keys()
    for name in plain:
        np.testing.assert_array_equal(found[name], plain[name])


def test_several_texts_come_back_as_several(processor):
    found = scribe(processor, "nodule")([AROUND, "no question here"])
    assert found.input_ids == processor.tokenizer(["USER : nodule ASSISTANT :", "no question here"]).input_ids


def test_everything_else_is_the_tokenizers_own(processor):
    writer = scribe(processor, "nodule")
    assert writer.eos_token_id == processor.tokenizer.eos_token_id
    with pytest.raises(AttributeError):
        writer.no_such_thing()


def test_the_question_is_found_in_a_longer_prompt(processor):
    """Where a processor puts image tokens between pieces that it reads one by one."""
    writer = scribe(processor, "is there a nodule")
    piece = writer(AROUND, add_special_tokens=False).input_ids
    wrote = writer.wrote([1, 9, 9, 9, *piece])
    assert np.flatnonzero(wrote[:, 0] >= 0).tolist() == [6, 7, 8, 9]
    assert wrote[6:10].tolist() == [[0, 2], [3, 8], [9, 10], [11, 17]]


def test_a_piece_may_have_lost_its_start_token(processor):
    class Starting:
        """A tokenizer that begins every text with <s>."""

        is_fast = True

        def __getattr__(self, name):
            return getattr(processor.tokenizer, name)

        def __call__(self, text, **options):
            coded = processor.tokenizer(text, **{**options, "return_tensors": None})
            coded["input_ids"] = [1, *coded["input_ids"]]
            if "offset_mapping" in coded:
                coded["offset_mapping"] = [(0, 0), *coded["offset_mapping"]]
            return coded

    controls = ControlTokens(Starting(), ControlTokens.of(processor).ids)
    writer = Scribe(controls, [Filling("nodule")])
    piece = writer(AROUND).input_ids
    assert piece[0] == 1
    assert np.flatnonzero(writer.wrote([1, 9, *piece[1:]])[:, 0] >= 0).tolist() == [4]


def test_control_tokens_in_the_question_become_text_as_tensors_too(processor):
    controls = ControlTokens.of(processor)
    found = Scribe(controls, [Filling("is <image> there")])(AROUND, return_tensors="pt")
    assert isinstance(found["input_ids"], torch.Tensor)
    assert controls.ids["<image>"] not in found["input_ids"][0].tolist()
    assert found["attention_mask"].shape == found["input_ids"].shape
