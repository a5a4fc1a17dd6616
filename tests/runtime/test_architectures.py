"""Rows at every attention of every kind of model, against the eager kernel's own weights."""

import copy

import pytest
import torch

from groundviz.runtime.attention.recorder import RowWatch
from groundviz.runtime.attention.tap import tapped
from tests.runtime.dense import built, dense_maps, eager_pass
from tests.support.architectures import ARCHITECTURES, build
from tests.support.chosen_rows import ChosenRows

# transformers 5.17 warns of a name that its own code still uses.
pytestmark = pytest.mark.filterwarnings("ignore:`hidden_state` is deprecated:FutureWarning")

PARTS = [(name, part) for name in ARCHITECTURES for part in built(name).attention]
GENERATING = [(name, part) for name, part in PARTS if part in ("decoder", "cross")]
STEPS = 6


@pytest.fixture(scope="module")
def architecture(request):
    return built(request.param)


def everywhere(parts):
    return pytest.mark.parametrize(
        ("architecture", "part"), parts, indirect=["architecture"], ids=[" ".join(pair) for pair in parts]
    )


def run(architecture, part, handler):
    numbers, _ = architecture.numbered(part)
    with torch.no_grad(), tapped(numbers, handler):
        return architecture.model(**architecture.inputs, use_cache=False)


def generate(architecture, model):
    inputs = dict(architecture.inputs)
    start = inputs.pop("decoder_input_ids", None)
    if start is not None:
        inputs["decoder_input_ids"] = start[:, :1]
    return model.generate(**inputs, min_new_tokens=STEPS, max_new_tokens=STEPS)


def eager_steps(architecture, part):
    """By layer, each step's last row over the columns its kernel was given: list of (head, column)."""
    twin = copy.deepcopy(architecture.model)
    twin.set_attn_implementation("eager")
    modules = dict(zip(architecture.model.modules(), twin.modules(), strict=True))
    steps = {}

    def keep(call):
        output, weights = call.run()
        steps.setdefault(call.layer, []).append(weights[0, :, -1])
        return output, weights

    numbers, _ = architecture.numbered(part)
    with torch.no_grad(), tapped({modules[module]: n for module, n in numbers.items()}, keep):
        return steps, generate(architecture, twin)


@everywhere(PARTS)
def test_rows_equal_the_eager_kernels_weights(architecture, part):
    calls, _ = eager_pass(architecture, part)
    layers = len(architecture.attention[part])
    expected = [dense_maps(calls, layer, [call.weights for call in calls]) for layer in range(layers)]
    for layer, maps in enumerate(expected):
        rows, columns = torch.arange(0, len(maps), 2), torch.arange(1, maps.shape[2], 3)
        kept = ChosenRows(rows, columns)
        run(architecture, part, lambda call, layer=layer, kept=kept: heard(call, layer, kept))
        torch.testing.assert_close(kept.weights()[:, 0], maps[rows][:, :, columns], atol=1e-5, rtol=0)
        assert maps.std() > 0.01


def heard(call, layer, handler):
    return handler(call) if call.layer == layer else call.run()


@everywhere(PARTS)
def test_the_rows_reproduce_what_the_kernel_computes(architecture, part):
    errors = []

    def compare(call):
        output, weights = call.run()
        value = call.value.repeat_interleave(call.query.shape[1] // call.value.shape[1], 1)
        read = (call.rows(slice(None)) @ value).transpose(1, 2)
        errors.append(((read - output).norm() / output.norm()).item())
        return output, weights

    run(architecture, part, compare)
    assert len(errors) >= len(architecture.attention[part])
    assert max(errors) < 5e-6


@everywhere(PARTS)
def test_the_kernel_is_left_in_place(architecture, part):
    with torch.no_grad():
        plain = architecture.model(**architecture.inputs, use_cache=False).logits
    whole = ChosenRows(torch.tensor([0]), torch.tensor([0]))
    assert torch.equal(run(architecture, part, whole).logits, plain)


@everywhere(GENERATING)
@pytest.mark.parametrize("deferred", [True, False], ids=["deferred", "immediate"])
def test_rows_of_cached_decoding_equal_the_eager_kernels(architecture, part, deferred):
    steps, ids = eager_steps(architecture, part)
    length = steps[0][0].shape[-1]
    columns = torch.arange(0, length, 2)
    watch = RowWatch(columns, deferred=deferred, cross=part == "cross")
    numbers, _ = architecture.numbered(part)
    with torch.no_grad(), tapped(numbers, watch):
        found = generate(architecture, architecture.model)
    assert torch.equal(found, ids)
    rows = watch.stacked(STEPS)
    for layer, weights in steps.items():
        for step, shares in enumerate(weights):
            dropped = 0 if part == "cross" else max(0, length + step - shares.shape[-1])
            held = columns >= dropped
            torch.testing.assert_close(
                rows[step, layer][:, held], shares[:, columns[held] - dropped], atol=1e-5, rtol=0
            )
            assert rows[step, layer][:, ~held].eq(0).all()


@pytest.mark.parametrize("architecture", ["llava_llama", "mllama", "blip2", "florence2"], indirect=True)
def test_a_wrong_scale_is_noticed(architecture):
    """The comparison above can fail: rows of a kernel that scales differently are not these rows."""
    calls, _ = eager_pass(architecture, "decoder")
    for module in architecture.attention["decoder"]:
        name = "scaling" if hasattr(module, "scaling") else "scale"
        right = getattr(module, name)
        setattr(module, name, right * 1.01)
        try:
            kept = ChosenRows(torch.arange(len(calls[0].weights[0, 0])), torch.arange(3))
            run(architecture, "decoder", kept)
        finally:
            setattr(module, name, right)
        expected = torch.stack(
            [dense_maps(calls, n, [c.weights for c in calls])[:, :, :3] for n in (0, 1)], 1
        )
        assert (kept.weights()[:, :2] - expected).abs().max() > 1e-4


@pytest.mark.parametrize(("name", "calls"), [("qwen2_vl", [2, 2]), ("qwen2_5_vl", [4, 1])])
def test_windows_and_images_are_calls_of_their_own(name, calls):
    layers = []
    run(built(name), "vision", lambda call: (layers.append(call.layer), call.run())[1])
    assert [layers.count(layer) for layer in (0, 1)] == calls


def test_the_callers_random_state_is_untouched():
    before = torch.get_rng_state()
    build("florence2")
    assert torch.equal(torch.get_rng_state(), before)
