"""A model that others run, train or fork while it is explained.

The normal suite tries a few of each; the numbers that the documentation gives, 200 explanations beside
`generate`, 200 training steps and 20 forks, are tried by

    python -m pytest -m slow tests/faults/test_beside_others.py
"""

import copy
import functools
import inspect
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from contextlib import contextmanager

import pytest
import torch
from torch import nn

import groundviz
from groundviz.errors import ModelBusy, ModelChanged
from groundviz.runtime import borrow as borrow_vlm
from groundviz.runtime.attention.tap import tapped
from groundviz.runtime.identity.provenance import weights_fingerprint
from groundviz.runtime.loan import guard
from groundviz.runtime.loan.guard import borrow
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support.interrupting import cut_short
from tests.support.quick import quick

pytestmark = pytest.mark.wide

QUESTION = "Is there a nodule?"
METHODS = ("attention", "gradient_attention", "relevancy", "grad_cam", "occlusion")
INPUT_IDS = torch.tensor([[2, 5, *[4] * 16, 20, 21, 22]])
PIXELS = torch.rand(1, 3, 28, 28, generator=torch.Generator().manual_seed(0))


def few_and_many(few, many):
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.slow)])


@pytest.fixture(autouse=True)
def hasty():
    """Threads take turns ten thousand times a second."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def vlm():
    model = tiny_llava()
    model.generation_config.max_new_tokens = 3
    return groundviz.load(model, processor=tiny_llava_processor(model))


@pytest.fixture
def small():
    return nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Linear(3, 1))


def told(vlm, image, method):
    """Everything an explanation says that must not depend on who else uses the model."""
    record = groundviz.explain(vlm, image, QUESTION, methods=quick(method)).record
    return (
        record.answer.token_ids.tobytes(),
        record.answer.logprobs.tobytes(),
        [(maps.method, maps.values.tobytes()) for maps in record.heatmaps],
    )


@contextmanager
def beside(work):
    """Somebody who does `work()` again and again in another thread; what went wrong there is raised here."""
    over, errors, times = threading.Event(), [], [0]

    def run():
        while not over.is_set():
            try:
                work()
            except BaseException as error:
                errors.append(error)
                return
            times[0] += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield times
    finally:
        over.set()
        thread.join(60)
    assert not thread.is_alive()
    assert errors == []


def in_another_thread(work):
    result = []
    thread = threading.Thread(target=lambda: result.append(work()))
    thread.start()
    return thread, result


# --- the promise ------------------------------------------------------------------------------


@few_and_many(10, 200)
@pytest.mark.timeout(1200)
def test_explanations_beside_generate(vlm, image, count):
    def generate():
        answer = vlm.model.generate(
            input_ids=INPUT_IDS, pixel_values=PIXELS, max_new_tokens=6, do_sample=False
        )
        logits = vlm.model(input_ids=INPUT_IDS, pixel_values=PIXELS).logits.detach()
        return answer.tolist(), logits

    expected = {method: told(vlm, image, method) for method in METHODS}
    alone, strange = generate(), []

    def check():
        answer, logits = generate()
        if answer != alone[0] or not torch.equal(logits, alone[1]):
            strange.append(answer)

    before = fingerprint(vlm.model)
    wrong = []
    with beside(check) as times:
        for number in range(count):
            method = METHODS[number % len(METHODS)]
            if told(vlm, image, method) != expected[method]:
                wrong.append(method)
        while times[0] < 3:
            time.sleep(0.01)
    assert wrong == []
    assert strange == []
    assert difference(before, fingerprint(vlm.model)) == []


def trained(model, optimizer):
    """One step; whether each weight got a gradient, and all of them as numbers."""
    model.train()
    optimizer.zero_grad()
    loss = model(input_ids=INPUT_IDS, pixel_values=PIXELS, labels=INPUT_IDS).loss
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    grads = [weight.grad for weight in model.parameters() if weight.requires_grad]
    optimizer.step()
    return sum(grad is not None for grad in grads), float(norm), float(loss.detach())


@few_and_many(12, 200)
@pytest.mark.timeout(1800)
def test_explanations_beside_training(image, count):
    def fresh():
        model = tiny_llava()
        model.generation_config.max_new_tokens = 3
        return model, torch.optim.AdamW(model.parameters(), lr=1e-3)

    model, optimizer = fresh()
    processor = tiny_llava_processor(model)
    vlm = groundviz.load(model, processor=processor)
    # All that there is to be seen: each state of the weights, and what an explanation says of it.
    states, steps = {weights_fingerprint(model): told(vlm, image, "gradient_attention")}, []
    for _ in range(count):
        steps.append(trained(model, optimizer))
        states[weights_fingerprint(model)] = told(vlm, image, "gradient_attention")

    model, optimizer = fresh()
    vlm, seen, found = groundviz.load(model, processor=processor), [], []
    thread, _ = in_another_thread(lambda: seen.extend(trained(model, optimizer) for _ in range(count)))
    refused = 0
    while thread.is_alive() or not found:
        try:
            record = groundviz.explain(
                vlm, image, QUESTION, methods="gradient_attention", certify=False
            ).record
        except ModelChanged:
            refused += 1
            continue
        maps = [(one.method, one.values.tobytes()) for one in record.heatmaps]
        result = record.answer.token_ids.tobytes(), record.answer.logprobs.tobytes(), maps
        found.append((record.provenance.weights, result))
    assert [step for step, now in zip(steps, seen, strict=True) if step != now] == []
    assert refused <= len(found)
    assert all(result == states[weights] for weights, result in found)


@few_and_many(2, 20)
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_process_forked_while_another_thread_explains_can_explain(vlm, image, count):
    expected = told(vlm, image, "gradient_attention")
    before = fingerprint(vlm.model)
    with beside(lambda: told(vlm, image, "gradient_attention")):
        ends = []
        for number in range(count):
            time.sleep(0.013 * (number % 5))
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    status = 0 if told(vlm, image, "gradient_attention") == expected else 2
                finally:
                    os._exit(status)
            ends.append(_end_of(child))
    assert ends == [0] * count
    assert difference(before, fingerprint(vlm.model)) == []


def _end_of(child, patience=60.0):
    """The exit status of a child, or "hung"."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_process_finds_the_model_as_it_was(small):
    held, end = threading.Event(), threading.Event()

    def hold():
        with borrow(small):
            held.set()
            end.wait(30)

    before = {key: value for key, value in fingerprint(small).items() if "'" in key}
    thread, _ = in_another_thread(hold)
    assert held.wait(5)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            after = {key: value for key, value in fingerprint(small).items() if "'" in key}
            status = 0 if difference(before, after) == [] and not guard._BORROWED else 2
        finally:
            os._exit(status)
    assert _end_of(child) == 0
    assert not small.training
    end.set()
    thread.join(5)
    assert small.training


