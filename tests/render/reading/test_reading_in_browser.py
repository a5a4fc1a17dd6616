"""A scripted reader goes through a whole study in a browser, leaves in the middle, and comes back."""

import base64
import json
import math

import pytest

from groundviz import study
from groundviz.render.reading import assets, exchange
from groundviz.study import responses
from tests.study.conftest import cases
from tests.support.browser import needs_browser

pytestmark = needs_browser

HOST = """([seen]) => {
  const bytes = (text) => new DataView(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
  const calls = {};
  window.model = {
    on(event, call) { calls[event] = call; }, off() {},
    async send(message) {
      const [content, buffers] = await window.python(message);
      if (content) calls["msg:custom"](content, buffers.map(bytes));
    },
  };
  window.stop = render({ model: window.model, el: document.body });
}"""
MODULE = assets.module().replace("export default { render };", "window.render = render;")
PAGE = f"<!DOCTYPE html><style>{assets.style()}</style><body><script>{MODULE}</script></body>"
SCREEN = {"width": 1200, "height": 900}


class Host:
    """A page of its own for one sitting; what its program sends goes to a session in this process."""

    def __init__(self, browser, made, rater):
        self.session = made.session(rater, rater_years=3)
        self.raised = []
        self.context = browser.new_context(viewport=SCREEN)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.raised.append(str(error)))
        self.page.expose_function("python", lambda message: self.python(made, message))
        self.page.set_content(PAGE)
        self.page.evaluate(HOST, [None])
        self.page.wait_for_selector(".gr-root[data-stage]")

    def python(self, made, message):
        told = exchange.told(self.session, made.images, message)
        if told is None:
            return [None, []]
        content, buffers = told
        return [content, [base64.b64encode(one).decode() for one in buffers]]

    @property
    def stage(self):
        return self.page.get_attribute(".gr-root", "data-stage")

    def leave(self):
        assert self.raised == []
        self.context.close()

    def after(self, act):
        """Do something that answers, and wait for what comes next."""
        root = self.page.locator(".gr-root")
        before = (root.get_attribute("data-stage"), root.get_attribute("data-number"))
        act()
        self.page.wait_for_function(
            "([stage, number]) => { const { dataset } = document.querySelector('.gr-root');"
            "return dataset.stage !== stage || dataset.number !== number; }",
            arg=list(before),
        )

    def draw(self, left, top, right, bottom):
        """Drag a box over shares of the image."""
        place = self.page.locator(".gr-canvas").first.bounding_box()
        # A pointer is on whole pixels of the screen in some browsers; those within the box.
        at = [
            (whole(place["x"] + x * place["width"]), whole(place["y"] + y * place["height"]))
            for x, y, whole in ((left, top, math.ceil), (right, bottom, math.floor))
        ]
        self.page.mouse.move(*at[0])
        self.page.mouse.down()
        self.page.mouse.move(*at[1], steps=3)
        self.page.mouse.up()


def judge(host):
    page, stage = host.page, host.stage
    if stage == "compare":
        host.after(lambda: page.keyboard.press("b"))
    elif stage == "mark":
        assert page.locator(".gr-canvas").count() == 1
        assert page.get_by_text("The model's answer").count() == 0
        assert page.get_by_role("button", name="This is the finding").is_disabled()
        host.draw(0.25, 0.5, 0.75, 0.75)
        host.after(lambda: page.get_by_role("button", name="This is the finding").click())
    elif stage == "rate":
        go = page.get_by_role("button", name="Continue")
        page.get_by_label("right region, wrong extent").check()
        page.get_by_label("much less").check()
        assert go.is_disabled()
        page.get_by_role("group", name="Is the map misleading?").get_by_label("yes").check()
        host.draw(0.125, 0.125, 0.5, 0.5)
        host.after(lambda: go.click())
    else:
        assert page.locator(".gr-tools input").count() == 0
        host.after(lambda: page.get_by_role("button", name="Partly correct").click())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    passes = ("compare", "rate", "answer")
    return study.make(cases(2), tmp_path_factory.mktemp("made") / "study", passes=passes)


