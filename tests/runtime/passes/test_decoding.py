"""However a model decodes, what is read beside its answer is eager attention's; and how it ended is known."""

import copy

import numpy as np
import pytest
import torch
import transformers
from packaging.version import Version

from groundviz import explain, explain_more, images, models
from groundviz.errors import OptionError, UnknownName
from groundviz.runtime import borrow
from groundviz.runtime.passes.generation_settings import REFUSED, checked
from groundviz.testing.families import TINY
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

pytestmark = pytest.mark.filterwarnings("ignore:`hidden_state` is deprecated:FutureWarning")
SOURCE_IMAGE = images.load(np.random.default_rng(3).random((61, 37), dtype=np.float32))
QUESTION = "Is there a nodule?"
DECODING = {
    "greedy": {},
    "sampled": {"do_sample": True, "temperature": 1.7, "top_k": 0},
    "beams": {"num_beams": 3},
    "sampled beams": {"num_beams": 3, "do_sample": True, "temperature": 1.5},
    "penalised": {"repetition_penalty": 1.5, "no_repeat_ngram_size": 2},
    "without a cache": {"use_cache": False},
    "static cache": {"cache_implementation": "static"},
}


def tiny(kind="llava", tokens=4):
    model, processor = TINY[kind]()
    model.generation_config.max_new_tokens = tokens
    # Like a trained model, it says no control token, of which a further pass would make an image.
    model.get_output_embeddings().weight.data[:5] = 0.0
    return models.resolve(model, processor)


def answered(vlm, seed=0, **settings):
    with borrow(vlm, seed=seed) as live:
        return live.answer(live.encode(SOURCE_IMAGE, QUESTION), generation=checked(settings))


def by_eager(model, live, answer):
    """Rows (token, layer, head, column) and log-probabilities of a pass of transformers' eager kernel."""
    passes = live._passes
    twin = copy.deepcopy(model)
    twin.set_attn_implementation("eager")
    inputs = passes.teacher_forced_inputs(answer.token_ids.tolist())
    with torch.no_grad():
        output = twin(**inputs, output_attentions=True)
    every = getattr(output, "language_model_outputs", output).attentions
    attending = [live._parts.decoder_attention.index(module) for module in live._parts.attending]
    count = len(answer.token_ids)
    rows = torch.stack([every[layer][0][:, -count - 1 : -1][..., passes.columns] for layer in attending])
    chosen = torch.log_softmax(output.logits[0, -count - 1 : -1].float(), -1)
    ids = torch.from_numpy(answer.token_ids)
    return rows.permute(2, 0, 1, 3), chosen[torch.arange(count), ids].numpy()


OLD = Version(transformers.__version__) < Version("5.24")


@pytest.mark.parametrize("how", DECODING)
@pytest.mark.parametrize("kind", ["llava", "gemma3", "qwen2_vl", "mllama", "blip2"])
def test_rows_and_log_probabilities_are_those_of_eager_attention(kind, how):
    if kind == "mllama" and how in ("penalised", "static cache") and OLD:
        pytest.skip("transformers before 5.24 cannot generate so with mllama itself")
    vlm = tiny(kind)
    with borrow(vlm, seed=2) as live:
        prompt = live.encode(SOURCE_IMAGE, QUESTION)
        answer = live.answer(prompt, generation=checked(DECODING[how]))
        rows, logprobs = by_eager(vlm.model, live, answer)
        assert live._attention.shape == rows.shape
        torch.testing.assert_close(live._attention.float(), rows, atol=1e-5, rtol=0)
        assert len(live._question) == len(prompt.asked)
    np.testing.assert_allclose(answer.logprobs, logprobs, atol=1e-4)


def test_the_answer_of_beams_is_the_one_that_transformers_gives():
    vlm = tiny(tokens=6)
    greedy, beams = answered(vlm), answered(vlm, num_beams=4, length_penalty=2.0)
    plain = vlm.model.generate(**vlm.inputs(SOURCE_IMAGE, QUESTION), num_beams=4, length_penalty=2.0)
    assert beams.token_ids.tolist() == plain[0, -len(beams.token_ids) :].tolist()
    assert beams.token_ids.tolist() != greedy.token_ids.tolist()


def test_sampling_starts_from_the_seed_and_leaves_the_callers_numbers_alone():
    vlm = tiny(tokens=8)
    settings = {"do_sample": True, "temperature": 2.0}
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    answers = [answered(vlm, seed, **settings).token_ids.tolist() for seed in (5, 5, 6)]
    assert answers[0] == answers[1] != answers[2]
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("kind", ["llava", "blip2", "mllama", "qwen2_vl"])
@pytest.mark.parametrize("beams", [1, 3])
def test_an_end_token_is_told_from_the_end_of_the_room(kind, beams):
    vlm = tiny(kind)
    cut = answered(vlm, num_beams=beams)
    assert len(cut.token_ids) == 4
    assert cut.finished is False
    # With its second token for one of two end tokens it ends there.
    end = int(cut.token_ids[1])
    ended = answered(vlm, num_beams=1, eos_token_id=[1, int(answered(vlm).token_ids[1])])
    assert (len(ended.token_ids), ended.finished) == (2, True)
    if beams > 1:
        last = answered(vlm, num_beams=beams, eos_token_id=[1, end])
        assert last.finished is (int(last.token_ids[-1]) in (1, end))


