from itertools import pairwise

import numpy as np
import pytest

from groundviz import models
from groundviz.errors import PromptError, UnsupportedModel
from groundviz.record.geometry import to_source_pixels
from groundviz.record.types import SourceImage
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

QUESTION = "Is there a nodule?"


def words_of(prompt, kind):
    positions = [i for span in prompt.spans if span.kind == kind for i in range(span.start, span.stop)]
    return [prompt.tokens[i] for i in positions]


def test_every_cell_is_one_image_token(tiny, source_image):
    encoded = tiny.encode((source_image,), QUESTION)
    prompt, inputs = encoded.prompt, encoded.inputs
    (grid,) = prompt.grids
    assert grid.rows * grid.cols == 16
    assert set(words_of(prompt, "image")) == {"<image>"}
    assert (inputs["input_ids"][0, grid.positions] == tiny.model.config.image_token_id).all()


def test_spans_cover_the_prompt_and_find_the_question(tiny, source_image):
    encoded = tiny.encode((source_image,), QUESTION)
    prompt = encoded.prompt
    assert prompt.spans[0].start == 0
    assert prompt.spans[-1].stop == len(prompt.tokens)
    assert all(a.stop == b.start for a, b in pairwise(prompt.spans))
    assert words_of(prompt, "question") == ["Is", "there", "a", "nodule", "?"]


def test_the_manual_prompt_gives_generates_first_token(tiny, source_image):
    inputs = tiny.encode((source_image,), QUESTION).inputs
    step = tiny.model.generate(**inputs, max_new_tokens=1)[0, -1]
    assert tiny.model(**inputs).logits[0, -1].argmax() == step


def test_what_the_crop_removes_is_unseen(source_image):
    model = tiny_llava(vision="clip")
    vlm = models.resolve(model, tiny_llava_processor(model))
    (grid,) = vlm.encode((source_image,), QUESTION).prompt.grids
    shown = to_source_pixels(np.ones((4, 4), np.float32), grid, source_image.shape)
    # 40 by 56 becomes 28 by 39, and 5 + 6 of the 39 columns are cut off.
    assert np.isnan(shown[:, :7]).all()
    assert np.isnan(shown[:, 47:]).all()
    assert np.isfinite(shown[:, 7:47]).all()


def test_padding_around_a_image_is_not_in_it():
    model = tiny_llava(vision="clip")
    processor = tiny_llava_processor(model)
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

    side = model.config.vision_config.image_size
    processor.image_processor = LlavaImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}, do_pad=True
    )
    tall = SourceImage(
        pixels=np.zeros((80, 20), np.float32), source="array", raw_range=(0, 1), sha256="0" * 64
    )
    (grid,) = models.resolve(model, processor).encode((tall,), QUESTION).prompt.grids
    assert grid.valid.tolist() == [[False, True, True, False]] * 4


@pytest.mark.parametrize("question", ["", "  \n", "is \ud800 it"])
def test_questions_that_cannot_be_asked_are_refused(tiny, source_image, question):
    with pytest.raises(PromptError):
        tiny.encode((source_image,), question)


@pytest.mark.parametrize("token", ["<image>", "</s>", "<s>", "<pad>"])
@pytest.mark.parametrize("form", ["{} is there a nodule?", "is there {} a nodule?", "is there a nodule? {}"])
def test_a_typed_control_token_reaches_the_model_as_text(tiny, source_image, token, form):
    plain = tiny.encode((source_image,), form.format("nodule")).prompt
    encoded = tiny.encode((source_image,), form.format(token))
    prompt, inputs = encoded.prompt, encoded.inputs
    special = tiny.processor.tokenizer.all_special_ids
    assert np.isin(prompt.token_ids, special).sum() == np.isin(plain.token_ids, special).sum()
    assert "".join(words_of(prompt, "question")).count(token) == 1
    assert inputs["input_ids"][0].tolist() == prompt.token_ids.tolist()


def test_an_unknown_word_is_not_a_control_token(tiny, source_image):
    encoded = tiny.encode((source_image,), "is there a zzz?")
    prompt = encoded.prompt
    assert "<unk>" in words_of(prompt, "question")


def test_a_question_longer_than_the_models_positions_is_refused(tiny, source_image):
    with pytest.raises(PromptError, match="positions for 512"):
        tiny.encode((source_image,), "is there a nodule " * 130)


def test_a_processor_of_another_model_is_refused():
    model, other = tiny_llava(image_size=28), tiny_llava(image_size=42)
    processor = tiny_llava_processor(other)
    processor.patch_size = 21
    with pytest.raises(UnsupportedModel, match="do not belong together"):
        models.resolve(model, processor).encode((source_image_of(28),), QUESTION)


def source_image_of(side):
    return SourceImage(
        pixels=np.zeros((side, side), np.float32), source="array", raw_range=(0, 1), sha256="0" * 64
    )
