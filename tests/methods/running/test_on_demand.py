"""From the live viewer: a method that is asked for is measured by the model, and its maps appear."""

import inspect
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from groundviz import models
from groundviz.demo.phantoms import phantom
from groundviz.errors import UnsupportedMethod, UnsupportedModel
from groundviz.explain import explain
from groundviz.methods import METHODS
from groundviz.record.targets import Question
from groundviz.render.live import background_task
from groundviz.render.pages import html
from groundviz.render.viewer import pack
from groundviz.runtime import borrow
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support.widget import Browser

pytest.importorskip("anywidget", reason="not installed: anywidget")

QUESTION = "Is there a nodule?"


@pytest.fixture(scope="module")
def tiny():
    model = tiny_llava()
    model.generation_config.max_new_tokens = 9
    return models.resolve(model, tiny_llava_processor(model))


@pytest.fixture(scope="module")
def demo():
    return models.load("demo")


@contextmanager
def paused(monkeypatch, method="rise"):
    """A method that waits at its first step until it is let go on."""
    begun, go_on = threading.Event(), threading.Event()
    real = METHODS[method]

    def slow(live, *args, **options):
        begun.set()
        while not go_on.wait(0.005):
            live.progress.still()
        return real(live, *args, **options)

    slow.__doc__, slow.__signature__ = real.__doc__, inspect.signature(real)
    monkeypatch.setitem(METHODS._entries, method, slow)
    yield begun, go_on
    go_on.set()


@pytest.mark.wide
def test_a_method_is_measured_by_the_real_model_and_its_maps_are_those_of_explain(demo, monkeypatch):
    image = phantom(3, findings=["nodule"]).pixels
    before = fingerprint(demo.model)
    monkeypatch.setattr(background_task, "PAUSE_SECONDS", 0.0)
    viewer = explain(demo, image, QUESTION, methods="attention").view(demo)
    browser = Browser(viewer, monkeypatch)
    [offer] = [one for one in viewer._more if one["name"] == "token_ablation"]
    assert offer["title"] == "Token ablation"
    assert offer["does"].startswith("What the answer loses")
    assert offer["cost"].startswith("one forward of the language model per block")
    browser.ask(need="method", method="token_ablation")
    browser.wait()

    wanted = explain(demo, image, QUESTION, methods="token_ablation").record.heatmaps[0]
    found = viewer.explanation.record.heatmaps[1]
    assert viewer.explanation.methods == ("attention", "token_ablation")
    assert np.array_equal(found.values, wanted.values, equal_nan=True)
    assert not difference(before, fingerprint(demo.model))

    [(content, [blob])] = browser.messages
    packed, _ = pack.read(viewer._pack)
    assert (content["method"], content["says"]) == ("token_ablation", "")
    [header] = content["maps"]
    start, length = header.pop("at")
    later = dict(packed["maps"][1])
    at = later.pop("at")
    assert header == later
    assert blob[start : start + length] == pack.pack(viewer.explanation.record)[-at[1] :]
    assert viewer._pack == pack.pack(viewer.explanation.record)
    assert "token_ablation" not in [one["name"] for one in viewer._more]
    assert f'data-gv="{viewer._live}"' in viewer._snapshot()
    assert viewer._snapshot() == html.fragment(viewer.explanation.record, live=viewer._live)

    steps = [now["done"] for now in browser.busy if now.get("total") == 49]
    assert steps == sorted(steps)
    assert set(steps) == {0, 16, 32, 48}
    assert browser.busy[0] == {"method": "token_ablation", "done": 0, "total": 0, "says": "beginning"}
    assert {"says": f"token ablation: {steps[-1]} of 49"}.items() <= browser.busy[-2].items()
    assert browser.busy[-1] == {}