def test_an_end_token_in_the_last_place_ends_an_answer():
    vlm = tiny()
    end = int(answered(vlm).token_ids[-1])
    ended = answered(vlm, eos_token_id=end)
    assert ended.finished is True
    assert ended.token_ids[-1] == end


def test_a_model_without_an_end_token_is_cut_off_and_a_forced_one_is_no_end():
    vlm = tiny()
    end = vlm.model.generation_config.eos_token_id
    vlm.model.generation_config.eos_token_id = None
    assert answered(vlm).finished is False
    vlm.model.generation_config.eos_token_id = end
    forced = answered(vlm, forced_eos_token_id=end)
    assert forced.token_ids[-1] == end
    assert forced.finished is False


def test_settings_of_the_model_and_of_the_call_are_told():
    model = tiny_llava()
    model.generation_config.update(max_new_tokens=3, do_sample=True, temperature=0.5)
    processor = tiny_llava_processor(model)

    def told(**options):
        explained = explain(
            model, SOURCE_IMAGE, QUESTION, processor=processor, methods="attention", certify=False, **options
        )
        return dict(explained.record.provenance.generation)

    assert told() == {
        "max_new_tokens": 3, "do_sample": True, "temperature": 0.5, "top_k": 50, "top_p": 1.0,
    }  # fmt: skip
    assert told(generation={"do_sample": False, "max_new_tokens": 2}) == {"max_new_tokens": 2}
    assert told(generation={"do_sample": False, "num_beams": 2}) == {"max_new_tokens": 3, "num_beams": 2}
    assert told(answer="nodule") == {}


@pytest.mark.parametrize("how", ["sampled", "beams"])
def test_more_methods_are_measured_on_such_an_answer_without_asking_again(how, monkeypatch):
    vlm = tiny()
    first = explain(
        vlm, SOURCE_IMAGE, QUESTION, methods="attention", generation=DECODING[how], seed=4, certify=False
    )
    monkeypatch.setattr(type(vlm.model), "generate", None)
    more = explain_more(first, vlm, "token_ablation")
    assert more.methods == ("attention", "token_ablation")
    assert more.record.provenance.generation == first.record.provenance.generation
    assert more.answer.finished is first.answer.finished is False


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"max_new_token": 3}, UnknownName, "did you mean max_new_tokens"),
        ({3: 3}, UnknownName, "no generation setting 3"),
        ({"max_new_tokens": 0}, OptionError, "is 0: expected a whole number from 1"),
        ({"max_new_tokens": True}, OptionError, "expected a whole number"),
        ({"max_new_tokens": "9"}, OptionError, "is '9': expected a whole number"),
        ({"do_sample": 1}, OptionError, "expected True or False"),
        ({"do_sample": True, "temperature": 0.0}, OptionError, "expected a number above 0"),
        ({"do_sample": True, "temperature": float("nan")}, OptionError, "expected a number above 0"),
        ({"do_sample": True, "top_p": 1.2}, OptionError, "above 0, at most 1"),
        ({"eos_token_id": []}, OptionError, "a token id or a list of them"),
        ({"stop_strings": [""]}, OptionError, "a text or a list of texts"),
        ({"num_return_sequences": 2}, OptionError, "an explanation is of one answer"),
        ({"max_length": 9, "max_new_tokens": 3}, OptionError, "expected one"),
        ("num_beams", OptionError, "of type str: expected a table"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, error, says):
    with pytest.raises(error, match=says):
        checked(settings)


@pytest.mark.parametrize("name", REFUSED)
def test_what_breaks_the_reading_is_refused_with_the_reason_and_may_be_switched_off(name):
    with pytest.raises(OptionError) as refusal:
        checked({name: 2})
    assert REFUSED[name] in str(refusal.value)
    assert checked({name: None}) == {name: None}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"temperature": 0.3}, "temperature does nothing without do_sample=True"),
        ({"length_penalty": 2.0}, "length_penalty does nothing without num_beams"),
        ({"max_length": 5}, "max_length is 5, and the prompt has 25 tokens"),
        ({"min_new_tokens": 9}, "at most 4 tokens"),
        ({"bad_words_ids": [[10**6]]}, "cannot generate with these settings"),
    ],
)
def test_settings_that_do_nothing_or_fail_in_the_model_are_refused(settings, says):
    with pytest.raises(OptionError, match=says):
        answered(tiny(), **settings)


def test_a_model_whose_own_settings_cannot_be_read_beside_is_refused_until_they_are_switched_off():
    vlm = tiny()
    vlm.model.generation_config.prompt_lookup_num_tokens = 3
    with pytest.raises(OptionError, match="own generation settings hold prompt_lookup_num_tokens"):
        answered(vlm)
    assert len(answered(vlm, prompt_lookup_num_tokens=None).token_ids) == 4


def test_no_more_tokens_are_asked_for_than_the_model_has_positions_for():
    vlm = tiny()
    vlm.model.config.text_config.max_position_embeddings = 30
    answer = answered(vlm, max_new_tokens=100)
    assert (len(answer.token_ids), answer.finished) == (5, False)
