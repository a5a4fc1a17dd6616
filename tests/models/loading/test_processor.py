"""A processor: an object, a folder, beside the weights, within a pipeline; and without what films need."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import transformers
from transformers import AutoProcessor

import groundviz
from groundviz import models
from groundviz.errors import MissingExtra, UnsupportedModel
from groundviz.testing.families import TINY
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

QUESTION = "Is there a nodule?"


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "ZZPHI"
    tiny_llava_processor(tiny_llava()).save_pretrained(place)
    return place


@pytest.mark.parametrize("kind", [str, lambda place: place])
def test_a_processors_folder_will_do(folder, kind, source_image, tmp_path):
    model = tiny_llava()
    model.generation_config.max_new_tokens = 3
    given, words = kind(folder), tiny_llava_processor(model).tokenizer.get_vocab()
    explained = groundviz.explain(model, source_image, QUESTION, processor=given, methods="attention").record
    own = groundviz.explain(
        model, source_image, QUESTION, processor=tiny_llava_processor(model), methods="attention"
    ).record
    assert np.array_equal(explained.heatmaps[0].values, own.heatmaps[0].values)
    model.save_pretrained(tmp_path / "weights")
    for take in (models.load, models.resolve):
        assert take(tmp_path / "weights", processor=given).processor.tokenizer.get_vocab() == words
    assert models.resolve(models.load("demo"), given).processor.tokenizer.get_vocab() == words


def test_a_folder_without_a_processor_is_refused_without_its_path(tmp_path):
    place = tmp_path / "ZZPHI"
    place.mkdir()
    with pytest.raises(UnsupportedModel) as caught:
        models.resolve(tiny_llava(), str(place))
    assert "ZZPHI" not in str(caught.value)


def test_other_kinds_of_processors_are_refused(folder):
    processor = tiny_llava_processor(tiny_llava())
    for wrong, says in {
        processor.tokenizer: "Fast is not a processor|Backend is not a processor",
        processor.image_processor: "is not a processor of images and text",
        type(processor): "The class LlavaProcessor was given as processor",
        3: "int is not a processor",
    }.items():
        for model in (tiny_llava(), "demo", models.load("demo")):
            with pytest.raises(UnsupportedModel, match=says):
                models.resolve(model, wrong)


def test_a_pipeline_is_its_model_and_its_processor(source_image):
    model = tiny_llava()
    processor = tiny_llava_processor(model)
    pipe = transformers.pipeline("image-text-to-text", model=model, processor=processor)
    vlm = models.resolve(pipe)
    assert vlm.model is model and vlm.processor is processor
    other = tiny_llava_processor(model)
    assert models.resolve(pipe, other).processor is other


def saved(family, place):
    """A model whose processor has a half for films, saved as with torchvision."""
    model, processor = TINY[family]()
    model.save_pretrained(place)
    processor.tokenizer.save_pretrained(place)
    kind = type(processor).__mro__[1].__name__
    pixels = processor.image_processor.to_dict()
    pixels["image_processor_type"] = type(processor.image_processor).__name__.removesuffix("Pil")
    described = {"image_processor": pixels, "processor_class": kind}
    described["video_processor"] = {"video_processor_type": "Qwen2VLVideoProcessor"}
    (place / "processor_config.json").write_text(json.dumps(described), "utf-8")
    (place / "preprocessor_config.json").write_text(json.dumps(pixels | {"processor_class": kind}), "utf-8")
    (place / "chat_template.jinja").write_text(processor.chat_template, "utf-8")
    return model, processor


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed")
@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_a_model_for_films_too_loads_without_torchvision(family, tmp_path, source_image):
    model, processor = saved(family, tmp_path)
    with pytest.raises(ImportError, match="Torchvision"):
        AutoProcessor.from_pretrained(tmp_path)
    vlm = models.load(tmp_path)
    found, own = (
        vlm.inputs(source_image, QUESTION),
        models.resolve(model, processor).inputs(source_image, QUESTION),
    )
    assert found.keys() == own.keys()
    assert all(found[name].equal(own[name]) for name in own)
    assert models.certify(vlm).passed


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed")
def test_a_processor_that_cannot_do_without_torchvision_says_so(tmp_path, monkeypatch):
    saved("qwen2_vl", tmp_path)

    def stopped(*given, **options):
        raise ImportError("Qwen2VLImageProcessor requires the Torchvision library")

    try:
        monkeypatch.setattr(transformers.AutoImageProcessor, "from_pretrained", stopped)
    except ImportError:
        pytest.skip("this transformers has no AutoImageProcessor at all where torchvision is missing")
    with pytest.raises(MissingExtra, match="pip install torchvision"):
        models.load(tmp_path)
