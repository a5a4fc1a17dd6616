"""What was asked is checked before anything is loaded for it, and a pasted chat template is noticed."""

import pytest

from groundviz.errors import PromptError
from groundviz.record.conversation import Verbatim, asked_again, asking, instead, refuse_pasted
from groundviz.record.types import Message

TURNS = [
    {"role": "user", "content": "Is there a nodule?"},
    {"role": "assistant", "content": "yes"},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Where is it?"}]},
]
PASTED = {
    "vicuna": "USER: <image>\nIs there a nodule? ASSISTANT:",
    "vicuna with its system prompt": "A chat between a user and an assistant. USER: Is it? ASSISTANT:",
    "vicuna, answered": "USER: Is it? ASSISTANT: yes</s>USER: Where?",
    "chatml": "<|im_start|>user\nIs there a nodule?<|im_end|>\n<|im_start|>assistant\n",
    "chatml without its end": "<|im_start|>system\nYou are a nurse.",
    "gemma": "<start_of_turn>user\nIs it?<end_of_turn>\n<start_of_turn>model\n",
    "llama 2": "<s>[INST] <<SYS>>\nYou are a nurse.\n<</SYS>>\n\nIs it? [/INST]",
    "mistral": "[INST]Is there a nodule?[/INST]",
    "llama 3": "<|start_header_id|>user<|end_header_id|>\n\nIs it?<|eot_id|>",
    "phi": "<|user|>\nIs it?<|end|>\n<|assistant|>\n",
    "idefics": "User:<image>Is it?<end_of_utterance>\nAssistant:",
    "plain": "User: Is there a nodule?\nAssistant:",
    "human": "Human: Is there a nodule? AI:",
    "alpaca": "### Instruction:\nIs there a nodule?\n\n### Response:",
}
ORDINARY = [
    "The user: a nurse. Is there a nodule?",
    "The assistant: who is it?",
    "User: Dr Lee. Assistant: Dr Ray. Is there a nodule?",
    "user: what does the assistant see?",
    "The USER: asks, the assistant: answers. Is that so?",
    "Who is the ASSISTANT: the person on the left?",
    "Question: Is there a nodule? Answer:",
    "Answer yes or no. Findings:",
    "Is <|im_start|> there?",
    "Is [INST] there, or [/INST]",
    "no [/INST] yes [INST]",
    "Is <s> or </s> or <image> or <pad> there?",
    "Compare: 1. right lung; 2. left lung. Impression:",
    "FINDINGS: opacity. IMPRESSION: pneumonia? INSTRUCTION: answer briefly.",
    "Is x < 3 and y > 2 [cm]?",
    "Response to treatment: is it better?",
]


@pytest.mark.parametrize("name", PASTED)
def test_a_pasted_chat_template_is_refused_with_advice(name):
    with pytest.raises(PromptError, match=r"list of messages, or the whole prompt as groundviz\.Verbatim"):
        refuse_pasted(PASTED[name])


@pytest.mark.parametrize("question", ORDINARY)
def test_an_ordinary_question_is_no_template(question):
    refuse_pasted(question)


def test_a_question_stays_a_text_and_a_verbatim_prompt_itself():
    assert asking("Is it?") == "Is it?"
    assert asking([{"role": "user", "content": "Is it?"}]) == "Is it?"
    assert asking(Verbatim("USER: is it?")) == Verbatim("USER: is it?")


def test_messages_become_a_conversation_with_the_system_prompt_in_front():
    assert asking(TURNS, "Be brief.") == (
        Message(role="system", content=("Be brief.",)),
        Message(role="user", content=("Is there a nodule?",)),
        Message(role="assistant", content=("yes",)),
        Message(role="user", content=(None, "Where is it?")),
    )
    assert asking(TURNS, "Be brief.") == asking([{"role": "system", "content": "Be brief."}, *TURNS])


def test_the_question_alone_can_be_replaced():
    asked = asking(TURNS, "Be brief.")
    assert instead(asked, "What is it?") == (*asked[:-1], Message(role="user", content=(None, "What is it?")))
    assert instead("Is it?", "What?") == "What?" == instead(Verbatim("USER: is it?"), "What?")


@pytest.mark.parametrize(
    ("question", "system", "says"),
    [
        (None, None, "The question is None: expected a text"),
        (b"is it?", None, "of type bytes"),
        (7, None, "of type int"),
        ({"role": "user", "content": "?"}, None, "of type dict"),
        ([], None, "there is no message"),
        (["is it?"], None, "Message 0 of the question is of type str: expected a table"),
        ([{"role": "user"}], None, "'content' missing"),
        ([{"role": "user", "content": "a", "name": "b"}], None, "has 'name' beside"),
        ([{"role": "bot", "content": "a"}], None, "the role 'bot': expected 'system', 'user' or 'assistant'"),
        ([{"role": "user", "content": None}], None, "holds None: expected a text or a list"),
        (
            [{"role": "user", "content": [{"type": "image", "url": "x"}]}],
            None,
            r"a part with \['type', 'url'\]",
        ),
        ([{"role": "user", "content": [{"type": "text", "text": 3}]}], None, "holds a part"),
        ([{"role": "user", "content": [{"type": "image"}]}], None, "is empty"),
        ([*TURNS, {"role": "assistant", "content": "left"}], None, "the last message is the assistant's"),
        ([TURNS[0], {"role": "system", "content": "a"}, TURNS[0]], None, "behind another message"),
        (
            [{"role": "assistant", "content": [{"type": "image"}, {"type": "text", "text": "a"}]}, TURNS[0]],
            None,
            "not the user's",
        ),
        ("is it?", b"a", "system prompt is of type bytes"),
        ("is it?", ["a"], "system prompt is of type list"),
        ("is it?", " ", "the system's, is empty"),
        (Verbatim("is it?"), "a", "beside a verbatim prompt"),
        (Verbatim(None), None, "verbatim prompt is None"),
    ],
)
def test_what_is_no_conversation_is_refused_by_name(question, system, says):
    with pytest.raises(PromptError, match=says) as refusal:
        asking(question, system)
    assert str(refusal.value).isprintable()


def test_a_prompt_gives_back_what_it_was_made_of(tiny, source_image):
    for asked in (
        "Is there a nodule?",
        asking(TURNS, "Is it"),
        Verbatim("USER : <image> Is it ? ASSISTANT :"),
    ):
        prompt = tiny.encode((source_image,), asked).prompt
        assert asked_again(prompt) == asked
        again = tiny.encode((source_image,), asked_again(prompt)).prompt
        assert again.token_ids.tolist() == prompt.token_ids.tolist()