# --- how it is kept ---------------------------------------------------------------------------


CALLS = {
    "forward": lambda model: model(torch.ones(1, 2)),
    "a part's forward": lambda model: model[2](torch.ones(1, 3)),
    "train": lambda model: model.train(),
    "parameters": lambda model: [weight.requires_grad for weight in model.parameters()],
    "zero_grad": lambda model: model.zero_grad(),
    "a hook": lambda model: model.register_forward_hook(lambda *_: None),
    "a part's hook": lambda model: model[0].register_forward_pre_hook(lambda *_: None),
    "another type": lambda model: model.double(),
    "other weights": lambda model: model.load_state_dict({k: v * 2 for k, v in model.state_dict().items()}),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_another_thread_waits_until_the_model_is_back(small, name):
    twin = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Linear(3, 1))
    twin.load_state_dict(small.state_dict())
    for model in (small, twin):
        model.eval()
    with borrow(small):
        thread, result = in_another_thread(lambda: CALLS[name](small))
        thread.join(0.1)
        assert thread.is_alive()
        assert result == []
    thread.join(5)
    expected = CALLS[name](twin)
    assert str(result[0]).split(" at ")[0] == str(expected).split(" at ")[0]
    # What it did was not undone with the loan.
    for here, there in zip(small.modules(), twin.modules(), strict=True):
        assert here.training == there.training
        assert len(here._forward_hooks) == len(there._forward_hooks)
        assert len(here._forward_pre_hooks) == len(there._forward_pre_hooks)
    for here, there in zip(small.parameters(), twin.parameters(), strict=True):
        assert torch.equal(here, there)


