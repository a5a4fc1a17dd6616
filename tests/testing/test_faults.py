"""Faults come where they were asked for."""

import signal
import sys
from pathlib import Path

import pytest

from groundviz.testing import faults
from groundviz.testing.faults import count_steps, strike_at

HERE = Path(__file__)


@pytest.fixture(autouse=True)
def ctrl_c_interrupts():
    """As in a terminal; a process started in the background may ignore Ctrl-C."""
    found = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, found)


def twice(log):
    for number in range(2):
        log.append(number)
    log.append("end")


def swallows():
    try:
        twice([])
    except BaseException:
        return


@pytest.mark.parametrize("every", ["opcode", "line", "call", "signal"])
@pytest.mark.parametrize("fault", [faults.interrupt, faults.fail, faults.press_ctrl_c])
def test_each_step_is_struck_once_and_the_fault_ends_there(every, fault):
    log = []
    steps = count_steps(lambda: twice(log), under=HERE, every=every)
    logs = []
    for n in range(steps):
        logs.append([])
        strike = strike_at(n, lambda: twice(logs[-1]), under=HERE, every=every, fault=fault)
        assert strike.fired
        assert strike.surfaced
    lengths = [len(log) for log in logs]
    assert lengths == sorted(lengths)
    assert lengths[0] == 0
    if every != "call":
        assert set(lengths) >= {0, 1, 2}


def test_lines_and_calls_are_counted():
    log = []
    lines = count_steps(lambda: twice(log), under=HERE, every="line")
    assert lines == 1 + 3 + 2 + 1  # the lambda; the loop's head thrice; its body twice; the last line
    assert count_steps(lambda: twice(log), under=HERE, every="call") == 2


def test_signals_come_at_entries_after_calls_and_at_the_end_of_turns():
    found = []
    while (strike := strike_at(len(found), lambda: twice([]), under=HERE, every="signal")).fired:
        found.append(strike.where.split(":")[0].split(".")[-1])
    assert found.count("<lambda>") in (1, 2)  # entry, and perhaps after the call
    # The entry of `twice`, after each of its four calls, and after each of the two turns.
    assert found.count("twice") in (6, 7)


def test_a_step_that_is_never_reached_does_not_fire():
    strike = strike_at(10_000, lambda: twice([]), under=HERE)
    assert not strike.fired
    assert not strike.surfaced


def test_code_elsewhere_is_not_struck():
    assert count_steps(lambda: twice([]), under=HERE.parent / "elsewhere") == 0


def test_a_fault_that_is_swallowed_is_reported():
    steps = count_steps(swallows, under=HERE, every="line")
    strikes = [strike_at(n, swallows, under=HERE, every="line") for n in range(steps)]
    assert all(strike.fired for strike in strikes)
    assert {strike.surfaced for strike in strikes} == {True, False}


def test_another_error_comes_out():
    with pytest.raises(ZeroDivisionError):
        strike_at(10_000, lambda: 1 / 0, under=HERE)


def test_the_trace_function_of_the_caller_is_put_back():
    previous = sys.gettrace()
    strike_at(0, lambda: twice([]), under=HERE)
    assert sys.gettrace() is previous