def test_a_scripted_reader_reads_it_all_in_two_sittings(browser, made):
    host = Host(browser, made, "scripted")
    for _ in range(3):
        judge(host)
    assert host.page.inner_text(".gr-progress") == f"Trial 4 of {len(host.session.trials)}"
    host.leave()
    host = Host(browser, made, "scripted")
    assert host.page.inner_text(".gr-progress") == f"Trial 4 of {len(host.session.trials)}"
    while host.stage != "done":
        judge(host)
    assert "Thank you" in host.page.inner_text(".gr-title")
    host.leave()
    rows = responses.read(made.files)
    trials = made.session("scripted").trials
    assert [int(row.trial) for row in rows if row.response != "mark"] == [one.number for one in trials]
    assert {row.response for row in rows} == {"B", "mark", "rating", "partly"}
    marks = [row.box for row in rows if row.response == "mark"]
    # Shares of an image of 64 by 48 pixels, to within a pixel of the screen.
    assert all(box == pytest.approx((12, 32, 36, 48), abs=0.4) for box in marks)
    rated = [row for row in rows if row.response == "rating"]
    assert {(row.likert_loc, row.delta_conf, row.misleading) for row in rated} == {("3", "-2", "1")}
    assert all(row.box == pytest.approx((6, 8, 24, 32), abs=0.4) for row in rated)
    assert {row.session for row in rows} == {"1", "2"}
    assert all(0 < int(row.t_first_ms) <= int(row.t_total_ms) for row in rows)
    found = study.analyse(made.files, key=made.folder.parent / "study.key.json", repeats=20)
    assert found.readers == 1


def test_maps_fade_images_enlarge_together_and_both_are_kept(browser, made):
    host = Host(browser, made, "careful")
    page = host.page
    pixels = "at => document.querySelectorAll('.gr-canvas')[at].toDataURL()"
    start = [page.evaluate(pixels, at) for at in (0, 1)]
    page.keyboard.press("h")
    bare = [page.evaluate(pixels, at) for at in (0, 1)]
    # Without maps both sides are the same image.
    assert bare[0] == bare[1]
    assert bare[0] not in start
    page.get_by_label("Opacity of the map").fill("0.4")
    assert page.evaluate(pixels, 0) not in (start[0], bare[0])
    place = page.locator(".gr-canvas").first.bounding_box()
    page.mouse.move(place["x"] + 10, place["y"] + 10)
    before = [page.evaluate(pixels, at) for at in (0, 1)]
    page.mouse.wheel(0, -100)
    page.wait_for_function(
        "before => document.querySelectorAll('.gr-canvas')[1].toDataURL() !== before", arg=before[1]
    )
    assert page.evaluate(pixels, 0) != before[0]
    judge(host)
    host.leave()
    row = responses.read([made.folder / "responses" / "careful.csv"])[0]
    assert (row.opacity, row.zoomed) == ("0.40", "1")


def test_words_are_words_and_what_is_refused_stays_on_the_screen(browser, tmp_path):
    sly = "<img src=x onerror=window.pwned=1>"
    one = next(cases(1))
    case = study.Case(sample_id="s", image=one.image, maps=one.maps, finding=sly, question=sly, answer=sly)
    host = Host(browser, study.make([case], tmp_path / "study"), "r1")
    page = host.page
    assert page.locator(".gr-words dd").all_inner_texts() == [sly] * 3
    assert page.evaluate("window.pwned") is None
    page.evaluate("model.send({ reply: { number: 1, response: 'C' } })")
    page.wait_for_function(
        "() => document.querySelector('.gr-failed').textContent.includes('expected one of')"
    )
    host.after(lambda: page.get_by_role("button", name="No difference").click())
    assert page.inner_text(".gr-failed") == ""
    host.leave()


@pytest.mark.wide
def test_the_page_tells_nothing_of_the_arms(browser, made):
    host = Host(browser, made, "curious")
    secret = json.loads((made.folder.parent / "study.key.json").read_text("utf-8"))
    content = host.page.content()
    for code in (*secret["arms"], *secret["cases"], *secret["arms"].values()):
        assert code not in content
    host.leave()
