"""The certificate: what it tests, what it finds, what it costs, and how explain() uses it."""

import gc
import sys
import threading
import warnings
from dataclasses import replace
from functools import wraps

import pytest
import torch

import groundviz
from groundviz import models
from groundviz.errors import ModelBusy, NumericalError, UnsupportedMethod, UnsupportedModel
from groundviz.models.certification import kernel_check
from groundviz.render.base.captions import made_with
from groundviz.runtime import borrow
from groundviz.runtime.attention import rows as attention_rows
from groundviz.testing.families import TINY
from groundviz.testing.fingerprint import difference, fingerprint

certifying = sys.modules["groundviz.models.certification.run"]

# Transformers 5.17 itself calls Llama 3.2's layers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`hidden_state` is deprecated:FutureWarning")


def built(kind="llava", dtype=torch.float32):
    model, processor = TINY[kind]()
    return models.resolve(model.to(dtype), processor)


def mirrored(vlm):
    """A processor that shows the model every image left for right."""
    pixels = type(vlm.processor.image_processor)
    preprocess = pixels.preprocess

    def backwards(self, images, *args, **options):
        turned = [image.transpose(0) for image in (images if isinstance(images, list) else [images])]
        return preprocess(self, turned, *args, **options)

    own = type(pixels.__name__, (pixels,), {"preprocess": backwards})
    vlm.processor.image_processor.__class__ = own
    return vlm


def test_a_model_that_is_right_is_certified_with_numbers():
    certificate = groundviz.certify(built(), shapes=[(61, 45), (37, 83)])
    assert certificate.passed
    assert certificate.verdict == "certified"
    assert list(certificate.steps) == ["pixels", "vision", "projector", "language"]
    assert 0 < certificate.steps["pixels"] < 0.1
    assert max(certificate.steps[stage] for stage in ("vision", "projector", "language")) < 1e-5
    names = [check.name for check in certificate.checks]
    assert names == [
        "geometry",
        "completeness",
        "coverage",
        "blocks",
        "tokens",
        "length",
        "first steps",
        "rows",
    ]
    assert certificate.seconds > 0


def test_the_report_is_a_few_plain_lines():
    certificate = groundviz.certify(built("llava with a class token"), shapes=[(61, 45)])
    head, *lines = str(certificate).splitlines()
    assert head.startswith("LlavaForConditionalGeneration (llava): certified, in ")
    assert lines == [f"  {line}" for line in certificate.says]
    assert lines[-1] == f"  Never seen: {certificate.unseen[0]:.0%} of 61 by 45 pixels."
    assert all(line.endswith(".") for line in lines)


@pytest.mark.parametrize(("shape", "share"), [((61, 45), 16 / 61), ((45, 61), 16 / 61), ((41, 41), 0.0)])
def test_what_a_crop_hides_is_told(shape, share):
    assert groundviz.certify(built("llava with a class token"), shapes=[shape]).unseen == (
        pytest.approx(share, abs=0.02),
    )
    assert groundviz.certify(built(), shapes=[shape]).unseen == (0.0,)


@pytest.mark.parametrize("kind", ["llava", "llava_onevision", "mllama", "qwen2_5_vl", "idefics2"])
def test_short_numbers_are_read_as_well(kind):
    certificate = groundviz.certify(built(kind, torch.bfloat16))
    assert certificate.passed, str(certificate)


@pytest.mark.parametrize("kind", ["llava", "mllama", "blip2"])
def test_the_model_comes_back_as_it_was(kind):
    vlm = built(kind)
    vlm.model.train()
    vlm.model.requires_grad_(True)
    before = fingerprint(vlm.model)
    groundviz.certify(vlm)
    assert difference(before, fingerprint(vlm.model)) == []


def test_two_passes_of_the_whole_model_and_two_steps_and_no_more():
    vlm, shown = built(), []
    vlm.model.model.language_model.register_forward_pre_hook(
        lambda module, args, options: shown.append(options["inputs_embeds"].shape[1] > 1), with_kwargs=True
    )
    groundviz.certify(vlm)
    # Two passes with gradients and two with blocks end where the decoder begins.
    assert sorted(shown) == [False] * 2 + [True] * (2 + 2 + 2)


def test_images_suit_the_model():
    assert groundviz.certify(built("gemma3")).shapes == ((123, 91), (83, 167))
    assert all(side % 2 for shape in groundviz.certify("demo").shapes for side in shape)


def test_a_mirrored_image_is_found():
    certificate = groundviz.certify(mirrored(built()))
    assert not certificate.passed
    assert certificate.verdict.startswith("geometry off by up to 3.")
    assert "processor 3." in certificate.says[0]


def test_attention_of_another_scale_is_found(monkeypatch):
    scores = attention_rows.scores

    def larger(query, key, scale, *more, **options):
        return scores(query, key, scale * 1.1, *more, **options)

    monkeypatch.setattr(attention_rows, "scores", larger)
    assert groundviz.certify(built()).verdict == "attention rows are not those of the model's kernel"


@pytest.mark.parametrize("settings", [{"num_beams": 3}, {"num_beams": 2, "num_return_sequences": 2}])
def test_a_model_that_searches_with_beams_is_compared_on_one_path(settings):
    vlm = built()
    vlm.model.generation_config.update(**settings)
    assert groundviz.certify(vlm, shapes=[(61, 45)]).verdict == "certified"


