"""A loan that is hit by an error or by Ctrl-C at each of its steps, and by real ones at any time.

The normal suite tries a sample of the steps; all of them, and 200 real signals, are tried by

    python -m pytest -m slow tests/faults/test_borrow.py
"""

from __future__ import annotations

import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from groundviz.runtime.loan import guard, snapshot
from groundviz.runtime.loan.guard import borrow
from groundviz.testing import faults
from groundviz.testing.faults import Struck, count_steps, strike_at
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.messy import messy
from groundviz.testing.tiny.llava import tiny_llava

pytestmark = pytest.mark.wide

RUNTIME = Path(guard.__file__).parent
INPUT_IDS = torch.tensor([[2, 5, *[4] * 16, 20, 21, 22]])
PIXELS = torch.full((1, 3, 28, 28), 0.25)


class Settings:
    """A config, as the guard recognises one."""

    def __init__(self):
        self.kernel, self.nested = "sdpa", {"heads": [1, 2]}

    def to_dict(self):
        return vars(self)


@pytest.fixture
def small():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model[0].weight.requires_grad = False
    model[0].bias.grad = torch.ones(2)
    model[1].eval()
    model.register_forward_hook(lambda module, args, output: None)
    model.config = Settings()
    return model


def use(model, then=None):
    """Borrow `model` and do to it whatever a method may do; every kind of thing is to be undone."""
    with borrow(model) as loan:
        loan.hook(model[0], lambda module, args, output: None)
        loan.on_return(lambda: None)
        model.config.kernel = "eager"
        model.config.nested["heads"].append(3)
        model[1].activations = torch.rand(2)
        model(torch.ones(3, 2))
        if then is not None:
            then()


def sample(steps, size):
    return sorted(np.random.default_rng(steps).choice(steps, size, replace=False))


def sweep(model, work, positions, *, every, fault, under=RUNTIME):
    """Where a strike left the model, or anything around it, not as it was; and what was swallowed."""
    before, dirty, swallowed = fingerprint(model), [], []
    for n in positions:
        strike = strike_at(n, work, under=under, every=every, fault=fault)
        assert strike.fired
        if not strike.surfaced:
            swallowed.append(strike.where)
        left = difference(before, fingerprint(model))
        if left or guard._BORROWED or guard._ACTIVE or guard._TURN:
            dirty.append((strike.where, left))
    return dirty, swallowed


KINDS = [
    ("opcode", faults.interrupt),
    ("opcode", faults.fail),
    ("opcode", faults.press_ctrl_c),
    ("signal", faults.press_ctrl_c),
]


@pytest.mark.parametrize(("every", "fault"), KINDS)
def test_a_sample_of_steps(small, every, fault):
    steps = count_steps(lambda: use(small), under=RUNTIME, every=every)
    assert steps > 1000
    positions = sample(steps, 100)
    assert sweep(small, lambda: use(small), positions, every=every, fault=fault) == ([], [])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("every", "fault"), KINDS)
def test_all_steps(small, every, fault):
    """`python -m pytest -m slow tests/faults/test_borrow.py -k all_steps`."""
    steps = count_steps(lambda: use(small), under=RUNTIME, every=every)
    assert sweep(small, lambda: use(small), range(steps), every=every, fault=fault) == ([], [])


@pytest.mark.parametrize("fault", [faults.interrupt, faults.fail, faults.press_ctrl_c])
def test_a_second_fault_while_the_first_is_being_cleaned_up(small, fault):
    reached = []

    def first():
        reached.append(True)
        raise KeyboardInterrupt

    steps = count_steps(lambda: use(small, first), under=RUNTIME)
    positions = sample(steps, 100)
    reached.clear()
    assert sweep(small, lambda: use(small, first), positions, every="opcode", fault=fault) == ([], [])
    assert len(reached) > 25  # that many of the strikes were second ones


def test_a_third_interrupt_is_healed_by_the_next_loan(small, monkeypatch):
    put_back = snapshot.put_back
    before = {key: value for key, value in fingerprint(small).items() if "'" in key}
    handler, remaining, dirty = signal.getsignal(signal.SIGINT), [], 0

    def interrupted(holder, copy):
        if remaining:
            remaining[0] -= 1
            if remaining[0] < 0:
                remaining.pop(0)
                raise KeyboardInterrupt
        put_back(holder, copy)

    monkeypatch.setattr(snapshot, "put_back", interrupted)
    for n in range(50):
        remaining[:] = [n, n]
        with pytest.raises(KeyboardInterrupt):
            use(small, then=faults.interrupt)
        assert remaining == []
        dirty += difference(before, fingerprint(small) | {}) != []
        use(small)
        signal.signal(signal.SIGINT, handler)
        after = {key: value for key, value in fingerprint(small).items() if "'" in key}
        assert difference(before, after) == []
    assert dirty == 50
    assert guard._BORROWED == {}


@contextmanager
def careless(model):
    """What many libraries do: a list of handles, and a loop in `finally`."""
    handles = []
    try:
        for module in model.modules():
            handles.append(module.register_forward_hook(lambda module, args, output: None))
        yield
    finally:
        for handle in handles:
            handle.remove()


