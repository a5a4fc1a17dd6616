"""The key-value cache under the name that the installed release of transformers has for it."""

from types import SimpleNamespace

import pytest
import torch
from transformers.cache_utils import Cache, DynamicCache

from groundviz.runtime.passes.kv_cache import cache_of, on_cache, prompt_cache
from tests.runtime.dense import built
from tests.support.architectures import ARCHITECTURES

# Transformers 5.17 itself calls Llama 3.2's layers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`hidden_state` is deprecated:FutureWarning")


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_every_architecture_hands_over_its_cache(name, transformers_says):
    architecture = built(name)
    cache = cache_of(architecture.model(**architecture.inputs, use_cache=True))
    if name.startswith("blip2"):  # It passes its language model's output on whole.
        cache = cache_of(architecture.model(**architecture.inputs, use_cache=True).language_model_outputs)
    assert isinstance(cache, Cache)
    assert transformers_says == []


@pytest.mark.parametrize("name", ["llava_llama", "llava_qwen2", "llava_mistral", "idefics2", "smolvlm"])
@torch.no_grad()
def test_a_pass_goes_on_from_the_cache_of_another(name, transformers_says):
    architecture = built(name)
    model, inputs = architecture.model, dict(architecture.inputs)
    cache = cache_of(model(**inputs, use_cache=True))
    ids = torch.cat([inputs["input_ids"], torch.tensor([[7]])], dim=1)
    mask = torch.ones_like(ids)
    on = model(input_ids=ids[:, -1:], attention_mask=mask, use_cache=True, **on_cache(model, cache))
    whole = model(**{**inputs, "input_ids": ids, "attention_mask": mask}, use_cache=False)
    torch.testing.assert_close(on.logits[:, -1], whole.logits[:, -1], atol=1e-4, rtol=1e-4)
    assert transformers_says == []


def test_a_pass_that_keeps_no_cache_has_none_and_nothing_is_logged(transformers_says):
    architecture = built("llava_llama")
    assert cache_of(architecture.model(**architecture.inputs, use_cache=False)) is None
    assert transformers_says == []


@pytest.mark.parametrize("kept", ["cache", "past_key_values"])
def test_both_names_are_known_whatever_is_installed(kept):
    cache = DynamicCache()
    assert cache_of(SimpleNamespace(**{kept: cache})) is cache
    forwards = {"cache": lambda cache=None: None, "past_key_values": lambda past_key_values=None: None}
    assert on_cache(SimpleNamespace(forward=forwards[kept]), cache) == {kept: cache}


def test_a_model_without_such_an_option_is_no_model_to_go_on_with():
    assert on_cache(SimpleNamespace(forward=lambda input_ids: None), DynamicCache()) is None
    assert cache_of((torch.zeros(1),)) is None


@torch.no_grad()
def test_the_prompts_part_is_left_as_it_is_by_what_is_appended():
    architecture = built("llava_llama")
    cache = cache_of(architecture.model(**architecture.inputs, use_cache=True))
    part = prompt_cache(cache, 5)
    architecture.model(input_ids=torch.tensor([[7, 8]]), use_cache=True, **on_cache(architecture.model, part))
    assert part.get_seq_length() == 7
    assert cache.get_seq_length() == architecture.inputs["input_ids"].shape[1]
