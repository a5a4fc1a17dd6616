"""Streamed relevancy against the whole matrix, built from eager maps and their gradients."""

import pytest
import torch

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention import propagation
from groundviz.runtime.attention.relevancy import Relevancy
from groundviz.runtime.attention.tap import tapped
from groundviz.runtime.loan.checkpointing import checkpointed
from groundviz.runtime.loan.guard import borrow
from groundviz.runtime.passes.kv_cache import cache_of, on_cache
from tests.runtime.dense import Dense, built, dense_maps, eager_pass, score
from tests.support.architectures import ARCHITECTURES, build

# transformers 5.17 warns of a name that its own code still uses.
pytestmark = pytest.mark.filterwarnings("ignore:`hidden_state` is deprecated:FutureWarning")

FOLLOWED = {
    "llava_llama": ("vision", "decoder"),
    "llava_qwen2": ("vision", "decoder"),
    "llava_mistral": ("decoder",),
    "gemma3": ("vision", "decoder"),
    "mllama": ("decoder", "cross"),
    "blip2": ("vision", "resampler", "resampler cross", "decoder"),
    "blip2_t5": ("vision", "resampler", "resampler cross", "encoder", "decoder", "cross"),
    "idefics2": ("vision", "resampler", "decoder"),
    "smolvlm": ("vision", "decoder"),
    "qwen2_vl": ("vision",),
    "qwen2_5_vl": ("vision",),
    "florence2": ("encoder", "decoder", "cross"),
}


def stream_of(architecture, parts):
    return "patches" if parts == ("vision",) else "text"


def streamed(architecture, parts, starts, layers=()):
    numbers, flows = architecture.numbered(*parts)
    handler = Relevancy(flows, architecture.origins)
    with borrow(architecture.model) as loan, checkpointed(loan, layers), tapped(numbers, handler):
        scalar = score(architecture.model(**architecture.inputs, use_cache=False))
        return handler.of(scalar, {stream_of(architecture, parts): starts})


def dense(architecture, parts, *, weigh=True, **step):
    """The matrix over all streams: eager weights, times their gradients where `weigh`."""
    _, flows = architecture.numbered(*parts)
    calls, output = eager_pass(architecture, *parts, gradients=True)
    weights = [call.weights for call in calls]
    gradients = torch.autograd.grad(score(output), weights)
    order = list(dict.fromkeys(call.layer for call in calls))
    maps = {}
    for layer in order:
        shares = dense_maps(calls, layer, weights)
        raised = shares * dense_maps(calls, layer, gradients) if weigh else shares
        maps[layer] = (raised.clamp(min=0) if weigh else raised).mean(1).detach()
    followed = {flow.rows for flow in flows.values()}
    matrix = Dense(sizes(maps, flows))
    entered = set()
    for layer in order:
        for name, origin in architecture.origins.items():
            if name in followed and origin.stream == flows[layer].rows and name not in entered:
                entered.add(name)
                matrix.enter(name, origin)
        matrix.climb(flows[layer], maps[layer], **step)
    return matrix


def sizes(maps, flows):
    found = {}
    for layer, each in maps.items():
        flow, (rows, columns) = flows[layer], each.shape
        found[flow.rows] = max(found.get(flow.rows, 0), rows)
        found[flow.columns] = max(found.get(flow.columns, 0), columns - rows * flow.own)
    return found


def one_hot(rows, size):
    return torch.nn.functional.one_hot(torch.tensor(rows), size).float()


def rows_of(architecture, parts=()):
    if parts == ("vision",):
        return len(architecture.inputs["pixel_values"])
    if "decoder_input_ids" in architecture.inputs:
        return architecture.inputs["decoder_input_ids"].shape[1]
    return architecture.inputs["input_ids"].shape[1]


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of five rows, so that even tiny models have several."""
    monkeypatch.setattr(propagation, "CHUNK", 5)


@pytest.mark.parametrize("name", FOLLOWED)
@pytest.mark.parametrize("twice", [False, True], ids=["plain", "checkpointed"])
def test_relevancy_equals_the_dense_matrix(name, twice, small_chunks):
    architecture, parts = built(name), FOLLOWED[name]
    size = rows_of(architecture, parts)
    layers = architecture.layers if twice else ()
    chosen = [size - 2, size - 5]
    found = streamed(architecture, parts, one_hot(chosen, size), layers)
    expected = dense(architecture, parts)
    for number, row in enumerate(chosen):
        for stream, values in expected.rows(stream_of(architecture, parts), row).items():
            if values.ne(0).any():
                mine = found[stream][number]
                assert (mine - values[: len(mine)]).abs().max() <= 1e-4 * values.max()
                assert values[len(mine) :].eq(0).all()


def test_every_architecture_is_followed():
    assert set(FOLLOWED) == set(ARCHITECTURES)


def test_the_image_gets_relevancy_through_every_kind_of_crossing():
    for name, image in {
        "mllama": "image",
        "blip2": "image",
        "idefics2": "image",
        "florence2": "encoder",
    }.items():
        architecture = built(name)
        size = rows_of(architecture)
        found = streamed(architecture, FOLLOWED[name], one_hot([size - 2], size))
        assert found[image].max() > 0


def test_weights_of_starting_rows_add_up(small_chunks):
    architecture = built("llava_llama")
    size = rows_of(architecture)
    single = streamed(architecture, ("decoder",), one_hot([size - 2, size - 4], size))["text"]
    together = streamed(architecture, ("decoder",), (one_hot([size - 2, size - 4], size) * 0.5).sum(0)[None])
    torch.testing.assert_close(together["text"][0], single.mean(0))


def test_a_wrong_scale_is_noticed():
    architecture = build("llava_llama")
    size = rows_of(architecture)
    expected = dense(architecture, ("decoder",)).rows("text", size - 2)["text"]
    for module in architecture.attention["decoder"]:
        module.scaling *= 1.01
    found = streamed(architecture, ("decoder",), one_hot([size - 2], size))["text"][0]
    assert (found - expected).abs().max() > 1e-3 * expected.max()


def test_several_scalars_share_one_pass():
    architecture = built("mllama")
    size = rows_of(architecture)
    start = {"text": one_hot([size - 2], size)}
    numbers, flows = architecture.numbered("decoder", "cross")
    handler = Relevancy(flows)
    with borrow(architecture.model), tapped(numbers, handler):
        output = architecture.model(**architecture.inputs, use_cache=False)
        first = handler.of(score(output, token=7), start, retain=True)
        second = handler.of(score(output, token=9), start, retain=True)
        again = handler.of(score(output, token=7), start)
    assert torch.equal(first["image"], again["image"])
    assert not torch.allclose(first["image"], second["image"])


def test_a_pass_on_a_cached_prompt_is_refused():
    architecture = built("llava_llama")
    numbers, _ = architecture.numbered("decoder")
    handler = Relevancy()
    ids = torch.tensor([[5, 6, 7]])
    with borrow(architecture.model):
        with torch.no_grad():
            cache = cache_of(architecture.model(**architecture.inputs))
        with tapped(numbers, handler), pytest.raises(UnsupportedMethod, match="without a cache"):
            output = architecture.model(input_ids=ids, **on_cache(architecture.model, cache))
            handler.of(score(output), {"text": one_hot([1], 3)})


def test_starting_rows_are_left_as_they_were():
    architecture = built("llava_llama")
    start = one_hot([20], rows_of(architecture))
    before = start.clone()
    streamed(architecture, ("decoder",), start)
    assert torch.equal(start, before)
