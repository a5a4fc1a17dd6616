"""Work in a thread of its own tells how far it is, ends when told to, and never vanishes without a word."""

import threading
import time
from types import SimpleNamespace

import pytest

from groundviz.errors import UnsupportedMethod
from groundviz.render.live import background_task
from groundviz.render.live.background_task import Errand


class Heard:
    """What an errand reported."""

    def __init__(self, work):
        self.shown, self.ends = [], []
        self.errand = Errand(
            "RISE",
            work,
            show=lambda *now: self.shown.append(now),
            done=lambda found, says, error: self.ends.append((found, says, type(error))),
        )
        self.errand.start()


def test_what_it_returns_comes_back_once():
    here = threading.get_ident()
    heard = Heard(lambda tell: threading.get_ident())
    assert heard.errand.join(10)
    [(found, says, error)] = heard.ends
    assert found != here
    assert (says, error) == ("", type(None))


def test_progress_is_told_ten_times_a_second_at_most(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(background_task, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def work(tell):
        for step in range(12):
            tell("rise", step, 12)
            clock[0] += 0.04

    heard = Heard(work)
    assert heard.errand.join(10)
    assert heard.shown == [("rise", step, 12) for step in (0, 3, 6, 9)]


def stopping(keep):
    """Work that goes on until it is stopped, and has something by then, or nothing."""
    begun = threading.Event()

    def work(tell):
        try:
            while True:
                tell("rise", 32, 480)
                begun.set()
                time.sleep(0.001)
        except KeyboardInterrupt:
            if not keep:
                raise
            tell("rise", 32, 480)
            return keep

    heard = Heard(work)
    assert begun.wait(10)
    heard.errand.stop()
    assert heard.errand.join(10)
    return heard.ends


def test_a_stop_interrupts_once_and_what_is_kept_is_told():
    assert stopping("maps") == [("maps", "RISE was stopped: its maps rest on 32 of 480 steps.", type(None))]


def test_a_stop_before_there_is_anything_is_told():
    ends = stopping(None)
    assert ends == [(None, "RISE was stopped before anything was measured.", KeyboardInterrupt)]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (UnsupportedMethod("No module is known. Use rise."), "No module is known. Use rise."),
        (ZeroDivisionError("by nought"), "RISE failed: ZeroDivisionError: by nought"),
    ],
)
def test_errors_become_sentences_and_unexpected_ones_are_logged(error, says, caplog):
    def work(tell):
        raise error

    heard = Heard(work)
    assert heard.errand.join(10)
    assert heard.ends == [(None, says, type(error))]
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * says.count("failed")
