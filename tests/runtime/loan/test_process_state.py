"""Random streams, torch's modes and Ctrl-C are put back, however often and from wherever."""

import signal
import threading

import pytest
import torch
from torch import nn

from groundviz.runtime.loan.process_state import CtrlC, ProcessState, TorchModes
from groundviz.testing.fingerprint import difference, fingerprint


@pytest.fixture
def surroundings():
    """What is found now, and what has changed since."""
    witness = nn.Linear(1, 1)
    before = fingerprint(witness)
    return lambda: [line.split(":")[0] for line in difference(before, fingerprint(witness))]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0), (0, 2, 1), (2, 0, 1)])
def test_overlapping_states_end_as_it_began(surroundings, order):
    active, turn = [], {}
    states = [ProcessState(active, turn) for _ in order]
    for seed, state in enumerate(states):
        state.take(seed)
        torch.rand(1)
    for number in order:
        assert "random torch" in surroundings()
        states[number].put_back()
        states[number].put_back()
    assert surroundings() == []
    assert (active, turn) == ([], {})


def test_a_forgotten_state_is_not_put_back(surroundings):
    active, turn = [], {}
    state = ProcessState(active, turn)
    found = torch.get_rng_state()
    state.take(0)
    state.forget()
    state.put_back()
    assert "random torch" in surroundings()
    torch.set_rng_state(found)
    assert (active, turn) == ([], {})


def test_a_state_waits_for_the_turn_of_another_thread():
    active, turn = [], {}
    first, second = ProcessState(active, turn), ProcessState(active, turn)
    turn["of"] = first
    thread = threading.Thread(target=second.put_back)
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    del turn["of"]
    thread.join(5)
    assert not thread.is_alive()


def test_modes_are_put_back_once(surroundings):
    modes = TorchModes()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16), torch.device("meta"):
        inside = surroundings()
        modes.take({"cpu", "meta"})
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_enabled("cpu")
        assert torch.zeros(1).device.type == "cpu"
        modes.put_back()
        modes.put_back()
        assert surroundings() == inside
    assert surroundings() == []


def test_ctrl_c_comes_when_it_is_let_through():
    ctrl_c = CtrlC(())
    ctrl_c.hold()
    try:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            ctrl_c.let_through()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        ctrl_c.put_back()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_is_held_inside_the_named_functions_and_what_they_call():
    def named():
        unnamed()
        return "finished"

    def unnamed():
        signal.raise_signal(signal.SIGINT)

    ctrl_c = CtrlC({named.__code__})
    ctrl_c.hold()
    ctrl_c.let_through()
    try:
        with pytest.raises(KeyboardInterrupt):
            unnamed()
        assert named() == "finished"
    finally:
        with pytest.raises(KeyboardInterrupt):
            ctrl_c.put_back()


def test_ctrl_c_is_left_alone_by_other_threads():
    ctrl_c = CtrlC(())
    thread = threading.Thread(target=ctrl_c.hold)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_put_back_by_another_thread_is_passed_on():
    ctrl_c = CtrlC(())
    ctrl_c.hold()
    try:
        thread = threading.Thread(target=ctrl_c.put_back)
        thread.start()
        thread.join()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        ctrl_c.put_back()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