def test_heads_of_new_maps_are_sent_when_asked_for(tiny, source_image, monkeypatch):
    viewer = explain(tiny, source_image, QUESTION, methods="rise").view(tiny)
    browser = Browser(viewer, monkeypatch)
    browser.ask(need="method", method="attention")
    browser.wait()
    browser.ask(need="heads", map=1, layer=1)
    maps = viewer.explanation.record.heatmaps[1]
    assert browser.messages[-1] == ({"heads": 1, "layer": 1}, [pack.heads_of(maps, maps.layers[1])])


def test_a_stop_keeps_what_is_there_and_gives_the_model_back(tiny, source_image, monkeypatch):
    before = fingerprint(tiny.model)
    viewer = explain(tiny, source_image, QUESTION, methods="attention").view(tiny)
    browser = Browser(viewer, monkeypatch)
    reached = threading.Event()
    real = type(tiny.model).forward
    calls = []

    def forward(*args, **options):
        calls.append(1)
        if len(calls) == 4:
            viewer._handle_custom_msg({"need": "stop"}, [])
            reached.set()
        return real(*args, **options)

    monkeypatch.setattr(type(tiny.model), "forward", forward)
    with pytest.warns(RuntimeWarning, match="rise was interrupted"):
        browser.ask(need="method", method="rise")
        browser.wait()
    monkeypatch.setattr(type(tiny.model), "forward", real)
    # The pass in which it was stopped did not come to its end: a layer is all that is waited for.
    assert reached.is_set() and len(calls) == 4
    [(content, _)] = browser.messages
    assert content["says"] == "RISE was stopped: its maps rest on 32 of 1920 steps."
    assert viewer.explanation.record.heatmaps[-1].params["masks_done"] == 32
    assert not difference(before, fingerprint(tiny.model))


def test_a_stop_before_there_is_anything_says_so_and_offers_it_again(tiny, source_image, monkeypatch):
    with paused(monkeypatch) as (begun, _):
        viewer = explain(tiny, source_image, QUESTION, methods="attention").view(tiny)
        browser = Browser(viewer, monkeypatch)
        browser.ask(need="method", method="rise")
        assert begun.wait(30)
        browser.ask(need="stop")
        browser.wait()
    says = "RISE was stopped before anything was measured."
    assert browser.messages == [({"failed": says, "method": "rise"}, None)]
    assert viewer.explanation.methods == ("attention",)
    assert "rise" in [one["name"] for one in viewer._more]


def test_one_at_a_time(tiny, source_image, monkeypatch):
    with paused(monkeypatch) as (begun, go_on):
        viewer = explain(tiny, source_image, QUESTION, methods="attention").view(tiny)
        browser = Browser(viewer, monkeypatch)
        browser.ask(need="method", method="rise")
        assert begun.wait(30)
        browser.ask(need="method", method="occlusion")
        [(content, _)] = browser.messages
        assert content["failed"].startswith("RISE is under way. Ask again when it is done")
        assert content["method"] == "occlusion"
        go_on.set()
        browser.wait()
    assert viewer.explanation.methods == ("attention", "rise")
    assert not [one for one in threading.enumerate() if one.name.startswith("groundviz")]


def test_it_waits_for_a_cell_that_has_the_model_and_can_be_stopped_meanwhile(tiny, source_image, monkeypatch):
    viewer = explain(tiny, source_image, QUESTION, methods="attention").view(tiny)
    browser = Browser(viewer, monkeypatch)
    waiting = threading.Event()

    def see(change):
        if change["new"].get("says") == "waiting for the model":
            waiting.set()

    viewer.observe(see, "_busy")
    with borrow(tiny):
        browser.ask(need="method", method="image_attention")
        assert waiting.wait(30)
        browser.ask(need="stop")
        browser.wait()
        assert "stopped before" in browser.messages[-1][0]["failed"]
        browser.ask(need="method", method="image_attention")
    browser.wait()
    assert viewer.explanation.methods == ("attention", "image_attention")


