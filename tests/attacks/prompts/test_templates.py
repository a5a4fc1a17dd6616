"""A prompt without exactly one image of its own never reaches the model."""

import numpy as np
import pytest

from groundviz import models
from groundviz.errors import PromptError
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

IMAGE = "{% if p.type == 'image' %}<image> {% endif %}"
TEXT = "{% if p.type == 'text' %}{{ p.text }} {% endif %}"


def template(*written):
    return "{% for m in messages %}{% for p in m.content %}" + "".join(written) + "{% endfor %}{% endfor %}"


@pytest.fixture
def watched():
    """A model, and how often its forward was entered."""
    model, entered = tiny_llava(), []
    model.register_forward_pre_hook(lambda *_: entered.append(1))
    model.generation_config.max_new_tokens = 1
    return models.resolve(model, tiny_llava_processor(model)), entered


@pytest.mark.parametrize(
    "written",
    [template(TEXT), template(IMAGE, IMAGE, TEXT), "<image> " + template(IMAGE, TEXT), template(IMAGE)],
    ids=["no image", "two images", "two images, one outside the turn", "no question"],
)
@pytest.mark.parametrize("question", ["is there a nodule", "is there <image> a nodule", "<image>"])
def test_a_template_without_one_image_and_the_question_is_refused(watched, written, question):
    vlm, entered = watched
    vlm.processor.chat_template = written
    with pytest.raises(PromptError, match="template"):
        vlm.generate(np.zeros((28, 28), np.uint8), question)
    assert entered == []


@pytest.mark.parametrize("question", ["", " ", "\x00", "is \ud800", "is there " * 300])
def test_a_question_that_cannot_be_asked_is_refused_before_the_model_runs(watched, question):
    vlm, entered = watched
    with pytest.raises(PromptError):
        vlm.generate(np.zeros((28, 28), np.uint8), question)
    assert entered == []


@pytest.mark.parametrize("question", ["is there a nodule", "is <image> there", "</s>"])
def test_a_question_that_can_be_asked_does_run(watched, question):
    vlm, entered = watched
    assert isinstance(vlm.generate(np.zeros((28, 28), np.uint8), question), str)
    assert entered
