import pytest
import torch
from transformers import LlamaTokenizer

from groundviz.models.checkpoints.building.separators import AtSeparator, pieces_of
from tests.models.checkpoints.references import FIXTURES


class Vocabulary:
    def get_vocab(self):
        return {"a": 0, "#": 1, "▁##": 2, "###": 3, "<0x23>": 4, "<0x24>": 5, "x#": 6, "</s>": 7}


PIECES = {"1": "#", "2": " ##", "3": "###", "4": "#", "6": "x#"}


def test_only_tokens_with_a_part_in_it_are_remembered():
    assert pieces_of(Vocabulary(), "###") == PIECES


@pytest.mark.parametrize(
    ("token_ids", "ended"),
    [
        ([0, 3], True),
        ([3], True),
        ([1, 1, 1], True),
        ([1, 4, 1], True),
        ([6, 1, 1], True),
        ([2, 1], True),
        ([1, 2], False),
        ([1, 0, 1, 1], False),
        ([1, 1], False),
        ([5, 1, 1], False),
    ],
)
def test_an_answer_ends_where_the_separator_does(token_ids, ended):
    at = AtSeparator("###", PIECES, start=2)
    # The prompt ends with a separator, too, of which no part belongs to the answer.
    assert at(torch.tensor([[0, 3, *token_ids]]), None).tolist() == [ended]


def test_each_prompt_of_a_batch_ends_by_itself():
    at = AtSeparator("###", PIECES, start=0)
    assert at(torch.tensor([[0, 0, 3], [0, 0, 0]]), None).tolist() == [True, False]


def test_a_real_tokenizers_pieces_spell_the_separator():
    tokenizer = LlamaTokenizer.from_pretrained(FIXTURES / "llavamed10" / "delta")
    at = AtSeparator("###", pieces_of(tokenizer, "###"), start=0)
    ids = tokenizer("No.###").input_ids
    ends = [bool(at(torch.tensor([ids[:stop]]), None)) for stop in range(1, len(ids) + 1)]
    assert ends == [False] * (len(ids) - 1) + [True]
