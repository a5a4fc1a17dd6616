"""One model, several callers: threads, callbacks, event loops; and what is left when they are done."""

import asyncio
import gc
import sys
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import groundviz
from groundviz.errors import ModelBusy
from groundviz.explain import explain
from groundviz.runtime import borrow
from groundviz.runtime.loan import guard
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support.quick import quick, quick_all

pytestmark = pytest.mark.wide

QUESTIONS = ("Is there a nodule?", "Where is the heart?", "What does the image show?", "Is the lung clear?")
MIX = (
    "attention",
    "gradient_attention",
    "relevancy",
    "smooth_grad",
    "grad_cam",
    "occlusion",
    "rise",
    "shapley",
)


@pytest.fixture
def vlm():
    model = tiny_llava()
    model.generation_config.max_new_tokens = 3
    return groundviz.load(model, processor=tiny_llava_processor(model))


def jobs(count):
    return [(QUESTIONS[n % 4], MIX[n % len(MIX)], n // 8 % 2) for n in range(count)]


def told(vlm, image, job):
    """Everything an explanation says that must not depend on who else is asking."""
    question, method, seed = job
    record = explain(vlm, image, question, methods=quick(method), seed=seed).record
    return (
        record.prompt.question,
        record.answer.token_ids.tobytes(),
        record.answer.logprobs.tobytes(),
        [(maps.method, maps.values.tobytes()) for maps in record.heatmaps],
    )


@pytest.fixture
def hasty():
    """Threads take turns a million times a second."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("count", [32, pytest.param(160, marks=pytest.mark.slow)])
def test_explains_in_four_threads_are_those_of_one(vlm, image, hasty, count):
    """160 of them: `python -m pytest -m slow tests/faults/test_sharing.py`."""
    expected = {job: told(vlm, image, job) for job in set(jobs(count))}
    before = fingerprint(vlm.model)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda job: told(vlm, image, job), jobs(count)))
    assert [job for job, one in zip(jobs(count), found, strict=True) if one != expected[job]] == []
    assert difference(before, fingerprint(vlm.model)) == []
    assert not (guard._BORROWED or guard._ACTIVE or guard._TURN)


def test_explaining_inside_a_callback_of_the_model_is_refused(vlm, image):
    refusals = []

    def nested(module, args, output):
        with pytest.raises(ModelBusy, match="this thread has borrowed it") as caught:
            explain(vlm, image, QUESTIONS[0], methods="attention")
        refusals.append(caught.value)

    plain = told(vlm, image, (QUESTIONS[0], "attention", 0))
    handle = vlm.model.lm_head.register_forward_hook(nested)
    assert told(vlm, image, (QUESTIONS[0], "attention", 0)) == plain
    handle.remove()
    assert refusals


def test_explaining_inside_asyncio(vlm, image):
    expected = told(vlm, image, (QUESTIONS[0], "occlusion", 0))

    async def both():
        job = (QUESTIONS[0], "occlusion", 0)
        threads = [asyncio.to_thread(told, vlm, image, job) for _ in range(3)]
        return [told(vlm, image, job), *await asyncio.gather(*threads)]

    assert asyncio.run(asyncio.wait_for(both(), 60)) == [expected] * 4


def test_two_models_of_one_config_do_not_disturb_each_other(image):
    one, other = tiny_llava(), tiny_llava(seed=1)
    other.config = one.config
    for model in (one, other):
        model.generation_config.max_new_tokens = 3
    before, processor = fingerprint(other), tiny_llava_processor(one)
    with borrow(groundviz.load(other, processor=processor)):
        explain(one, image, QUESTIONS[0], processor=processor)
    assert difference(before, fingerprint(other)) == []


def live_tensors():
    gc.collect()
    return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())


def test_fifty_explanations_leave_no_tensor_behind(vlm, image):
    methods = list(groundviz.METHODS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explain(vlm, image, QUESTIONS[0], methods=quick_all())
        before = live_tensors()
        for n in range(50):
            explain(vlm, image, QUESTIONS[0], methods=quick(methods[n % len(methods)]))
    assert live_tensors() == before


def test_every_tensor_a_method_saw_is_gone(vlm, image):
    seen = []

    def see(module, args, output):
        seen.append(weakref.ref(output[0] if isinstance(output, tuple) else output))

    layers = (*vlm.parts().vision_layers, vlm.parts().projector, *vlm.parts().decoder_layers)
    handles = [layer.register_forward_hook(see) for layer in layers]
    explanation = explain(vlm, image, QUESTIONS[0], methods=quick_all())
    gc.collect()
    assert len(seen) > len(layers)
    assert [ref for ref in seen if ref() is not None] == []
    assert explanation.methods == tuple(groundviz.METHODS)
    for handle in handles:
        handle.remove()


def test_no_thread_is_left_waiting(vlm, image):
    told(vlm, image, (QUESTIONS[0], "rise", 0))
    names = {thread.name for thread in threading.enumerate() if not thread.daemon}
    assert names == {"MainThread"}
