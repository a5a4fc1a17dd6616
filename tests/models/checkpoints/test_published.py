import copy
import shutil

import pytest
import torch
from PIL import Image

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints import evaluation_images
from groundviz.models.checkpoints.published import VICUNA, PublishedProcessor, read_tokenizer, speaking
from tests.models.checkpoints.originals import Reference

PHI, MISTRAL = (Reference(name).place / "checkpoint" for name in ("sigphi_phi35", "llavamed15"))
PROMPT = "USER: <image>\nIs there a nodule? ASSISTANT:"


def processor(folder=PHI):
    return PublishedProcessor(
        tokenizer=read_tokenizer(folder),
        image_processor=evaluation_images.squashed(28),
        prompt=VICUNA,
        image_tokens=3,
    )


def test_pieces_are_tokenised_one_by_one():
    made = processor()(text=PROMPT)
    read = read_tokenizer(PHI)
    before, after = PROMPT.split("<image>")
    wanted = [*read(before).input_ids, *[485] * 3, *read(after).input_ids]
    assert made["input_ids"].tolist() == [wanted]
    assert made["attention_mask"].tolist() == [[1] * len(wanted)]
    # Read in one go, the newline behind the image is another token.
    assert read(PROMPT).input_ids != [*read(before).input_ids, 485, *read(after).input_ids]
    assert set(made) == {"input_ids", "attention_mask"}


def test_only_the_first_piece_has_a_start_token():
    start = read_tokenizer(MISTRAL).bos_token_id
    with_start = processor(MISTRAL)(text=PROMPT)["input_ids"][0].tolist()
    without = processor(MISTRAL)(text=PROMPT, add_special_tokens=False)["input_ids"][0].tolist()
    assert with_start[0] == start
    assert with_start[1:] == without
    assert start not in without


def test_several_images_take_as_many_places_each():
    made = processor()(
        images=[Image.new("RGB", (40, 30)), Image.new("RGB", (20, 30))], text=["<image><image>\nwhat?"]
    )
    assert (made["input_ids"] == 485).sum() == 6
    assert made["pixel_values"].shape == (2, 3, 28, 28)
    assert made["pixel_values"].dtype == torch.float32


def test_the_tokenizer_is_looked_up_with_each_call():
    class Loud:
        def __init__(self, quiet):
            self._quiet = quiet

        def __getattr__(self, name):
            return getattr(self._quiet, name)

        def __call__(self, text, **options):
            return self._quiet(text.upper(), **options)

    quiet = processor()
    loud = copy.copy(quiet)
    loud.tokenizer = Loud(quiet.tokenizer)
    assert (
        loud(text=PROMPT)["input_ids"].tolist()
        == quiet(text=PROMPT.upper().replace("<IMAGE>", "<image>"))["input_ids"].tolist()
    )
    assert loud(text=PROMPT)["input_ids"].tolist() != quiet(text=PROMPT)["input_ids"].tolist()


def test_an_image_has_one_token_behind_the_vocabulary():
    tokenizer = read_tokenizer(MISTRAL)
    assert tokenizer.convert_tokens_to_ids("<image>") == 480 == len(tokenizer) - 1
    assert tokenizer.convert_ids_to_tokens(480) == "<image>"
    known = read_tokenizer(PHI, "<|user|>")
    assert known.convert_tokens_to_ids("<|user|>") == 484


def test_sentencepiece_keeps_the_blank_before_a_piece(tmp_path):
    # Told by the model type "llava" alone, transformers leaves it out.
    for file in ("tokenizer.model", "tokenizer_config.json"):
        shutil.copy(MISTRAL / file, tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llava"}', "utf-8")
    tokenizer = read_tokenizer(tmp_path)
    wanted = read_tokenizer(MISTRAL)("chest").input_ids
    assert tokenizer("chest").input_ids == wanted
    assert tokenizer.convert_ids_to_tokens(wanted)[1].startswith("▁")


@pytest.mark.parametrize("text", [None, "{", '{"tokenizer_class": "NoSuchTokenizer"}'])
def test_a_tokenizer_that_cannot_be_read_is_reported(tmp_path, text):
    if text:
        (tmp_path / "tokenizer_config.json").write_text(text, "utf-8")
    with pytest.raises(UnsupportedModel, match="processor=") as caught:
        read_tokenizer(tmp_path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("text", ["{}", "[]", '{"model": 3}', pytest.param("[" * 9999, id="deep")])
def test_a_damaged_vocabulary_is_reported(tmp_path, text):
    shutil.copytree(PHI, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer.json").write_text(text, "utf-8")
    with pytest.raises(UnsupportedModel, match="tokenizer of the checkpoint cannot be read"):
        read_tokenizer(tmp_path)


def test_generation_is_greedy_and_ends_at_the_tokenizers_end():
    assert speaking(read_tokenizer(PHI), at_most=7) == {
        "bos_token_id": 1,
        "eos_token_id": 480,
        "pad_token_id": 480,
        "max_new_tokens": 7,
    }
