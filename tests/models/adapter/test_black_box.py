"""A model without an adapter: perturbation sees what it sees through an adapter, and all else is refused."""

from dataclasses import replace

import numpy as np
import pytest
import transformers as hf

import groundviz
from groundviz.errors import UnsupportedMethod, UnsupportedModel
from groundviz.methods import METHODS
from groundviz.models import FAMILIES, VLM, resolve
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support.quick import quick

QUESTION = "Is there a nodule?"
CLOSED_BOX = tuple(name for name in METHODS if METHODS.facts(name).any_model)


class Strange(hf.VipLlavaConfig):
    """A model type that no adapter will ever be written for."""

    model_type = "strange"


@pytest.fixture(scope="module")
def stranger():
    like = tiny_llava(vision="clip")
    config = Strange(
        vision_config=like.config.vision_config,
        text_config=like.config.text_config,
        image_token_index=like.config.image_token_id,
        **{name: [-2, -1] for name in ("vision_feature_layer", "vision_feature_layers")},
    )
    model = hf.VipLlavaForConditionalGeneration(config).eval()
    model.generation_config.max_new_tokens = 3
    # As a model that cannot be measured.
    return replace(resolve(model, tiny_llava_processor(like)), family_name="unknown")


@pytest.fixture(scope="module")
def square():
    return np.random.default_rng(5).integers(0, 256, (28, 28, 3), dtype=np.uint8)


def test_a_closed_box_loses_what_the_open_one_loses(square):
    """An image of the model's own size: what is hidden in the image is hidden in the image."""
    model = tiny_llava()
    processor = tiny_llava_processor(model)
    ask = {"occlusion": {"window": 7, "stride": 7, "fill": "black"}}
    found = [
        groundviz.explain(
            VLM(model, processor, family, "tiny"), square, QUESTION, methods=ask, answer="left lung"
        ).record
        for family in ("llava", "unknown")
    ]
    opened, closed = (record.heatmaps[0].values for record in found)
    assert opened.shape == closed.shape == (2, 1, 1, 4, 4)
    np.testing.assert_allclose(closed, opened, atol=1e-4 * np.abs(opened).max())
    assert np.abs(opened).max() > 0.01


@pytest.mark.parametrize("method", list(METHODS))
def test_what_needs_the_inside_says_what_to_do(stranger, square, method):
    before = fingerprint(stranger.model)
    if method in CLOSED_BOX:
        explanation = groundviz.explain(stranger, square[:21], QUESTION, methods=quick(method))
        heatmap = explanation.heatmap(method)
        assert heatmap.grid.valid.all()
        assert np.isfinite(heatmap.values).all()
        assert explanation.answer.text
    else:
        says = "VipLlavaForConditionalGeneration has no adapter.*'strange'.*llava_next.*occlusion, rise or"
        with pytest.raises(UnsupportedMethod, match=says):
            groundviz.explain(stranger, square[:21], QUESTION, methods=quick(method))
    assert difference(before, fingerprint(stranger.model)) == []


def test_several_images_are_hidden_one_at_a_time(stranger, square):
    explanation = groundviz.explain(
        stranger, [square, square[:14]], QUESTION, methods={"occlusion": {"window": 0.5, "stride": 0.5}}
    )
    grids = [maps.grid for maps in explanation.record.heatmaps]
    assert [(grid.image, grid.rows, grid.cols) for grid in grids] == [(0, 2, 2), (1, 2, 4)]


def test_a_figure_and_a_file_can_be_made_of_it(stranger, square, tmp_path):
    explanation = groundviz.explain(stranger, square, QUESTION, methods=quick("occlusion"))
    saved = explanation.save(tmp_path / "stranger.gvz")
    assert groundviz.open(saved).record.provenance.family == "unknown"
    assert "<img" in explanation.to_html()


def test_what_cannot_generate_is_no_model_to_explain():
    model = hf.LlamaModel(tiny_llava().config.text_config)
    with pytest.raises(UnsupportedModel, match="no adapter"):
        resolve(model, tiny_llava_processor(tiny_llava()))


def test_a_model_that_takes_no_image_is_refused_before_it_is_asked():
    config = hf.T5Config(
        vocab_size=72, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    model = hf.T5ForConditionalGeneration(config)
    with pytest.raises(UnsupportedModel, match="T5ForConditionalGeneration takes no image"):
        resolve(model, tiny_llava_processor(tiny_llava()))


def test_no_family_is_named_unknown_in_messages(stranger):
    reason = stranger.parts().unknown
    assert all(name in reason for name in FAMILIES if name not in ("measured", "unknown"))
    assert "unknown" not in reason
