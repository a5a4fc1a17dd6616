"""Models without an adapter, and processors that belong to another model."""

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPModel

from groundviz.errors import UnsupportedModel
from groundviz.explain import explain
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

pytestmark = pytest.mark.wide

QUESTION = "Is there a nodule?"


def test_a_plain_module_is_refused(image):
    with pytest.raises(
        UnsupportedModel, match=r"Linear has no adapter: its model type is None.*families are"
    ):
        explain(torch.nn.Linear(2, 2), image, QUESTION)


def test_another_architecture_is_refused_with_what_works(image):
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    text, vision = {**small, "vocab_size": 9}, {**small, "image_size": 32}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision))
    with pytest.raises(
        UnsupportedModel, match=r"'clip', and the families are: .*llava.*Use a method that works"
    ):
        explain(model, image, QUESTION)


def parts_of(processor):
    return {"its tokenizer": processor.tokenizer, "its image processor": processor.image_processor}


@pytest.mark.parametrize("part", ["its tokenizer", "its image processor"])
def test_a_part_of_the_processor_is_not_enough(image, part):
    model = tiny_llava()
    with pytest.raises(UnsupportedModel, match="not a processor of images and text"):
        explain(model, image, QUESTION, processor=parts_of(tiny_llava_processor(model))[part])


@pytest.mark.parametrize(
    "other", [{"image_size": 56}, {"patch_size": 14}, {"vision": "clip", "image_size": 42}]
)
def test_the_processor_of_another_model_is_refused(image, other):
    model, foreign = tiny_llava(), tiny_llava_processor(tiny_llava(**other))
    with pytest.raises(UnsupportedModel, match="do not belong together"):
        explain(model, image, QUESTION, processor=foreign)


def test_a_tokenizer_of_more_words_than_the_model_has_is_refused(image):
    model, processor = tiny_llava(), tiny_llava_processor(tiny_llava())
    processor.tokenizer.add_tokens(["pacemaker"])
    with pytest.raises(UnsupportedModel, match="do not belong together"):
        explain(model, image, "Is there a pacemaker?", processor=processor, answer="yes")


def test_an_image_processor_of_another_size_is_refused(image):
    model, processor = tiny_llava(), tiny_llava_processor(tiny_llava())
    processor.image_processor.size = {"height": 35, "width": 35}
    with pytest.raises(UnsupportedModel, match="do not belong together"):
        explain(model, image, QUESTION, processor=processor)


def test_nothing_of_a_refusal_stays_with_the_model(image):
    from groundviz.testing.fingerprint import difference, fingerprint

    model = tiny_llava()
    before = fingerprint(model)
    for processor in (np.zeros(3), tiny_llava_processor(tiny_llava(image_size=56))):
        with pytest.raises(UnsupportedModel):
            explain(model, image, QUESTION, processor=processor)
    assert difference(before, fingerprint(model)) == []