class Slow(nn.Module):
    """Begins, waits to be told, and only then calls its part."""

    def __init__(self):
        super().__init__()
        self.part = nn.Linear(2, 2)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def forward(self, given):
        training = self.training
        self.begun.set()
        assert self.go_on.wait(10)
        return self.part(given), training, self.training, self.part.weight.requires_grad


def test_a_call_that_has_begun_ends_before_the_model_is_borrowed():
    model = Slow()
    thread, result = in_another_thread(lambda: model(torch.ones(1, 2)))
    assert model.begun.wait(5)
    with pytest.raises(ModelBusy, match="another thread is running it"), borrow(model, wait=False):
        pytest.fail("The block must not be entered.")
    waited = []
    with borrow(model, wait=lambda: (waited.append(result == []), model.go_on.set())):
        assert len(result) == 1
    thread.join(5)
    assert waited and waited[0]
    output, *facts = result[0]
    assert facts == [True, True, True]
    assert output.requires_grad


class LookedUpSlowly:
    """A forward pass; a thread that is no borrower finds it, and has it only when it is told to go on."""

    def __get__(self, model, kind=None):
        if threading.current_thread() is model.caller:
            model.found.set()
            assert model.go_on.wait(10)
        return functools.partial(nn.Linear.forward, model)


class Awaited(nn.Linear):
    forward = LookedUpSlowly()

    def __init__(self):
        super().__init__(2, 2)
        self.caller, self.found, self.go_on = None, threading.Event(), threading.Event()


def test_a_call_that_has_just_been_let_through_ends_before_the_model_is_borrowed_again():
    """Else it goes on inside a borrowed model, and may wait for it while it holds a lock of its library."""
    model, result = Awaited(), []
    model.caller = threading.Thread(target=lambda: result.append(model(torch.ones(1, 2))))
    with borrow(model):
        model.caller.start()
        assert not model.found.wait(0.1)
    assert model.found.wait(5)
    with pytest.raises(ModelBusy, match="another thread is running it"), borrow(model, wait=False):
        pytest.fail("The block must not be entered.")
    with borrow(model, wait=model.go_on.set):
        assert result[0].requires_grad
    model.caller.join(5)


class HalfOpen(list):
    """What a gate has to put back; halfway, when the model itself is put back alone, it calls."""

    def __init__(self, found, meanwhile):
        super().__init__(found)
        self.meanwhile = meanwhile

    def __iter__(self):
        whole, *_ = self[0]
        for entry in super().__iter__():
            if entry[0] is not whole and self.meanwhile:
                self.meanwhile, meanwhile = None, self.meanwhile
                meanwhile()
            yield entry


def test_a_call_is_let_through_to_the_end_while_the_gate_opens(small):
    """Else it waits in a part, perhaps inside a lock of its library, and the next loan closes its gate."""
    results = []

    def call():
        thread, result = in_another_thread(lambda: small(torch.ones(1, 2)))
        thread.join(5)
        results.extend(result)

    with borrow(small) as loan:
        loan._gate._found = HalfOpen(loan._gate._found, call)
    assert len(results) == 1


def test_a_stack_that_was_cut_off_while_it_was_read_is_read_again(small, monkeypatch):
    suspended = (step for step in range(2))
    next(suspended)
    whole, cut = sys._current_frames, [suspended.gi_frame] * 3
    monkeypatch.setattr(sys, "_current_frames", lambda: {**whole(), **({0: cut.pop()} if cut else {})})
    with pytest.raises(ModelBusy), borrow(small, wait=False):
        pytest.fail("The block must not be entered.")
    with borrow(small):
        assert cut == []


