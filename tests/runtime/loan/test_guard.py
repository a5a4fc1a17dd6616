"""The loan of a model: what it is like inside, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import sys
import threading
import warnings
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from groundviz.errors import ModelBusy
from groundviz.runtime.loan import guard
from groundviz.runtime.loan.guard import borrow
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.messy import messy
from groundviz.testing.tiny.llava import tiny_llava
from tests.support.interrupting import cut_short

INPUT_IDS = torch.tensor([[2, 5, *[4] * 16, 20, 21, 22]])


def pixels(seed=0):
    return torch.rand(1, 3, 28, 28, generator=torch.Generator().manual_seed(seed))


def explain(model, seed=0):
    """What a method may do: a tapped forward, a generation and a gradient of the input."""
    with borrow(model) as loan:
        seen = []
        loan.hook(model.model.multi_modal_projector, lambda module, args, output: seen.append(output))
        answer = model.generate(
            input_ids=INPUT_IDS, pixel_values=pixels(seed), max_new_tokens=3, do_sample=False
        )
        image = pixels(seed).requires_grad_()
        logits = model(input_ids=INPUT_IDS, pixel_values=image).logits
        (gradient,) = torch.autograd.grad(logits[0, -1].max(), image)
    return [seen[-1].detach(), answer, logits.detach(), gradient]


def draws():
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


@pytest.fixture
def small():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 1))


# --- what it is like inside -------------------------------------------------------------------


def test_inside_dropout_is_off_parameters_are_frozen_and_gradients_are_possible(small):
    with torch.no_grad(), borrow(small) as loan:
        x = torch.ones(4, 2, requires_grad=True)
        assert torch.equal(small(x), small(x))
        (gradient,) = torch.autograd.grad(small(x).sum(), x)
        assert gradient.shape == x.shape
        assert loan.model is small
        assert loan.seed == 0
        assert not any(parameter.requires_grad for parameter in small.parameters())
        assert small[1].num_batches_tracked == 0


def test_inside_every_random_stream_starts_at_the_seed(small):
    with borrow(small, seed=7):
        first = draws()
    draws()
    with borrow(small, seed=7):
        assert draws() == first
    with borrow(small, seed=8):
        assert all(a != b for a, b in zip(draws(), first, strict=True))


def test_the_random_streams_of_the_caller_do_not_notice(small):
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    np.random.standard_normal()  # numpy keeps a second normal draw in store
    before, expected = fingerprint(small), [draws(), draws()]
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    np.random.standard_normal()
    with borrow(small):
        draws()
    assert difference(before, fingerprint(small)) == []
    first = draws()
    with pytest.raises(ZeroDivisionError), borrow(small):
        draws()
        1 / 0  # noqa: B018
    assert [first, draws()] == expected


CONTEXTS = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "device": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_results_do_not_depend_on_the_context_of_the_caller(name):
    model = tiny_llava()
    expected = explain(model)
    with CONTEXTS[name]():
        before = fingerprint(model)
        found = explain(model)
        after = fingerprint(model)
    assert difference(before, after) == []
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


SETTINGS = {
    "default dtype": (torch.set_default_dtype, torch.float64, torch.float32),
    "default device": (torch.set_default_device, "meta", None),
    "deterministic": (torch.use_deterministic_algorithms, True, False),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_results_do_not_depend_on_the_settings_of_the_caller(name):
    setting, unusual, usual = SETTINGS[name]
    model = tiny_llava()
    expected = explain(model)
    setting(unusual)
    try:
        before = fingerprint(model)
        found = explain(model)
        after = fingerprint(model)
    finally:
        setting(usual)
    assert difference(before, after) == []
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_a_tensor_made_inside_an_inference_mode_block_can_be_differentiated(small):
    with torch.inference_mode(), borrow(small):
        assert not torch.ones(1).is_inference()
        assert not torch.is_inference_mode_enabled()
    assert not torch.is_inference_mode_enabled()


def test_a_model_made_in_inference_mode_comes_back_as_it_was():
    with torch.inference_mode():
        model = nn.Sequential(nn.Linear(2, 2))
    before = fingerprint(model)
    with borrow(model):
        model(torch.ones(1, 2))
    assert difference(before, fingerprint(model)) == []


# --- what is left of it -----------------------------------------------------------------------


@pytest.mark.parametrize("vision", ["siglip", "clip"])
def test_a_fresh_model_is_fresh_after_its_first_forward(vision):
    model = tiny_llava(vision=vision)
    before = fingerprint(model)
    inside = explain(model)
    assert difference(before, fingerprint(model)) == []
    # The library's own hooks went together with its flag, so it installs them anew by itself.
    assert not hasattr(model.model.vision_tower, "_output_capturing_hooks_installed")
    assert torch.equal(model(input_ids=INPUT_IDS, pixel_values=pixels()).logits, inside[2])


def test_a_model_that_was_used_before_keeps_the_hooks_its_library_installed():
    model = tiny_llava()
    model(input_ids=INPUT_IDS, pixel_values=pixels())
    before = fingerprint(model)
    assert model.model.vision_tower._output_capturing_hooks_installed
    explain(model)
    assert difference(before, fingerprint(model)) == []


@pytest.mark.parametrize("vision", ["siglip", "clip"])
def test_a_messy_model_stays_messy(vision):
    model = messy(tiny_llava(vision=vision))
    before = fingerprint(model)
    first, second = explain(model), explain(model)
    assert difference(before, fingerprint(model)) == []
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_a_config_shared_by_two_models_is_put_back_for_both():
    model = tiny_llava()
    twin = type(model)(model.config)
    assert twin.config is model.config
    before = fingerprint(twin)
    with borrow(model):
        model.set_attn_implementation("eager")
        assert difference(before, fingerprint(twin)) != []
    assert difference(before, fingerprint(twin)) == []


def test_a_wrapped_model_comes_back_whole():
    class Wrapper(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.base, self.forward = model, model.forward

    model = Wrapper(messy(tiny_llava()))
    before = fingerprint(model)
    with borrow(model):
        model(input_ids=INPUT_IDS, pixel_values=pixels())
    assert difference(before, fingerprint(model)) == []


def _reorder_hooks(model):
    hooks = model.model.language_model.layers[0]._forward_hooks
    hooks.move_to_end(next(iter(hooks)))


def _replace_parameter(model):
    model.lm_head.weight = nn.Parameter(torch.zeros(1))


def _train_step(model):
    for parameter in model.parameters():
        parameter.requires_grad = True
    loss = model(input_ids=INPUT_IDS, pixel_values=pixels()).logits.sum()
    parameters = [p for p in model.parameters() if p.requires_grad]
    for parameter, grad in zip(
        parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True
    ):
        parameter.grad = grad


VANDALISM = {
    "new attribute": lambda model: setattr(model.lm_head, "activations", torch.ones(3)),
    "deleted attribute": lambda model: delattr(model, "user_history"),
    "changed attribute": lambda model: setattr(model, "user_tags", None),
    "nested list": lambda model: model.user_history[0]["losses"].append(1.0),
    "list": lambda model: model.user_history.clear(),
    "set": lambda model: model.user_tags.add("explained"),
    "forward": lambda model: setattr(model.model, "forward", None),
    "hooks cleared": lambda model: model.model.language_model.layers[0]._forward_hooks.clear(),
    "hooks reordered": _reorder_hooks,
    "hooks replaced": lambda model: setattr(model.lm_head, "_forward_hooks", {}),
    "backward hook": lambda model: model.lm_head.register_full_backward_hook(print),
    "train": lambda model: model.train(),
    "submodule replaced": lambda model: setattr(model, "lm_head", nn.Identity()),
    "submodule removed": lambda model: delattr(model.model, "multi_modal_projector"),
    "submodule added": lambda model: model.add_module("probe", nn.Identity()),
    "parameter replaced": _replace_parameter,
    "buffer replaced": lambda model: setattr(model, "user_buffer", torch.zeros(1)),
    "parameter attribute": lambda model: setattr(model.lm_head.weight, "user_name", "loose"),
    "gradients": _train_step,
    "attention": lambda model: model.set_attn_implementation("sdpa"),
    "config": lambda model: setattr(model.config.text_config, "rms_norm_eps", 0.1),
    "nested config": lambda model: model.config.user_notes["task"].update(name="?"),
    "config object": lambda model: setattr(model.config, "text_config", None),
    "generation config": lambda model: setattr(model.generation_config, "max_length", 3),
    "everything wiped": lambda model: vars(model).clear(),
}


@pytest.mark.parametrize("name", VANDALISM)
def test_whatever_is_done_to_a_borrowed_model_is_undone(name):
    model = messy(tiny_llava())
    before = fingerprint(model)
    with borrow(model):
        inside = fingerprint(model)
        VANDALISM[name](model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if vars(model):
                assert difference(inside, fingerprint(model)) != []
    assert difference(before, fingerprint(model)) == []


def test_gradients_of_the_caller_are_out_of_reach():
    model = messy(tiny_llava())
    weights = [weight for weight in model.parameters() if weight.grad is not None]
    grads = [weight.grad.clone() for weight in weights]
    assert grads
    with borrow(model):
        model.zero_grad()
        assert all(weight.grad is None for weight in model.parameters() if not weight.requires_grad)
        assert [torch.equal(weight.grad, grad) for weight, grad in zip(weights, grads, strict=True)]
    assert all(torch.equal(weight.grad, grad) for weight, grad in zip(weights, grads, strict=True))


def test_a_hook_works_inside_and_is_gone_after(small):
    seen = []
    with borrow(small) as loan:
        early = loan.hook(small[0], lambda module, args, output: seen.append("early"))
        loan.hook(small[0], lambda module, args, output: output * 0)
        assert float(small(torch.ones(1, 2))) == float(small(torch.zeros(1, 2)))
        early.remove()
        small(torch.ones(1, 2))
    small.eval()(torch.ones(1, 2))
    assert seen == ["early", "early"]
    assert len(small[0]._forward_hooks) == 0


def test_a_hook_needs_a_part_of_a_model_that_is_borrowed(small):
    with borrow(small) as loan, pytest.raises(ValueError, match="part of the borrowed model"):
        loan.hook(nn.Linear(1, 1), print)
    with pytest.raises(ValueError, match="while it is borrowed"):
        loan.hook(small[0], print)
    assert len(small[0]._forward_hooks) == 0


# --- errors, undoing and Ctrl-C ---------------------------------------------------------------


def test_an_error_comes_out_as_itself(small):
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught, borrow(small):
        raise error
    assert caught.value is error
    assert not hasattr(error, "__notes__")
    assert error.__context__ is None


def test_undoing_is_last_first_and_before_the_model_is_put_back(small):
    calls = []
    with borrow(small) as loan:
        loan.on_return(lambda: calls.append(("first", small.training)))
        loan.on_return(lambda: calls.append(("second", small.training)))
    assert calls == [("second", False), ("first", False)]
    assert small.training


def test_an_undo_that_fails_is_tried_again_reported_and_stops_no_other(small):
    before, calls = fingerprint(small), []

    def bad():
        calls.append("bad")
        raise OSError("stuck")

    with pytest.raises(OSError, match="stuck"), borrow(small) as loan:
        loan.on_return(lambda: calls.append("good"))
        loan.on_return(bad)
    assert calls == ["bad", "bad", "good"]
    assert difference(before, fingerprint(small)) == []
    with borrow(small):
        assert not small.training


def test_an_undo_that_fails_does_not_hide_the_error_of_the_block(small):
    with pytest.raises(KeyError, match="mine") as caught, borrow(small) as loan:
        loan.on_return(lambda: 1 / 0)
        raise KeyError("mine")
    assert caught.value.__notes__ == ["Giving the model back raised ZeroDivisionError: division by zero"]


def test_handing_out_something_else_is_part_of_the_loan(small):
    before = fingerprint(small)
    with borrow(small, hand_out=lambda loan: (loan.model, loan.seed)) as given:
        assert given == (small, 0)
    with pytest.raises(ZeroDivisionError), borrow(small, hand_out=lambda loan: 1 / 0):
        pytest.fail("The block must not be entered.")
    assert difference(before, fingerprint(small)) == []


def test_ctrl_c_while_the_model_is_put_back_waits_until_it_is(small):
    before = fingerprint(small)
    restored = []
    with pytest.raises(KeyboardInterrupt), borrow(small) as loan:
        loan.on_return(lambda: restored.append("second"))
        loan.on_return(lambda: signal.raise_signal(signal.SIGINT))
    assert restored == ["second"]
    assert difference(before, fingerprint(small)) == []


def test_ctrl_c_in_the_block_comes_at_once(small):
    before = fingerprint(small)
    with pytest.raises(KeyboardInterrupt), borrow(small):
        signal.raise_signal(signal.SIGINT)
        pytest.fail("The interrupt came too late.")
    assert difference(before, fingerprint(small)) == []


def test_ctrl_c_goes_to_the_handler_of_the_caller(small):
    pressed = []
    previous = signal.signal(signal.SIGINT, lambda signum, frame: pressed.append(signum))
    try:
        mine = signal.getsignal(signal.SIGINT)
        with borrow(small), borrow(nn.Linear(1, 1)):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, previous)
    assert pressed == [signal.SIGINT]


def test_ctrl_c_that_is_ignored_stays_ignored(small):
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with borrow(small):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, previous)


def test_a_handler_installed_inside_the_block_is_kept(small):
    previous = signal.getsignal(signal.SIGINT)
    try:
        with borrow(small):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)


# --- one loan at a time -----------------------------------------------------------------------


def test_a_thread_that_has_the_model_cannot_borrow_it_again(small):
    before = fingerprint(small)
    for again in (small, small[0], nn.Sequential(small)):
        with borrow(small):
            with pytest.raises(ModelBusy, match="this thread has borrowed it"), borrow(again):
                pytest.fail("The block must not be entered.")
            assert not small.training
        assert difference(before, fingerprint(small)) == []


def test_one_with_block_is_entered_once(small):
    block = borrow(small)
    with block:
        with pytest.raises(ModelBusy, match="entered twice"), block:
            pytest.fail("The block must not be entered.")
        assert not small.training
    assert small.training
    with pytest.raises(ModelBusy, match="entered twice"), block:
        pytest.fail("The block must not be entered.")


def test_two_tasks_of_one_event_loop_do_not_deadlock(small):
    async def explain_slowly():
        with borrow(small):
            await asyncio.sleep(0)
            return "explained"

    async def both():
        return await asyncio.gather(explain_slowly(), explain_slowly(), return_exceptions=True)

    first, second = asyncio.run(both())
    assert first == "explained"
    assert isinstance(second, ModelBusy)
    assert small.training


def in_another_thread(work):
    result = []

    def run():
        try:
            result.append(work())
        except Exception as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, result


def test_a_thread_that_does_not_wait_is_told_at_once(small):
    def impatient():
        with borrow(small, wait=False):
            pytest.fail("The block must not be entered.")

    with borrow(small):
        thread, result = in_another_thread(impatient)
        thread.join(5)
        assert not thread.is_alive()
        assert isinstance(result[0], ModelBusy)
        assert "another thread" in str(result[0])
        assert not small.training


def test_a_thread_that_waits_gets_the_model_next(small):
    def patient():
        with borrow(small) as loan:
            return loan.model.training

    with borrow(small):
        thread, result = in_another_thread(patient)
        thread.join(0.1)
        assert thread.is_alive()
        assert result == []
    thread.join(5)
    assert result == [False]
    assert small.training


def test_a_thread_that_has_something_borrowed_does_not_wait(small):
    def waits_for_a_part():
        with borrow(nn.Linear(1, 1)), borrow(small[0]):
            pytest.fail("The block must not be entered.")

    with borrow(small):
        thread, result = in_another_thread(waits_for_a_part)
        thread.join(5)
        assert isinstance(result[0], ModelBusy)


def test_two_models_of_one_thread_can_be_borrowed_together(small):
    other = nn.Linear(1, 1)
    before = fingerprint(small) | fingerprint(other)
    with borrow(small, seed=1):
        expected = draws()
    with borrow(small, seed=1):
        with borrow(other, seed=2):
            draws()
        assert draws() == expected
    assert difference(before, fingerprint(small) | fingerprint(other)) == []


@pytest.mark.parametrize("first_to_end", [0, 1])
def test_loans_of_two_models_that_overlap_leave_the_process_as_it_was(first_to_end):
    models = nn.Linear(1, 1), nn.Linear(1, 1)
    before = fingerprint(models[0])
    torch.set_default_dtype(torch.float64)
    try:
        ends = threading.Event(), threading.Event()
        threads = []
        for model, end in zip(models, ends, strict=True):
            entered = threading.Event()

            def hold(model=model, end=end, entered=entered):
                with borrow(model):
                    entered.set()
                    return end.wait(5), torch.get_default_dtype()

            threads.append(in_another_thread(hold))
            assert entered.wait(5)
        for which in (first_to_end, 1 - first_to_end):
            ends[which].set()
            threads[which][0].join(5)
        assert [result for _, result in threads] == [[(True, torch.float32)]] * 2
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert difference(before, fingerprint(models[0])) == []


def test_four_threads_each_get_their_own_answer_and_only_that():
    model = messy(tiny_llava())
    serial = [explain(model, seed) for seed in range(4)]
    before, wrong, foreign = fingerprint(model), [], []

    def work(number):
        for _ in range(40):
            with borrow(model) as loan:
                me = threading.get_ident()
                loan.hook(
                    model.lm_head,
                    lambda *_, me=me: foreign.append(me) if threading.get_ident() != me else None,
                )
                image = pixels(number).requires_grad_()
                logits = model(input_ids=INPUT_IDS, pixel_values=image).logits
                (gradient,) = torch.autograd.grad(logits[0, -1].max(), image)
            if not (torch.equal(logits, serial[number][2]) and torch.equal(gradient, serial[number][3])):
                wrong.append(number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    assert foreign == []
    assert difference(before, fingerprint(model)) == []


# --- memory -----------------------------------------------------------------------------------


def test_nothing_keeps_a_model_alive_that_was_borrowed():
    model = nn.Linear(1, 1)
    alive = weakref.ref(model)
    with borrow(model):
        model(torch.ones(1, 1))
    gc.disable()
    try:
        del model
        assert alive() is None
    finally:
        gc.enable()


def test_fifty_loans_leave_no_tensor_behind():
    model = tiny_llava()

    def count():
        gc.collect()
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    explain(model)
    before = count()
    for _ in range(50):
        explain(model)
    assert count() == before
    assert guard._BORROWED == {}
    assert guard._ACTIVE == []
    assert guard._TURN == {}


# --- putting back is itself cut short ---------------------------------------------------------


def test_putting_back_that_is_cut_short_once_is_begun_again(small, monkeypatch):
    before = fingerprint(small)
    cut_short(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt), borrow(small) as loan:
        loan.hook(small[0], print)
    assert difference(before, fingerprint(small)) == []


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_model_left_dirty_is_healed_by_its_next_loan(small, monkeypatch, elsewhere):
    model_only = {key: value for key, value in fingerprint(small).items() if "'" in key}
    cut_short(monkeypatch, 2)
    handler, state = signal.getsignal(signal.SIGINT), torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt), borrow(small) as loan:
        loan.hook(small[0], print)
    assert not small.training
    assert len(small[0]._forward_hooks) == 1

    def next_loan():
        with torch.no_grad():
            with borrow(small, wait=False):
                hooks = len(small[0]._forward_hooks)
            return hooks, torch.is_grad_enabled()

    if elsewhere:
        thread, result = in_another_thread(next_loan)
        thread.join(5)
    else:
        result = [next_loan()]
    signal.signal(signal.SIGINT, handler)
    torch.set_rng_state(state)
    assert result == [(0, False)]
    after = {key: value for key, value in fingerprint(small).items() if "'" in key}
    assert difference(model_only, after) == []
    assert guard._BORROWED == {}
    assert guard._ACTIVE == []
    assert guard._TURN == {}


def test_an_undo_that_fails_while_healing_is_reported_to_the_next_loan(small):
    blocks = [borrow(small)]

    def enter():
        blocks[0].__enter__().on_return(lambda: 1 / 0)

    thread, _ = in_another_thread(enter)
    thread.join(5)
    blocks.clear()
    with pytest.warns(RuntimeWarning, match="raised ZeroDivisionError") as caught, borrow(small):
        pass
    assert {warning.filename for warning in caught} == {__file__}
    assert small.training


def test_a_block_that_is_dropped_without_being_left_gives_the_model_back(small):
    before = fingerprint(small)
    block = borrow(small)
    block.__enter__()
    assert not small.training
    del block
    assert difference(before, fingerprint(small)) == []


def test_a_block_that_is_dropped_by_another_thread_is_healed_by_the_next_loan(small):
    blocks = [borrow(small)]
    thread, _ = in_another_thread(blocks[0].__enter__)
    thread.join(5)
    blocks.clear()
    assert not small.training
    with borrow(small, wait=False):
        pass
    assert small.training
    assert guard._BORROWED == {}
