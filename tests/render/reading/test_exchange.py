"""What a reader's browser is told: no codes, and an error that keeps the trial."""

from dataclasses import replace

import pytest

from groundviz.errors import OptionError
from groundviz.render.reading import assets, exchange
from groundviz.study.session import Shown


class Reader:
    """A session that takes one kind of reply."""

    def __init__(self):
        self.given = []

    def shown(self):
        return Shown(
            number=1,
            count=2,
            stage="compare",
            words={"finding": "nodule"},
            shape=(4, 5),
            case="case-0",
            maps=("x", "y"),
        )

    def answer(self, reply):
        if reply.get("response") != "A":
            raise OptionError("Choose one.")
        self.given.append(reply)


def images(case, maps):
    return [f"{case} {name}".encode() for name in ("image", *maps)]


def test_a_trial_goes_to_the_browser_without_any_code():
    told, buffers = exchange.told(Reader(), images, {"need": "trial"})
    assert told == {
        "shown": {
            "number": 1,
            "count": 2,
            "stage": "compare",
            "words": {"finding": "nodule"},
            "shape": [4, 5],
            "maps": 2,
        }
    }
    assert buffers == [b"case-0 image", b"case-0 x", b"case-0 y"]


def test_a_reply_is_kept_or_refused_in_words():
    reader = Reader()
    assert exchange.told(reader, images, {"reply": {"response": "A"}})[0].keys() == {"shown"}
    assert exchange.told(reader, images, {"reply": {"response": "?"}}) == ({"failed": "Choose one."}, [])
    assert reader.given == [{"response": "A"}]


def test_a_trial_that_another_window_answered_is_followed_by_the_next():
    class Elsewhere(Reader):
        def shown(self):
            return replace(super().shown(), number=1 + len(self.given))

        def answer(self, reply):
            self.given.append("in another window")
            raise OptionError("This trial is answered already.")

    told, buffers = exchange.told(Elsewhere(), images, {"reply": {"response": "A"}})
    assert told["failed"] == "This trial is answered already."
    assert told["shown"]["number"] == 2
    assert len(buffers) == 3


@pytest.mark.parametrize(
    "message", [None, 3, "trial", [], {}, {"need": "keys"}, {"reply": "A"}, {"need": None}]
)
def test_what_is_not_understood_is_passed_over(message):
    assert exchange.told(Reader(), images, message) is None


def test_the_widget_answers_by_message_and_keeps_no_image(monkeypatch):
    pytest.importorskip("anywidget")
    from groundviz.render.reading.widget import ReadingWidget

    widget = ReadingWidget(Reader(), images)
    sent = []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append((content, buffers)))
    widget._handle_custom_msg({"need": "trial"}, [])
    widget._handle_custom_msg({"need": "nothing"}, [])
    assert [content["shown"]["number"] for content, _ in sent] == [1]
    assert "case-0" not in repr(widget.get_state())
    widget.close()


def test_the_program_is_one_module():
    text = assets.module()
    assert text.endswith("export default { render };\n")
    assert text.count("export ") == 1
    assert "import " not in text
    for word in ("innerHTML", "fetch(", "http", "eval("):
        assert word not in text
