"""From the live viewer: the maps are challenged by the model, and what was found stays, also after a stop."""

import pytest

import groundviz
from groundviz.errors import UnsupportedModel
from groundviz.evidence import CHECKS
from groundviz.evidence.running.on_demand import OnDemand
from groundviz.render.base import checked
from groundviz.render.live import background_task
from groundviz.render.viewer import pack
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support.widget import Browser

pytest.importorskip("anywidget", reason="not installed: anywidget")

QUESTION = "Where is the nodule?"


@pytest.fixture
def browser(explained, demo, monkeypatch):
    monkeypatch.setattr(background_task, "PAUSE_SECONDS", 0.0)
    return Browser(explained.view(demo), monkeypatch)


@pytest.mark.wide
def test_a_challenge_in_the_viewer_is_that_of_python(explained, demo, browser):
    viewer, before = browser.viewer, fingerprint(demo.model)
    assert viewer._challenge["title"] == "Challenge the map"
    assert CHECKS.facts("marked_place").asks in viewer._challenge["does"]
    assert CHECKS.facts("marked_place").cost in viewer._challenge["cost"]
    browser.ask(need="challenge")
    browser.wait()
    wanted = groundviz.challenge(explained, demo)
    found = viewer.explanation
    assert [(one.name, one.value, one.verdict) for one in found.record.checks] == [
        (one.name, one.value, one.verdict) for one in wanted.record.checks
    ]
    assert found.evidence.marked_place["gradient_attention"] is not None
    [(told, blobs)] = browser.messages
    assert (told["says"], blobs) == ("", None)
    assert told["evidence"] == checked.payload(found.record)
    assert viewer._pack == pack.pack(found.record)
    assert viewer._challenge == {}
    assert not difference(before, fingerprint(demo.model))
    steps = [now["done"] for now in browser.busy if now.get("says", "").startswith("covering what")]
    assert steps == sorted(steps)
    assert len(set(steps)) > 3


def test_a_stop_keeps_what_was_found_and_names_it_partial(explained, demo, browser):
    viewer = browser.viewer

    def stop(change):
        now = change["new"]
        if now.get("says", "").startswith("covering what") and now["done"] >= 40:
            viewer._handle_custom_msg({"need": "stop"}, [])

    viewer.observe(stop, "_busy")
    with pytest.warns(RuntimeWarning, match="was interrupted"):
        browser.ask(need="challenge")
        browser.wait()
    [(told, _)] = browser.messages
    assert told["says"].startswith("The challenge was stopped: what it found rests on ")
    check = next(one for one in viewer.explanation.record.checks if one.name == "marked_place")
    assert check.partial
    assert 0 < check.samples.done < 19
    assert viewer.explanation.evidence.marked_place == {"gradient_attention": None}
    [known] = told["evidence"]["known"][1:]
    assert known["facts"][-1] == ("needs the marked place", "not measured")
    assert known["verdict"].startswith("Not measured: ")
    # It may be asked for again.
    assert viewer._challenge["title"] == "Challenge the map"
    assert viewer._busy == {}


def test_where_every_map_was_put_to_the_test_nothing_is_offered(explained, demo):
    challenged = groundviz.challenge(explained, demo, checks="marked_place")
    viewer = challenged.view(demo)
    assert viewer._challenge == {}
    sent = []
    viewer.send = lambda content, buffers=None: sent.append(content)
    viewer._handle_custom_msg({"need": "challenge"}, [])
    assert sent[0]["failed"].startswith("There is no such method to be measured here.")


def test_without_a_model_nothing_is_offered(explained):
    assert explained.view()._challenge == {}


def test_another_model_is_refused(explained):
    model = tiny_llava()
    with pytest.raises(UnsupportedModel):
        OnDemand.of(explained.record, model, tiny_llava_processor(model))
