"""Further methods on an answer that is there already: the same maps, from the model that answered alone."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

import groundviz
from groundviz import models
from groundviz.errors import OptionError, UnknownName, UnsupportedMethod, UnsupportedModel
from groundviz.explain import explain, explain_more
from groundviz.record.types import Samples
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

QUESTION = "Is there a nodule?"
GIVEN = "left lung nodule and no effusion"


@pytest.fixture
def tiny():
    model = tiny_llava()
    model.generation_config.max_new_tokens = 9
    return models.resolve(model, tiny_llava_processor(model))


def values(explanation, method):
    return [maps.values for maps in explanation.record.heatmaps if maps.method == method]


@pytest.mark.parametrize("method", ["token_ablation", "rise", "relevancy", "grad_cam"])
def test_maps_are_those_that_explain_would_have_made(tiny, source_image, method):
    asked = explain(tiny, source_image, QUESTION, seed=5, methods="attention")
    more = explain_more(asked, tiny, method)
    whole = explain(tiny, source_image, QUESTION, seed=5, methods=["attention", method])
    assert more.methods == whole.methods == ("attention", method)
    for found, wanted in zip(values(more, method), values(whole, method), strict=True):
        assert np.array_equal(found, wanted, equal_nan=True)
    assert asked.methods == ("attention",)


def test_an_explanation_adds_methods_itself(tiny, source_image):
    asked = explain(tiny, source_image, QUESTION, seed=5, methods="attention")
    told: list[tuple[str, int, int]] = []
    more = asked.add(
        tiny.model, "token_ablation", processor=tiny.processor, tell=lambda *far: told.append(far)
    )
    same = explain_more(asked, tiny, "token_ablation")
    assert more.methods == same.methods == ("attention", "token_ablation")
    assert np.array_equal(*(values(one, "token_ablation")[0] for one in (more, same)), equal_nan=True)
    assert asked.methods == ("attention",)
    assert told
    with pytest.raises(UnknownName, match="no method called 'rize'"):
        asked.add(tiny, "rize")


def test_attention_is_read_again_without_generating(tiny, source_image, monkeypatch):
    asked = explain(tiny, source_image, QUESTION, methods="token_ablation")
    monkeypatch.setattr(type(tiny.model), "generate", None)
    more = explain_more(asked, tiny, ["attention", "gradient_attention"])
    monkeypatch.undo()
    whole = explain(tiny, source_image, QUESTION, methods=["attention", "gradient_attention"])
    for method in whole.methods:
        for found, wanted in zip(values(more, method), values(whole, method), strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_targets_contrasts_and_given_answers_are_those_of_the_record(tiny, source_image):
    asked = explain(
        tiny, source_image, QUESTION, answer=GIVEN, target=["nodule", "effusion"], against="opacity"
    )
    more = explain_more(asked, tiny, "token_ablation").record
    assert more.targets == asked.record.targets
    assert more.answer is asked.record.answer
    assert all(more.heatmaps[-1].has(target) for target in more.targets)


def test_a_method_measured_again_takes_its_old_place(tiny, source_image):
    asked = explain(tiny, source_image, QUESTION, methods=["token_ablation", "attention"])
    again = explain_more(asked, tiny, {"token_ablation": {"block": 1}, "grad_cam": {}})
    assert again.methods == ("token_ablation", "attention", "grad_cam")
    [maps] = [maps for maps in again.record.heatmaps if maps.method == "token_ablation"]
    assert maps.params["block"] == 1
    assert again.record.provenance.seconds > asked.record.provenance.seconds


def test_what_was_saved_can_be_measured_further(tiny, source_image, tmp_path):
    asked = explain(tiny, source_image, QUESTION, methods="attention")
    opened = groundviz.open(asked.save(tmp_path / "case.gvz"))
    found = explain_more(opened, tiny, "rise")
    assert np.array_equal(values(found, "rise")[0], values(explain_more(asked, tiny, "rise"), "rise")[0])
    assert groundviz.open(found.save(tmp_path / "more.gvz")).methods == ("attention", "rise")


def test_other_weights_are_refused(tiny, source_image):
    asked = explain(tiny, source_image, QUESTION, methods="attention")
    with torch.no_grad():
        tiny.model.lm_head.weight += 1
    with pytest.raises(UnsupportedModel, match="not the model that answered: its weights"):
        explain_more(asked, tiny, "rise")


def test_another_prompt_is_refused(tiny, source_image):
    asked = explain(tiny, source_image, QUESTION, methods="attention")
    other = replace(asked.record, prompt=replace(asked.record.prompt, question="Is there an effusion?"))
    with pytest.raises(UnsupportedModel, match="another model or processor: it makes"):
        explain_more(type(asked)(other), tiny, "rise")


def test_a_processor_that_shows_the_model_another_image_is_refused(tiny, source_image):
    asked = explain(tiny, source_image, QUESTION, methods="attention")
    processor = copy.deepcopy(tiny.processor)
    processor.image_processor.image_mean = [0.0, 0.9, 0.1]
    with pytest.raises(UnsupportedModel, match=r"sees another image: .* has log-probability"):
        explain_more(asked, tiny.model, "rise", processor=processor)


def test_cells_elsewhere_are_refused(tiny, source_image):
    asked = explain(tiny, source_image, QUESTION, methods="attention")
    [grid] = asked.record.prompt.grids
    moved = replace(asked.record.prompt, grids=(replace(grid, to_source=grid.to_source + 1.0),))
    with pytest.raises(UnsupportedModel, match="lays the cells elsewhere"):
        explain_more(type(asked)(replace(asked.record, prompt=moved)), tiny, "rise")


def test_mistakes_are_named_as_in_explain(tiny, source_image):
    asked = explain(tiny, source_image, QUESTION, answer=GIVEN, target="nodule", against="opacity")
    with pytest.raises(UnknownName, match="Did you mean 'rise'"):
        explain_more(asked, tiny, "risee")
    with pytest.raises(UnsupportedMethod, match="no scalar"):
        explain_more(asked, tiny, "attention")


def test_a_listener_hears_how_far_it_is_and_the_model_stays_as_it_was(tiny, source_image, capsys):
    asked = explain(tiny, source_image, QUESTION, methods="attention")
    before, heard = fingerprint(tiny.model), []
    explain_more(asked, tiny, "rise", tell=lambda *now: heard.append(now))
    doing = list(dict.fromkeys(what for what, _, _ in heard))
    assert doing == ["reading the answer", "measuring rise", "rise"]
    steps = list(dict.fromkeys(now[1:] for now in heard if now[0] == "rise"))
    assert steps == [(done, 1920) for done in range(0, 16 * len(steps), 16)]
    assert 480 <= 16 * len(steps) <= 1920
    # Each layer of each pass is heard of, so a listener can end even a single long one.
    assert len(heard) > 2 * len(steps)
    assert not difference(before, fingerprint(tiny.model))
    assert capsys.readouterr().err == ""


def test_a_listener_that_interrupts_keeps_what_is_there(tiny, source_image):
    asked = explain(tiny, source_image, QUESTION, methods="attention")
    before = fingerprint(tiny.model)
    pending = [True]

    def tell(doing, done, total):
        if done >= 32 and pending:
            pending.clear()
            raise KeyboardInterrupt

    with pytest.warns(RuntimeWarning, match=r"the result rests on 32 of 1920 steps"):
        found = explain_more(asked, tiny, ["rise", "occlusion"], tell=tell)
    assert found.methods == ("attention", "rise")
    assert found.record.heatmaps[-1].params["masks_done"] == 32
    assert found.record.heatmaps[-1].samples == Samples(done=32, asked=1920)
    assert found.record.unmeasured == ("occlusion",)
    # What is measured later is no longer missing, and what is left out again stays so.
    again = explain_more(found, tiny, {"occlusion": {"window": 14}})
    assert again.record.unmeasured == ()
    assert not difference(before, fingerprint(tiny.model))


@pytest.mark.parametrize("when", ["reading the answer", "measuring rise", "rise"])
def test_a_listener_that_interrupts_before_there_is_anything_gets_nothing(tiny, source_image, when):
    asked = explain(tiny, source_image, QUESTION, methods="attention")
    before = fingerprint(tiny.model)

    def tell(doing, done, total):
        if doing == when:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explain_more(asked, tiny, "rise", tell=tell)
    assert not difference(before, fingerprint(tiny.model))


def test_nothing_to_measure_is_no_method(tiny, source_image):
    asked = explain(tiny, source_image, QUESTION, methods="attention")
    for more in (lambda: asked.add(tiny, None), lambda: explain_more(asked, tiny, None)):
        with pytest.raises(OptionError, match="methods is None: expected what to measure"):
            more()
