"""A prompt knows which of its tokens are the question's, whatever the template does to it."""

from types import SimpleNamespace

import numpy as np
import pytest
from transformers import LlamaConfig

from groundviz.errors import PromptError
from groundviz.models.prompting.chat import Chat, fill_template, render_chat
from groundviz.models.prompting.control_tokens import PLACEHOLDER, ControlTokens, placeholder
from groundviz.models.prompting.offsets import woven
from groundviz.models.prompting.prompt import (
    adds_special_tokens,
    check_images,
    check_length,
    check_text,
    find_spans,
)
from groundviz.models.prompting.tokenizer_proxy import Filling, Scribe
from groundviz.record.types import Slice
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

CONFIG = LlamaConfig(max_position_embeddings=100)
LOOP = (
    "{% for m in messages %}{% for p in m.content %}{% if p.type == 'text' %}TEXT{% else %}IMAGE{% endif %}"
)
LOOP += "{% endfor %}{% endfor %} ASSISTANT :"


@pytest.fixture
def processor():
    return tiny_llava_processor(tiny_llava())


def template(text, image):
    return LOOP.replace("TEXT", text).replace("IMAGE", image)


def test_surrounding_blanks_are_no_part_of_a_text():
    assert check_text(CONFIG, "  is it?\n", "question") == "is it?"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("\u200b\u202e", "empty"),
        ("is \ud800 it", "lone surrogate"),
        ("is \x1b[1m it", "control character"),
        ("a" * 1601, "1601 characters, and the model has positions for 100 tokens"),
    ],
)
def test_texts_that_no_model_can_read_are_refused(text, says):
    with pytest.raises(PromptError, match=says):
        check_text(CONFIG, text, "question")


def test_blank_lines_and_tabs_may_stand_in_a_text():
    assert check_text(CONFIG, "is\tit\r\nthere?", "answer") == "is\tit\r\nthere?"


def test_the_models_positions_count_and_not_the_tokenizers(processor):
    processor.tokenizer.model_max_length = 4
    assert len(typed_in(processor, Chat(("<image> ", ""), (Filling("is there a nodule"),)))) == 20
    # Nor does the tokenizer warn, in words that are no help.
    assert not processor.tokenizer.deprecation_warnings
    check_length(99, CONFIG)
    with pytest.raises(PromptError, match="image and question take 100 tokens"):
        check_length(100, CONFIG)
    with pytest.raises(PromptError, match="with what stands before it, it takes 100 tokens"):
        check_length(100, CONFIG, "answer")


def images_of(slices):
    """Stand-ins for source images; None for one that is no slice."""
    places = [None if one is None else Slice(stack=0, number=one, of=9) for one in slices]
    return [SimpleNamespace(slice=place) for place in places]


@pytest.mark.parametrize(
    ("slices", "says"),
    [
        ([None] * 4, r"4 of about 30 tokens each, with the question 125 tokens.*Give at most 3\.$"),
        ([1, 2, 3, 8], r"Give at most 3, for example frames=range\(1, 9, 3\)\.$"),
        ([1, 2, 3, None], r"Give at most 3\.$"),
    ],
)
def test_the_error_says_how_many_images_there_is_room_for(slices, says):
    with pytest.raises(PromptError, match=says):
        check_images(120, 125, CONFIG, images_of(slices))


def test_images_are_refused_only_where_fewer_of_them_have_room():
    check_images(90, 99, CONFIG, images_of([None] * 3))
    check_images(120, 125, CONFIG, images_of([None]))
    # What is too long is the question, or nobody knows which tokens are of images.
    check_images(20, 200, CONFIG, images_of([None] * 2))
    check_images(0, 200, CONFIG, images_of([None] * 2))


def test_a_model_that_states_no_positions_sets_no_limit():
    boundless = SimpleNamespace(get_text_config=lambda: SimpleNamespace())
    assert check_text(boundless, "a" * 100_000, "question") == "a" * 100_000
    check_length(10**9, boundless)
    check_images(10**9, 10**9, boundless, images_of([None] * 2))


