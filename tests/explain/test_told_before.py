"""What the model was told besides the question is shown wherever its answer is."""

from dataclasses import replace

import pytest

from groundviz.cli import printing
from groundviz.explanation import Explanation
from groundviz.record.types import Message
from groundviz.render.base import captions, summary
from tests.support import records

TURNS = (
    Message(role="system", content=("Be terse <b>.",)),
    Message(role="user", content=(None, "Is the heart large?")),
    Message(role="assistant", content=("no",)),
)
SENTENCES = (
    "System prompt: “Be terse <b>.”.",
    "Before, the user: “Is the heart large?”.",
    "Before, the model: “no”.",
)


@pytest.fixture
def record():
    plain = records.record()
    last = Message(role="user", content=(plain.prompt.question,))
    return replace(plain, prompt=replace(plain.prompt, messages=(*TURNS, last)))


def test_a_question_alone_has_nothing_before_it():
    plain = records.record()
    assert captions.before(plain.prompt) == ()
    assert "System prompt" not in Explanation(plain).to_html()
    assert "more than the question" not in summary.of(plain)


def test_every_turn_is_told(record):
    assert captions.before(record.prompt) == SENTENCES
    verbatim = replace(record.prompt, messages=(), verbatim=True)
    assert captions.before(verbatim) == ("The whole prompt was given as it is.",)


def test_a_long_system_prompt_is_shortened(record):
    long = Message(role="system", content=("x" * 5000,))
    (told,) = captions.before(replace(record.prompt, messages=(long, record.prompt.messages[-1])))
    assert len(told) < 200
    assert "5,000 characters" in told


def test_page_caption_viewer_line_and_command_line_say_so(record):
    page = Explanation(record).to_html()
    for sentence in SENTENCES:
        shown = sentence.replace("<", "&lt;").replace(">", "&gt;")
        assert shown in page
        assert sentence in Explanation(record).figure().caption
        assert sentence in printing.explanation(Explanation(record))
    assert "Be terse <b>" not in page
    assert "more than the question was asked" in summary.of(record)
