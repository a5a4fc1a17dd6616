"""A system prompt, earlier turns and a verbatim prompt, from the call to the saved record and back."""

import numpy as np
import pytest

import groundviz
from groundviz import Question, Verbatim, errors
from groundviz.models.prompting.chat import fill_template
from groundviz.models.prompting.formats import Format
from groundviz.record.conversation import asking
from groundviz.runtime.identity import same_model
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

IMAGE = np.random.default_rng(5).random((40, 56), dtype=np.float32)
TURNS = [
    {"role": "user", "content": "Is there a nodule?"},
    {"role": "assistant", "content": "yes"},
    {"role": "user", "content": "Where is the nodule?"},
]
ASKED = {
    "a system prompt": {"question": "Is there a nodule?", "system": "Is the finding large or small?"},
    "turns": {"question": TURNS, "system": "no"},
    "an image inside": {
        "question": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Is there "},
                    {"type": "image"},
                    {"type": "text", "text": "a nodule?"},
                ],
            }
        ]
    },
    "verbatim": {"question": Verbatim("USER : <image> Is there a nodule ? ASSISTANT :")},
    "verbatim, no image": {"question": Verbatim("Is there a nodule ? no :")},
}


@pytest.fixture(scope="module")
def pair():
    model = tiny_llava()
    model.generation_config.max_new_tokens = 3
    # Like a trained model, it says no control token, of which a further pass would make an image.
    model.get_output_embeddings().weight.data[:5] = 0.0
    return model, tiny_llava_processor(model)


def ask(pair, *, question, methods="attention", **options):
    return groundviz.explain(
        pair[0], IMAGE, question, processor=pair[1], methods=methods, certify=False, **options
    )


def text_of(record):
    prompt = record.prompt
    return " ".join(token for token in prompt.tokens if token != "<image>")  # noqa: S105


@pytest.mark.parametrize("how", ASKED)
def test_it_is_explained_stored_and_explained_further(pair, how, tmp_path):
    first = ask(pair, **ASKED[how])
    opened = groundviz.open(first.save(tmp_path / "case.gvz"))
    assert opened.record.prompt.messages == first.record.prompt.messages
    assert opened.record.prompt.verbatim is first.record.prompt.verbatim is how.startswith("verbatim")
    more = groundviz.explain_more(opened, pair[0], ["occlusion", "relative_attention"], processor=pair[1])
    assert more.methods == ("attention", "occlusion", "relative_attention")
    assert "nodule" in first.question


@pytest.mark.parametrize("how", ASKED)
def test_words_of_the_question_alone_have_maps(pair, how):
    found = ask(pair, target=Question("nodule"), **ASKED[how])
    record = found.record
    (index,) = record.target.tokens
    assert record.prompt.tokens[index] == "nodule"
    assert np.isfinite(found.heatmap("attention").values).all()
    # The word stands in an earlier turn, too, and only the question's is meant.
    at = [
        place - len(record.prompt.tokens)
        for place, name in enumerate(record.prompt.tokens)
        if name == "nodule"
    ]
    assert index == at[-1]


def test_the_prompt_holds_every_turn_in_its_order(pair):
    record = ask(pair, **ASKED["turns"]).record
    assert text_of(record) == (
        "SYSTEM : no USER : Is there a nodule ? ASSISTANT : yes USER : Where is the nodule ? ASSISTANT :"
    ).replace("SYSTEM", "<unk>")
    assert record.prompt.question == "Where is the nodule?"
    assert record.provenance.sources["prompt"] == "the question behind a system prompt and 2 earlier turns"
    # The image stands at the beginning of the user's first turn.
    spans = [span for span in record.prompt.spans if span.kind == "image"]
    before = record.prompt.tokens[: spans[0].start]
    assert before == ("<unk>", ":", "no", "USER", ":")


def test_the_image_stands_where_the_message_says(pair):
    record = ask(pair, **ASKED["an image inside"]).record
    first = next(span.start for span in record.prompt.spans if span.kind == "image")
    assert record.prompt.tokens[:first] == ("USER", ":", "Is", "there")
    assert record.prompt.question == "Is there a nodule?"
    late = [
        TURNS[0],
        TURNS[1],
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Where?"}]},
    ]
    record = ask(pair, question=late).record
    first = next(span.start for span in record.prompt.spans if span.kind == "image")
    assert "yes" in record.prompt.tokens[:first]


def test_one_message_asks_what_its_text_asks(pair):
    plain, message = (ask(pair, question=one).record for one in ("Is there a nodule?", [TURNS[0]]))
    assert plain.prompt.token_ids.tolist() == message.prompt.token_ids.tolist()
    assert plain.answer.token_ids.tolist() == message.answer.token_ids.tolist()


def test_a_verbatim_prompt_goes_to_the_model_as_it_is(pair):
    plain = ask(pair, question="Is there a nodule?").record
    record = ask(pair, **ASKED["verbatim"]).record
    assert record.prompt.token_ids.tolist() == plain.prompt.token_ids.tolist()
    assert record.answer.token_ids.tolist() == plain.answer.token_ids.tolist()
    assert record.provenance.sources["prompt"] == "verbatim"
    assert record.prompt.text == record.prompt.question == ASKED["verbatim"]["question"].text
    front = ask(pair, **ASKED["verbatim, no image"]).record
    assert front.prompt.tokens[:16] == ("<image>",) * 16
    assert front.provenance.sources["prompt"] == "verbatim, with the images put in front"