@pytest.mark.parametrize("question", ["nodule", "A", "ASSISTANT", ":", "image", "{question}", PLACEHOLDER])
def test_the_question_is_found_where_the_template_put_it(processor, question):
    chat = fill_template(processor, question, "", marker="<image>")
    assert chat.parts == ("USER : <image> ", " ASSISTANT :")
    assert chat.question == question
    assert chat.text == render_chat(processor, question, "", marker="<image>")


def test_a_processor_without_a_template_gets_the_familys(processor):
    processor.chat_template = None
    chat = fill_template(processor, "is {it}?", "USER: {images}\n{question} ASSISTANT:", marker="<image>")
    assert chat.text == "USER: <image>\nis {it}? ASSISTANT:"


def test_what_the_template_makes_of_a_question_is_the_question(processor):
    processor.chat_template = template("{{ p.text | upper }} ", "<image> ")
    chat = fill_template(processor, "is it?", "", marker="<image>")
    assert chat == Chat(("<image> ", "  ASSISTANT :"), (Filling("IS IT?"),))


def test_a_question_may_stand_in_the_prompt_twice(processor):
    processor.chat_template = template("{{ p.text }} . {{ p.text }} ", "<image> ")
    chat = fill_template(processor, "is there", "", marker="<image>")
    assert chat == Chat(("<image> ", " . ", "  ASSISTANT :"), (Filling("is there"),) * 2)
    typed = typed_in(processor, chat)
    assert np.flatnonzero(typed).tolist() == [16, 17, 19, 20]


USUAL = template("{{ p.text }} ", "<image> ")


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (template("{{ p.text }}", ""), "no image token"),
        (template("{{ p.text }}", "<image> <image> "), "2 image tokens"),
        (template("<image> {{ p.text }}", "<image> "), "2 image tokens"),
        (template("", "<image> "), "loses the question"),
        ("{% if 'it' in messages[0].content[1].text %}Q : {% endif %}" + USUAL, "changes with it"),
    ],
)
@pytest.mark.parametrize("question", ["is it?", "it <image>"])
def test_templates_that_do_not_hold_one_image_and_the_question_are_refused(
    processor, written, says, question
):
    processor.chat_template = written
    with pytest.raises(PromptError, match=says):
        fill_template(processor, question, "", marker="<image>")


def test_spans_alternate_between_kinds():
    typed = np.array([0, 0, 1, 1, 0, 0, 1], dtype=bool)
    spans = [(span.kind, span.start, span.stop) for span in find_spans(typed, np.array([0, 4]))]
    assert spans == [
        ("image", 0, 1),
        ("template", 1, 2),
        ("question", 2, 4),
        ("image", 4, 5),
        ("template", 5, 6),
        ("question", 6, 7),
    ]


@pytest.mark.parametrize("question", ["is there a nodule", "A", ":", "USER", "zzz"])
def test_the_tokens_of_a_question_are_known_one_by_one(processor, question):
    chat = fill_template(processor, question, "", marker="<image>")
    typed = typed_in(processor, chat)
    assert np.flatnonzero(typed).tolist() == [18 + i for i in range(len(question.split()))]


def test_a_template_that_wrote_the_start_token_gets_no_second_one(processor):
    class Starts:
        bos_token = "<s>"  # noqa: S105

    assert not adds_special_tokens(Starts(), "<s>USER: hello")
    assert adds_special_tokens(Starts(), "USER: hello")
    assert adds_special_tokens(SimpleNamespace(bos_token=None), "anything")


def typed_in(processor, chat):
    """Which tokens write the question, by a tokenizer that reads the prompt with its image expanded."""
    scribe = Scribe(ControlTokens.of(processor, "".join(chat.parts)), chat.fillings)
    text = woven(chat.parts, [placeholder(at) for at in range(len(chat.fillings))]).replace(
        "<image>", "<image>" * 16
    )
    return scribe.wrote(scribe(text).input_ids)[:, 0] >= 0