def test_the_sweep_finds_what_a_careless_guard_leaves(small):
    def work():
        with careless(small):
            pass

    steps, here = count_steps(work, under=Path(__file__)), Path(__file__)
    dirty = 0
    for n in range(steps):
        before = fingerprint(small)
        strike_at(n, work, under=here)
        dirty += difference(before, fingerprint(small)) != []
    assert dirty > steps / 4


# --- a real model -----------------------------------------------------------------------------


def look(model):
    with borrow(model) as loan:
        loan.hook(model.lm_head, lambda module, args, output: None)
        model(input_ids=INPUT_IDS, pixel_values=PIXELS)


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (tiny_llava, Struck),
        (tiny_llava, KeyboardInterrupt),
        (tiny_llava, torch.OutOfMemoryError),
        (lambda: messy(tiny_llava()), KeyboardInterrupt),
    ],
    ids=["fresh-Struck", "fresh-KeyboardInterrupt", "fresh-OutOfMemoryError", "messy-KeyboardInterrupt"],
)
def test_an_error_at_each_forward_of_each_module(build, error):
    model = build()
    before = fingerprint(model)
    modules = [module for module in model.modules() if not isinstance(module, nn.ModuleList)]
    ran = 0
    for module in modules:
        original = error("here")

        def strike(module, args, output, original=original):
            raise original

        caught = None
        try:
            with borrow(model) as loan:
                loan.hook(module, strike)
                model(input_ids=INPUT_IDS, pixel_values=PIXELS)
        except error as raised:
            caught = raised
        assert caught in (None, original)
        ran += caught is original
        assert difference(before, fingerprint(model)) == []
    assert ran > 50


@pytest.mark.parametrize("build", [tiny_llava, lambda: messy(tiny_llava())], ids=["fresh", "messy"])
def test_a_sample_of_steps_with_a_real_model(build):
    model = build()
    steps = count_steps(lambda: look(model), under=RUNTIME, every="signal")
    positions = sample(steps, 16)
    assert sweep(model, lambda: look(model), positions, every="signal", fault=faults.interrupt) == ([], [])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_steps_with_a_real_model():
    """`python -m pytest -m slow tests/faults/test_borrow.py -k many_steps`."""
    model = messy(tiny_llava())
    steps = count_steps(lambda: look(model), under=RUNTIME)
    positions = sample(steps, 2000)
    assert sweep(model, lambda: look(model), positions, every="opcode", fault=faults.interrupt) == ([], [])


# --- real signals -----------------------------------------------------------------------------

CHILD = """
import signal
import sys
import torch
from groundviz.runtime.loan.guard import borrow
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.messy import messy
from groundviz.testing.tiny.llava import tiny_llava

signal.signal(signal.SIGINT, signal.default_int_handler)
model = messy(tiny_llava())
inputs = {"input_ids": torch.tensor([[2, 5, *[4] * 16, 20]]), "pixel_values": torch.ones(1, 3, 28, 28)}
loans, kept = 0, []


def work():
    global loans
    print("ready", flush=True)
    while True:
        with borrow(model) as loan:
            loan.hook(model.lm_head, lambda module, args, output: None)
            model(**inputs)
        loans += 1


def until_interrupted():
    try:
        work()
    except KeyboardInterrupt as error:
        kept[:] = [error]  # as a notebook does, with all its frames


def serve():
    for line in sys.stdin:
        if line == "go\\n":
            until_interrupted()
        else:
            print(line.strip(), loans, len(difference(before, fingerprint(model))), flush=True)


before, ended = fingerprint(model), False
while not ended:
    try:
        serve()
        ended = True
    except KeyboardInterrupt as error:
        kept.append(error)
"""


def real_signals(count):
    """Per signal, how many loans the child had made by then, and how many things differed after."""
    chance = np.random.default_rng(count)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        cwd=RUNTIME.parents[2],
    )
    found = []
    with child:
        for number in range(count):
            child.stdin.write(b"go\n")
            while child.stdout.readline() != b"ready\n":
                pass
            time.sleep(chance.uniform(0.0, 0.06))
            child.send_signal(signal.SIGINT)
            if chance.random() < 0.5:
                time.sleep(chance.uniform(0.0, 0.01))
                child.send_signal(signal.SIGINT)
            time.sleep(0.05)
            found.append(state(child, number))
        child.stdin.close()
    return found


def state(child, number):
    """Loans made and differences found, asked for until told.

    The signal may have hit while the child read the question, or in a callback, where Python
    prints and forgets it: then it is pressed again, as a person would.
    """
    while True:
        child.stdin.write(b"%d\n" % number)
        while select.select([child.stdout], [], [], 3.0)[0]:
            told = child.stdout.readline().split()
            if told[0] == b"%d" % number:
                return int(told[1]), int(told[2])
        child.send_signal(signal.SIGINT)


def check_real_signals(count):
    found = real_signals(count)
    assert [left for _, left in found] == [0] * count
    assert found[-1][0] > found[0][0]  # loans went on after each interrupt


def test_twenty_real_signals_at_random_times():
    check_real_signals(20)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_hundred_real_signals_at_random_times():
    """`python -m pytest -m slow tests/faults/test_borrow.py -k two_hundred`."""
    check_real_signals(200)
