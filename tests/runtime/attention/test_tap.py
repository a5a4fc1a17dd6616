import copy
import threading

import pytest
import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention.tap import tapped
from groundviz.testing.tiny.llava import tiny_llava

IDS = torch.arange(6, 20)[None]


def decoder_modules(model):
    layers = model.get_decoder().layers
    return {layer.self_attn: number for number, layer in enumerate(layers)}


def registry_state():
    return dict(ALL_ATTENTION_FUNCTIONS._local_mapping), dict(ALL_ATTENTION_FUNCTIONS._global_mapping)


def test_logits_are_bit_identical_while_tapped():
    model = tiny_llava()
    with torch.no_grad():
        plain = model(input_ids=IDS).logits
        with tapped(decoder_modules(model), lambda call: call.run()):
            heard = model(input_ids=IDS).logits
    assert torch.equal(plain, heard)


@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
def test_rows_equal_eager_attention(kernel):
    model, rows = tiny_llava(layers=3), {}
    eager = copy.deepcopy(model)
    eager.set_attn_implementation("eager")
    model.set_attn_implementation(kernel)

    def keep(call):
        rows[call.layer] = call.rows(slice(None))
        return call.run()

    with torch.no_grad(), tapped(decoder_modules(model), keep):
        model(input_ids=IDS)
    expected = eager(input_ids=IDS, output_attentions=True).attentions
    assert len(rows) == 3
    for layer, shares in enumerate(expected):
        torch.testing.assert_close(rows[layer], shares, atol=1e-5, rtol=0)


def test_the_rows_reproduce_the_kernels_output():
    model, worst = tiny_llava(), []

    def compare(call):
        output, weights = call.run()
        groups = call.query.shape[1] // call.value.shape[1]
        read = call.rows(slice(None)) @ call.value.repeat_interleave(groups, 1)
        worst.append((read.transpose(1, 2) - output).abs().max().item())
        return output, weights

    with torch.no_grad(), tapped(decoder_modules(model), compare):
        model(input_ids=IDS)
    assert len(worst) == 2
    assert max(worst) < 1e-5


def test_the_registry_is_as_before_also_after_an_error():
    model, before = tiny_llava(), registry_state()

    def stumble(call):
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"), tapped(decoder_modules(model), stumble):
        model(input_ids=IDS)
    assert registry_state() == before


def test_a_users_own_override_of_the_registry_survives():
    model, calls = tiny_llava(), []
    original = ALL_ATTENTION_FUNCTIONS["sdpa"]

    def users(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    ALL_ATTENTION_FUNCTIONS["sdpa"] = users
    try:
        with torch.no_grad(), tapped(decoder_modules(model), lambda call: call.run()):
            model(input_ids=IDS)
        assert ALL_ATTENTION_FUNCTIONS["sdpa"] is users
        assert len(calls) == 2
    finally:
        del ALL_ATTENTION_FUNCTIONS["sdpa"]


def test_two_models_tapped_in_two_threads_hear_only_themselves():
    models, heard, failures = [tiny_llava(seed) for seed in (0, 1)], {0: 0, 1: 0}, []
    start = threading.Barrier(2)

    def listen(number):
        def count(call):
            heard[number] += 1
            return call.run()

        start.wait()
        try:
            for _ in range(20):
                with torch.no_grad(), tapped(decoder_modules(models[number]), count):
                    models[number](input_ids=IDS)
        except Exception as error:
            failures.append(error)

    before = registry_state()
    threads = [threading.Thread(target=listen, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert heard == {0: 40, 1: 40}
    assert registry_state() == before


def test_a_module_outside_the_registry_is_refused():
    class Homemade(torch.nn.Module):
        config = None

    with pytest.raises(UnsupportedMethod, match="attention registry"):
        with tapped({Homemade(): 0}, lambda call: call.run()):
            pass