def test_a_message_that_is_being_taken_in_does_not_hold_the_work_up(tiny, source_image, monkeypatch):
    """An observer may explain with the model that the work has: each would wait for the other."""
    viewer = explain(tiny, source_image, QUESTION, methods="attention").view(tiny)
    browser = Browser(viewer, monkeypatch)
    answers = []

    def react(change):
        answers.append(explain(tiny, source_image, QUESTION, methods="attention").answer.text)

    viewer.observe(react, "layer")
    with paused(monkeypatch) as (begun, go_on):
        browser.ask(need="method", method="rise")
        assert begun.wait(30)
        threading.Timer(0.3, go_on.set).start()
        viewer.set_state({"layer": 1})
    browser.wait()
    assert answers == [viewer.explanation.answer.text]
    assert "rise" in viewer.explanation.methods


def test_what_goes_wrong_is_told(tiny, source_image, monkeypatch, caplog):
    def broken(live, prompt, answer, targets):
        raise ZeroDivisionError("by nought")

    def refusing(live, prompt, answer, targets):
        raise UnsupportedMethod("It cannot. Use another one.")

    monkeypatch.setitem(METHODS._entries, "rise", broken)
    monkeypatch.setitem(METHODS._entries, "occlusion", refusing)
    before = fingerprint(tiny.model)
    viewer = explain(tiny, source_image, QUESTION, methods="attention").view(tiny)
    browser = Browser(viewer, monkeypatch)
    for method in ("rise", "occlusion"):
        browser.ask(need="method", method=method)
        browser.wait()
    browser.ask(need="method", method="<script>")
    failures = [content["failed"] for content, _ in browser.messages]
    assert failures[:2] == ["RISE failed: ZeroDivisionError: by nought", "It cannot. Use another one."]
    assert failures[2].startswith("There is no such method")
    assert "RISE failed." in caplog.text
    # What refuses would refuse again; what broke may have had bad luck.
    names = [one["name"] for one in viewer._more]
    assert "rise" in names and "occlusion" not in names
    assert not difference(before, fingerprint(tiny.model))


def test_another_model_is_refused_when_the_viewer_is_made(tiny, demo, source_image):
    explanation = explain(tiny, source_image, QUESTION, methods="attention")
    with pytest.raises(UnsupportedModel, match="not the model that answered"):
        explanation.view(demo)


def test_without_a_model_nothing_is_offered(tiny, source_image, monkeypatch):
    explanation = explain(tiny, source_image, QUESTION, methods="attention")
    viewer = explanation.view()
    browser = Browser(viewer, monkeypatch)
    assert (viewer._more, viewer._busy, viewer.explanation) == ([], {}, explanation)
    browser.ask(need="stop")
    browser.ask(need="method", method="rise")
    assert "no such method" in browser.messages[0][0]["failed"]


def test_what_would_refuse_at_once_is_not_offered(tiny, source_image):
    contrast = explain(tiny, source_image, QUESTION, answer="left lung", target="left", against="right").view(
        tiny
    )
    names = [one["name"] for one in contrast._more]
    assert "occlusion" in names and "attention_rollout" not in names
    asked = explain(tiny, source_image, QUESTION, target=Question("nodule")).view(tiny)
    assert [one["name"] for one in asked._more] == []


def test_a_model_that_nobody_described_is_offered_what_needs_no_modules(tiny, source_image):
    stranger = replace(tiny, family_name="unknown")
    viewer = explain(stranger, source_image, QUESTION, methods="occlusion").view(stranger)
    assert [one["name"] for one in viewer._more] == ["rise", "shapley"]


def test_a_closed_viewer_measures_no_more(tiny, source_image, monkeypatch):
    with paused(monkeypatch) as (begun, _):
        viewer = explain(tiny, source_image, QUESTION, methods="attention").view(tiny)
        browser = Browser(viewer, monkeypatch)
        browser.ask(need="method", method="rise")
        assert begun.wait(30)
        viewer.close()
        browser.wait()
    assert viewer.explanation.methods == ("attention",)
