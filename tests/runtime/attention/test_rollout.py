"""Streamed rollout against the product of whole matrices."""

import pytest
import torch

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention import propagation
from groundviz.runtime.attention.rollout import Rollout
from groundviz.runtime.attention.tap import tapped
from tests.runtime.attention.test_relevancy import FOLLOWED, dense, one_hot, rows_of, stream_of
from tests.runtime.dense import built

# transformers 5.17 warns of a name that its own code still uses.
pytestmark = pytest.mark.filterwarnings("ignore:`hidden_state` is deprecated:FutureWarning")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of five rows, so that even tiny models have several."""
    monkeypatch.setattr(propagation, "CHUNK", 5)


def rolled(architecture, parts, starts):
    numbers, flows = architecture.numbered(*parts)
    handler = Rollout(flows, architecture.origins)
    with torch.no_grad(), tapped(numbers, handler):
        architecture.model(**architecture.inputs, use_cache=False)
    return handler.of({stream_of(architecture, parts): starts})


@pytest.mark.parametrize("name", FOLLOWED)
def test_rollout_equals_the_dense_product(name):
    architecture, parts = built(name), FOLLOWED[name]
    size = rows_of(architecture, parts)
    chosen = [size - 2, size - 5]
    found = rolled(architecture, parts, one_hot(chosen, size))
    expected = dense(architecture, parts, weigh=False, kept=0.5, passed=0.5)
    for number, row in enumerate(chosen):
        for stream, values in expected.rows(stream_of(architecture, parts), row).items():
            mine = found[stream][number] if stream in found else torch.zeros(0)
            torch.testing.assert_close(mine, values[: len(mine)], atol=1e-5, rtol=0)
            assert values[len(mine) :].eq(0).all()


def test_mass_is_kept():
    architecture = built("mllama")
    size = rows_of(architecture)
    found = rolled(architecture, ("decoder", "cross"), one_hot([size - 1], size))
    assert sum(values.sum() for values in found.values()).item() == pytest.approx(1.0, abs=1e-5)
    assert found["image"].sum() > 0.1


@pytest.mark.parametrize("name", ["llava_llama", "llava_qwen2", "mllama", "idefics2"])
def test_token_by_token_gives_the_same_as_one_pass(name):
    architecture = built(name)
    parts = ("decoder", "cross") if name == "mllama" else ("decoder",)
    numbers, flows = architecture.numbered(*parts)
    handler = Rollout(flows)
    with torch.no_grad(), tapped(numbers, handler):
        ids = architecture.model.generate(**architecture.inputs, max_new_tokens=5, min_new_tokens=5)
    start = one_hot([ids.shape[1] - 2], ids.shape[1])
    stepwise = handler.of({"text": start})["text"]
    inputs = {**architecture.inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if name == "mllama":
        seen = architecture.inputs["cross_attention_mask"]
        tail = seen[:, -1:].expand(-1, ids.shape[1] - seen.shape[1], -1, -1)
        inputs["cross_attention_mask"] = torch.cat([seen, tail], dim=1)
    handler = Rollout(flows)
    with torch.no_grad(), tapped(numbers, handler):
        architecture.model(**inputs, use_cache=False)
    torch.testing.assert_close(stepwise, handler.of({"text": start})["text"], atol=1e-5, rtol=0)


def test_keys_that_were_dropped_on_the_way_are_refused():
    architecture = built("llava_mistral")
    numbers, _ = architecture.numbered("decoder")
    handler = Rollout()
    with torch.no_grad(), tapped(numbers, handler):
        architecture.model.generate(**architecture.inputs, max_new_tokens=4, min_new_tokens=4)
    with pytest.raises(UnsupportedMethod, match="in one pass"):
        handler.of({"text": one_hot([29], 30)})


def test_rollout_without_a_call_is_refused():
    with pytest.raises(UnsupportedMethod, match="compiled"):
        Rollout().of({"text": torch.ones(1, 3)})