def test_explaining_in_a_hook_of_a_call_in_another_thread_does_not_block_both(small):
    """Each waits for the other: the one in the hook for the model, the other for the call to end."""
    small.eval()
    inside, ended = threading.Event(), []

    def explain(module, args, output):
        inside.set()
        time.sleep(0.05)
        with borrow(small[0]):
            ended.append("hook")

    handle = small[2].register_forward_hook(explain)
    with borrow(nn.Linear(1, 1)):
        thread, _ = in_another_thread(lambda: small(torch.ones(1, 2)))
        assert inside.wait(5)
    with borrow(small):
        ended.append("block")
    thread.join(10)
    handle.remove()
    assert not thread.is_alive()
    assert sorted(ended) == ["block", "hook"]


def test_hooks_wraps_and_taps_act_on_the_borrowing_thread_alone(vlm):
    """Even if a call of somebody else came through."""
    seen = []
    layer = vlm.parts().decoder_attention[0]

    def hear(call):
        seen.append("tap")
        return call.run()

    def around(forward, *args, **options):
        seen.append("wrap")
        return forward(*args, **options)

    with borrow_vlm(vlm) as live, torch.no_grad(), tapped({layer: 0}, hear):
        live._loan._gate.open()
        live._loan.hook(vlm.model.lm_head, lambda *_: seen.append("hook"))
        live._loan.wrap(vlm.parts().projector, around)
        vlm.model(input_ids=INPUT_IDS, pixel_values=PIXELS)
        assert sorted(seen) == ["hook", "tap", "wrap"]
        seen.clear()
        thread, result = in_another_thread(lambda: vlm.model(input_ids=INPUT_IDS, pixel_values=PIXELS))
        thread.join(10)
        assert len(result) == 1
        assert seen == []


def test_weights_that_change_while_they_are_read_are_noticed(small):
    with pytest.raises(ModelChanged, match="changed by another thread"), borrow(small):
        with torch.no_grad():
            small[0].weight.add_(1.0)
    with borrow(small) as loan:
        with torch.no_grad():
            small[0].weight.add_(1.0)
        assert loan.disturbed
        loan.start_again()
        assert not loan.disturbed


@pytest.mark.parametrize("amid", ["the answer", "a pass with gradients"])
def test_an_explanation_is_made_anew_when_a_step_fell_into_it(vlm, image, amid):
    """Torch refuses to differentiate through weights that have changed; that is no error of the user's."""
    weight = vlm.model.lm_head.weight
    steps = []
    told(vlm, image, "grad_cam")

    def step(*_):
        if not steps and torch.is_grad_enabled() == (amid != "the answer"):
            steps.append("step")
            with torch.no_grad():
                weight.mul_(1.5)

    handle = vlm.model.lm_head.register_forward_hook(step)
    found = told(vlm, image, "grad_cam")
    handle.remove()
    assert steps
    assert found == told(vlm, image, "grad_cam")


def test_an_error_amid_a_change_of_weights_is_one_of_that(small):
    with pytest.raises(ModelChanged) as caught, borrow(small):
        with torch.no_grad():
            small[0].weight.add_(1.0)
        raise RuntimeError("modified by an inplace operation")
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(KeyboardInterrupt), borrow(small):
        with torch.no_grad():
            small[0].weight.add_(1.0)
        raise KeyboardInterrupt


def test_weights_that_never_stand_still_are_refused(vlm, image):
    weight = vlm.model.lm_head.weight

    def step(*_):
        with torch.no_grad():
            weight.mul_(1.001)

    handle = vlm.model.lm_head.register_forward_hook(step)
    with pytest.raises(ModelChanged):
        groundviz.explain(vlm, image, QUESTION, methods="attention", certify=False)
    handle.remove()