def test_inputs_that_generate_adds_to_are_found(monkeypatch):
    """Without their kinds, a plain pass has image tokens see only what stands before them."""
    vlm = built("gemma3")
    forward = type(vlm.model).forward

    @wraps(forward)
    def other(self, *args, use_cache=None, **options):
        if use_cache is False:
            options["token_type_ids"] = torch.zeros_like(options["token_type_ids"])
        return forward(self, *args, use_cache=use_cache, **options)

    monkeypatch.setattr(type(vlm.model), "forward", other)
    assert groundviz.certify(vlm).verdict == "a forward pass is not what generate computes"


def test_an_answer_that_leaks_into_the_prompt_is_found(monkeypatch):
    """PaliGemma's prompt sees both ways: an answer that counts as prompt is seen before it is generated."""
    vlm = built("paligemma")
    encode = type(vlm.family).encode
    monkeypatch.setattr(type(vlm.family), "encode", lambda *args: replace(encode(*args), answer_fill={}))
    assert groundviz.certify(vlm).verdict == "a forward pass is not what generate computes"


def test_scores_that_are_no_numbers_are_named_and_not_called_wrong_geometry():
    vlm = built()
    torch.nn.init.constant_(vlm.model.model.language_model.norm.weight, torch.nan)
    with pytest.raises(NumericalError, match=r"not finite is 'model\.language_model\.norm'"):
        groundviz.certify(vlm)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert models.verdict_on(vlm).startswith("not certified: The model's scores are not finite")


@pytest.mark.parametrize("shortest", [{"min_new_tokens": 64}, {"min_length": 90}])
def test_a_model_with_a_shortest_answer_of_its_own_is_certified_without_a_warning(shortest):
    vlm = built()
    vlm.model.generation_config.update(max_new_tokens=64, **shortest)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert models.verdict_on(vlm) == "certified"


def test_attention_that_cannot_be_read_is_not_measured(monkeypatch):
    def refuse(modules, handler):
        raise UnsupportedMethod("Attention of this model cannot be read.")

    monkeypatch.setattr(kernel_check, "tapped", refuse)
    certificate = groundviz.certify(built())
    [rows] = [check for check in certificate.checks if check.name == "rows"]
    assert rows.verdict == "not measured"
    assert rows.says == "Attention of this model cannot be read."
    assert certificate.passed


def test_a_model_without_an_adapter_cannot_be_certified(monkeypatch):
    vlm = replace(built(), family_name="unknown")
    with pytest.raises(UnsupportedModel, match="has no adapter"):
        groundviz.certify(vlm)
    assert models.verdict_on(vlm).startswith("not certified: LlavaForConditionalGeneration has no adapter")


# --- once for each model, with the first explanation ----------------------------------------------


@pytest.fixture
def counted(monkeypatch):
    """The models that were certified."""
    seen, whole = [], certifying.certify_vlm
    monkeypatch.setattr(certifying, "certify_vlm", lambda vlm: seen.append(vlm.name) or whole(vlm))
    return seen


def test_a_model_is_certified_once(counted):
    vlm = built()
    assert [models.verdict_on(vlm) for _ in range(3)] == ["certified"] * 3
    assert len(counted) == 1


def test_another_state_of_its_processor_is_certified_anew(counted):
    vlm = built("llava with a class token")
    models.verdict_on(vlm)
    vlm.processor.image_processor.do_center_crop = False
    assert models.verdict_on(vlm).startswith("not certified: The processor makes images of")
    assert len(counted) == 2


def test_what_is_remembered_goes_with_the_model(counted):
    vlm = built()
    models.verdict_on(vlm)
    known = len(certifying._VERDICTS)
    del vlm
    gc.collect()
    assert len(certifying._VERDICTS) < known


def test_threads_get_one_verdict(counted):
    vlm, verdicts = built(), []
    threads = [threading.Thread(target=lambda: verdicts.append(models.verdict_on(vlm))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == ["certified"] * 3


def test_a_model_in_use_is_no_verdict(counted):
    vlm = built()
    with borrow(vlm), pytest.raises(ModelBusy):
        models.verdict_on(vlm)
    assert models.verdict_on(vlm) == "certified"


def test_strange_failures_are_named_without_their_text(monkeypatch):
    def fail(vlm):
        raise OSError("/home/doe/scan.png")

    monkeypatch.setattr(certifying, "certify_vlm", fail)
    assert models.verdict_on(built()) == "not certified: OSError"


def test_the_verdict_travels_with_the_record(source_image, tmp_path, counted):
    vlm = built()
    explanation = groundviz.explain(vlm, source_image, "Is there a nodule?", answer="yes")
    again = groundviz.open(explanation.save(tmp_path / "one.gvz"))
    assert again.record.provenance.certificate == "certified"
    assert "kernel, certified), seed 0" in made_with(again.record.provenance)
    groundviz.explain(vlm, source_image, "Is there a nodule?", answer="no")
    assert len(counted) == 1


def test_it_can_be_switched_off(source_image, counted):
    explanation = groundviz.explain(built(), source_image, "Is there a nodule?", answer="yes", certify=False)
    assert explanation.record.provenance.certificate is None
    assert "certified" not in made_with(explanation.record.provenance)
    assert counted == []


def test_a_model_that_is_wrong_is_explained_with_one_warning(source_image):
    vlm = mirrored(built())
    with pytest.warns(
        RuntimeWarning, match=r"geometry off by up to 3\.\d patches.*explain\(.*certify=False"
    ) as told:
        explanation = groundviz.explain(vlm, source_image, "Is there a nodule?", answer="yes")
    assert [one.filename for one in told] == [__file__]
    assert explanation.record.provenance.certificate.startswith("geometry off by up to 3.")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        groundviz.explain(vlm, source_image, "Is there a nodule?", answer="yes")