def test_a_question_in_the_models_own_template_is_noticed(pair):
    with pytest.raises(errors.PromptError, match=r"groundviz\.Verbatim"):
        ask(pair, question="USER : is it large ? ASSISTANT :")
    with pytest.raises(errors.PromptError, match="own chat template already"):
        _, processor = pair
        odd = "Q> {% for p in messages[0].content %}{% if p.type == 'image' %}<image>{% else %}{{ p.text }}"
        processor.chat_template, kept = odd + "{% endif %}{% endfor %} <A", processor.chat_template
        try:
            fill_template(processor, "Q> is it? <A", "", marker="<image>")
        finally:
            processor.chat_template = kept


def test_another_number_of_images_than_places_is_refused(pair):
    twice = [
        {
            "role": "user",
            "content": [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "Is it?"}],
        }
    ]
    with pytest.raises(errors.PromptError, match="place 2 images, and there is one image"):
        ask(pair, question=twice)


def test_a_template_without_a_place_for_a_system_prompt_says_so(pair, monkeypatch):
    user = "{% for m in messages if m.role != 'system' %}{{ m.role }} : {% for p in m.content %}"
    user += "{% if p.type == 'image' %}<image> {% else %}{{ p.text }} {% endif %}{% endfor %}{% endfor %}:"
    monkeypatch.setattr(pair[1], "chat_template", user)
    with pytest.raises(errors.PromptError, match="leaves out the system prompt"):
        ask(pair, **ASKED["a system prompt"])
    monkeypatch.setattr(pair[1], "chat_template", "{{ raise_exception('no system prompt, please') }}" + user)
    with pytest.raises(errors.PromptError, match="no system prompt, please"):
        ask(pair, **ASKED["a system prompt"])


def test_a_template_that_takes_texts_bare_gets_them_bare(pair):
    processor = pair[1]
    kept = processor.chat_template
    processor.chat_template = (
        "{% for m in messages %}{% if m.role == 'user' %}USER : {% for p in m.content %}"
        "{% if p.type == 'image' %}<image> {% else %}{{ p.text }} {% endif %}{% endfor %}"
        "{% else %}{{ m.role }} : {{ m.content }} {% endif %}{% endfor %}ASSISTANT :"
    )
    try:
        messages = asking(
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "is it?"}]}], "no"
        )
        chat = fill_template(processor, messages, "", marker="<image>")
    finally:
        processor.chat_template = kept
    assert chat.text == "system : no USER : <image> is it? ASSISTANT :"
    assert chat.question == "is it?"


FORM = Format(
    turn="USER: {images}\n{question} ASSISTANT:",
    later="USER: {question} ASSISTANT:",
    answer=" {answer}</s>",
    system="{system} ",
)


def test_a_format_written_by_hand_has_places_for_turns_or_says_what_it_has(pair):
    processor = pair[1]
    kept, processor.chat_template = processor.chat_template, None
    try:
        asked = asking(
            [
                {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "is {it}?"}]},
                *TURNS[1:],
            ],
            "Be brief.",
        )
        chat = fill_template(processor, asked, FORM, marker="<image>")
        assert chat.text == (
            "Be brief. USER: <image>\nis {it}? ASSISTANT: yes</s>USER: Where is the nodule? ASSISTANT:"
        )
        with pytest.raises(errors.PromptError, match=r"it knows one question, .*Verbatim"):
            fill_template(processor, asked, FORM.turn, marker="<image>")
        with pytest.raises(errors.PromptError, match="and earlier turns"):
            fill_template(processor, (asked[1], asked[1]), FORM, marker="<image>")
    finally:
        processor.chat_template = kept


def test_another_system_prompt_is_another_prompt(pair):
    found = ask(pair, **ASKED["a system prompt"]).record.prompt
    other = ask(pair, question="Is there a nodule?", system="Is the finding small or large?").record.prompt
    with pytest.raises(errors.UnsupportedModel, match="not the same ones"):
        same_model.same_prompt(found, other)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"question": b"is it?"}, errors.PromptError, "of type bytes"),
        ({"question": None}, errors.PromptError, "is None"),
        ({"system": 3}, errors.PromptError, "system prompt is of type int"),
        ({"answer": b"no"}, errors.PromptError, "answer is of type bytes"),
        ({"answer": ["no"]}, errors.PromptError, "answer is of type list"),
        ({"target": b"no"}, errors.TargetError, "of type bytes"),
        ({"target": 1.5}, errors.TargetError, "of type float"),
        ({"target": True}, errors.TargetError, "of type bool"),
        ({"target": (1, 2, 3)}, errors.TargetError, "of type tuple"),
        ({"target": ["no", None, {}]}, errors.TargetError, "of type dict"),
        ({"target": []}, errors.TargetError, "list of targets is empty"),
        ({"against": 3}, errors.TargetError, "of type int"),
        ({"methods": 3}, errors.OptionError, "methods is of type int"),
        ({"methods": [b"attention"]}, errors.OptionError, "of type bytes"),
        ({"methods": {"attention": 3}}, errors.OptionError, "options of attention are of type int"),
        ({"seed": None}, errors.OptionError, "seed is of type NoneType"),
        ({"seed": "1"}, errors.OptionError, "seed is of type str"),
        ({"seed": 1.0}, errors.OptionError, "seed is of type float"),
        ({"seed": -1}, errors.OptionError, "seed is -1"),
        ({"generation": ["num_beams"]}, errors.OptionError, "of type list: expected a table"),
        ({"generation": {"num_beams": 100_000}}, errors.OptionError, "from 1 to 64"),
        ({"generation": {"num_beams": 2}, "answer": "no"}, errors.OptionError, "nothing is generated"),
    ],
)
def test_arguments_of_a_wrong_kind_are_refused_before_a_model_is_loaded(options, error, says, monkeypatch):
    monkeypatch.setattr(groundviz.models, "resolve", None)
    question = options.pop("question", "Is it?")
    with pytest.raises(error, match=says):
        groundviz.explain("no such model", IMAGE, question, **options)