def test_a_gradient_on_its_way_reaches_the_weights_of_a_model_that_is_borrowed_meanwhile(small):
    small.eval()
    loss = small(torch.ones(1, 2)).sum()
    weights = list(small.parameters())
    with borrow(small):
        loss.backward()
    assert all(weight.grad is not None for weight in weights)


def test_a_thread_amid_the_parameters_sees_no_frozen_one(small):
    """Gradients of a bias that looks frozen would not be clipped."""
    amid, go_on = threading.Event(), threading.Event()

    def walk():
        parameters = small.parameters()
        found = [next(parameters)]
        amid.set()
        assert go_on.wait(10)
        return found + list(parameters)

    thread, result = in_another_thread(walk)
    assert amid.wait(5)
    with borrow(small):
        go_on.set()
        thread.join(0.2)
        assert thread.is_alive()
    thread.join(5)
    assert list(map(id, result[0])) == list(map(id, small.parameters()))


def test_a_weight_is_frozen_for_the_borrower_alone(small):
    own, alone = small[0].weight, dict(small[0]._parameters)
    own.grad = torch.ones_like(own)
    with borrow(small):
        assert not small[0].weight.requires_grad
        thread, result = in_another_thread(lambda: (small[0].weight, small[0].weight.grad))
        thread.join(5)
    assert result[0][0] is own
    assert result[0][1] is own.grad
    assert small[0]._parameters == alone
    assert type(small[0]._parameters) is dict


class Switching(nn.Linear):
    """Waits in the middle of changing its mode."""

    def __init__(self):
        super().__init__(2, 2)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def children(self):
        if threading.current_thread() is not threading.main_thread():
            self.begun.set()
            assert self.go_on.wait(10)
        return super().children()


def test_a_change_of_mode_that_has_begun_ends_before_the_model_is_borrowed():
    model = Switching().eval()
    thread, _ = in_another_thread(model.train)
    assert model.begun.wait(5)
    with pytest.raises(ModelBusy, match="another thread is running it"), borrow(model, wait=False):
        pytest.fail("The block must not be entered.")
    model.go_on.set()
    thread.join(5)
    assert model.training


def test_a_model_left_borrowed_is_given_back_to_whoever_calls_it(small, monkeypatch):
    cut_short(monkeypatch, 2)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), borrow(small):
        pass
    assert not small.training
    thread, result = in_another_thread(lambda: small(torch.ones(1, 2)).requires_grad)
    thread.join(5)
    signal.signal(signal.SIGINT, handler)
    assert result == [True]
    assert small.training
    assert guard._BORROWED == {}


def test_a_borrowed_model_is_copied_by_its_borrower_alone(small):
    def attempt():
        try:
            return copy.deepcopy(small)
        except ModelBusy as error:
            return error

    with borrow(small):
        twin = copy.deepcopy(small)
        thread, result = in_another_thread(attempt)
        thread.join(5)
        assert isinstance(result[0], ModelBusy)
        with pytest.raises(ModelBusy, match="before or after"):
            pickle.dumps(small)
        expected = small(torch.ones(1, 2))
    assert torch.equal(twin(torch.ones(1, 2)), expected)
    assert torch.equal(copy.deepcopy(small).eval()(torch.ones(1, 2)), expected)


def test_a_borrowed_model_has_the_signature_it_always_has(vlm):
    before = inspect.signature(vlm.model.forward)
    with borrow(vlm.model):
        assert inspect.signature(vlm.model.forward) == before


def test_the_output_head_gets_its_input_in_one_piece(vlm, image):
    """With gaps, a CPU copies the head's weights for each item of a batch in bfloat16."""
    gaps = []

    def see(module, args, output):
        gaps.append(args[0].is_contiguous())

    handle = vlm.model.lm_head.register_forward_hook(see)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        groundviz.explain(vlm, image, QUESTION, methods=quick("occlusion"), certify=False)
    handle.remove()
    assert gaps
    assert all(gaps)
