"""A model class from a user's own file: written by hand, known to no registry and no family."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from transformers import GenerationConfig, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

import groundviz
from groundviz.errors import UnsupportedMethod
from groundviz.methods import METHODS
from groundviz.models import certify, resolve
from groundviz.testing.families.words import word_tokenizer
from groundviz.testing.fingerprint import difference, fingerprint
from tests.support.quick import quick

QUESTION = "Is there a nodule?"
SIDE, PATCH, WIDTH, HEADS = 24, 6, 16, 2
ACROSS = SIDE // PATCH
# What reads attention, and what does without.
READ_ATTENTION = (
    "attention",
    "attention_rollout",
    "relative_attention",
    "localization_heads",
    "gradient_attention",
    "relevancy",
)
WITHOUT = (
    "occlusion",
    "rise",
    "shapley",
    "integrated_gradients",
    "input_gradient",
    "token_ablation",
    "logit_lens",
)
WHY = "Attention of OwnLayer cannot be read: it does not go through transformers' attention registry."


class OwnConfig(PreTrainedConfig):
    """Nothing but a type that nobody else has."""

    model_type = "own_model"


class OwnAttention(nn.Module):
    """Attention written out; it asks no registry for a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3))

    def forward(self, hidden: torch.Tensor, causal: bool) -> torch.Tensor:
        heads = [
            made(hidden).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for made in (self.query, self.key, self.value)
        ]
        scores = heads[0] @ heads[1].transpose(-1, -2) / (WIDTH // HEADS) ** 0.5
        if causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        return (scores.softmax(dim=-1) @ heads[2]).transpose(1, 2).flatten(2)


class OwnLayer(nn.Module):
    """Attention and an MLP, each beside what it is given."""

    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.mixing, self.causal = OwnAttention(), causal
        self.thinking = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = hidden + self.mixing(nn.functional.layer_norm(hidden, (WIDTH,)), self.causal)
        return hidden + self.thinking(nn.functional.layer_norm(hidden, (WIDTH,)))


class OwnModel(PreTrainedModel, GenerationMixin):
    """Patches through a tower of two layers take the places of image tokens in a decoder of two layers."""

    config_class = OwnConfig
    main_input_name = "input_ids"

    def __init__(self, config: OwnConfig, words: int, image_token: int) -> None:
        super().__init__(config)
        self.image_token = image_token
        self.cut = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.places = nn.Parameter(torch.zeros(ACROSS**2, WIDTH))
        self.eyes = nn.ModuleList(OwnLayer(causal=False) for _ in range(2))
        self.bridge = nn.Linear(WIDTH, WIDTH)
        self.words = nn.Embedding(words, WIDTH)
        self.order = nn.Embedding(128, WIDTH)
        self.mind = nn.ModuleList(OwnLayer(causal=True) for _ in range(2))
        self.last_norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, words, bias=False)

    def get_input_embeddings(self) -> nn.Module:
        return self.words

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def forward(
        self, input_ids, pixel_values=None, attention_mask=None, use_cache=None, return_dict=None, **rest
    ):
        hidden = self.words(input_ids)
        if pixel_values is not None:
            seen = self.cut(pixel_values).flatten(2).transpose(1, 2) + self.places
            for layer in self.eyes:
                seen = layer(seen)
            here = (input_ids == self.image_token)[..., None].expand_as(hidden)
            hidden = hidden.masked_scatter(here, self.bridge(seen))
        hidden = hidden + self.order(torch.arange(input_ids.shape[1], device=input_ids.device))
        for layer in self.mind:
            hidden = layer(hidden)
        return CausalLMOutputWithPast(logits=self.head(self.last_norm(hidden)))

    def prepare_inputs_for_generation(self, input_ids, pixel_values=None, **rest):
        return {"input_ids": input_ids, "pixel_values": pixel_values}


class OwnProcessor:
    """Squashes an image to one size, and writes as many image tokens as the model has patches."""

    image_token, image_token_id = "<image>", 4
    chat_template = None

    def __init__(self) -> None:
        self.tokenizer = word_tokenizer()
        self.image_processor = SimpleNamespace(size={"height": SIDE, "width": SIDE})

    def __call__(self, images=(), text="", return_tensors="pt", **options):
        shown = []
        for image in images:
            squashed = np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
            shown.append(torch.from_numpy(squashed / 255).permute(2, 0, 1).float() * 2 - 1)
        written = text if isinstance(text, str) else text[0]
        written = written.replace(self.image_token, self.image_token * ACROSS**2)
        made = self.tokenizer([written], return_tensors="pt", **options)
        return {"input_ids": made["input_ids"], "pixel_values": torch.stack(shown)}


@pytest.fixture(scope="module")
def own():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        processor = OwnProcessor()
        model = OwnModel(OwnConfig(), len(processor.tokenizer), processor.image_token_id)
        for tensor in model.parameters():
            tensor.data.normal_(0.0, 0.3)
    model.generation_config = GenerationConfig(
        max_new_tokens=3, do_sample=False, pad_token_id=0, use_cache=False
    )
    return resolve(model.eval(), processor)


@pytest.fixture(scope="module")
def shown():
    return np.random.default_rng(2).integers(0, 256, (61, 37, 3), dtype=np.uint8)


def test_its_geometry_is_measured(own, shown):
    encoded = own.encode((groundviz.images.load(shown),), QUESTION)
    (grid,) = encoded.cells["language"].grids
    assert own.family_name == "measured"
    assert (grid.rows, grid.cols) == (ACROSS, ACROSS)
    # Image tokens in the order of the patches, row by row.
    assert encoded.prompt.token_ids[grid.positions].tolist() == [OwnProcessor.image_token_id] * ACROSS**2
    assert (np.diff(grid.positions) == 1).all()
    # A patch is this many source pixels high and wide, and the first begins in the corner.
    np.testing.assert_allclose(np.diag(grid.to_source[:, :2]), (61 / ACROSS, 37 / ACROSS), rtol=1e-2)
    np.testing.assert_allclose(grid.to_source[:, 2], 0, atol=0.5)


def test_its_modules_are_found(own):
    parts = own.parts()
    assert parts.vision_layers == tuple(own.model.eyes)
    assert parts.decoder_layers == tuple(own.model.mind)
    assert parts.projector is own.model.bridge
    assert parts.final_norm is own.model.last_norm
    assert parts.output_head is own.model.head
    assert parts.attending == ()


def test_it_is_certified(own):
    found = certify(own)
    assert found.verdict == "certified", str(found)
    numbers = {check.name: check.value for check in found.checks}
    assert numbers["geometry"] < 0.1
    assert found.model == "OwnModel"


@pytest.mark.parametrize("method", READ_ATTENTION)
def test_what_reads_attention_is_refused_by_name(own, shown, method):
    with pytest.raises(UnsupportedMethod, match=re.escape(WHY)):
        groundviz.explain(own, shown, QUESTION, methods=quick(method), certify=False)


@pytest.mark.parametrize("method", WITHOUT)
def test_what_reads_no_attention_explains_it(own, shown, method):
    before = fingerprint(own.model)
    found = groundviz.explain(own, shown, QUESTION, methods=quick(method), certify=False)
    for maps in found.record.heatmaps:
        assert np.isfinite(maps.values[..., maps.grid.valid]).all()
        assert maps.values.any()
    assert difference(before, fingerprint(own.model)) == []


@pytest.mark.filterwarnings("ignore:.*found no evidence:RuntimeWarning")
@pytest.mark.parametrize("method", sorted(set(METHODS) - {*READ_ATTENTION, *WITHOUT}))
def test_every_other_method_runs_or_is_refused_for_the_same_reason(own, shown, method):
    """No method ends in an error of another kind."""
    try:
        found = groundviz.explain(own, shown, QUESTION, methods=quick(method), certify=False)
    except UnsupportedMethod as error:
        assert str(error).startswith(WHY)
    else:
        assert found.methods == (method,)


def test_the_logit_lens_of_the_last_layer_is_the_model_s_own_score(own, shown):
    """Behind the last layer nothing is left but the norm and the head: by hand, from the model's logits."""
    found = groundviz.explain(own, shown, QUESTION, methods="logit_lens", answer="yes", certify=False)
    (maps,) = found.record.heatmaps
    encoded = own.encode((groundviz.images.load(shown),), QUESTION)
    ids = encoded.inputs["input_ids"]
    with torch.no_grad():
        logits = own.model(ids, pixel_values=encoded.inputs["pixel_values"]).logits[0]
    (word,) = own.answer_ids("yes")
    (grid,) = encoded.cells["language"].grids
    expected = logits.log_softmax(dim=-1)[grid.positions, word].reshape(ACROSS, ACROSS)
    np.testing.assert_allclose(maps.values[0, -1, 0], expected, atol=1e-4)
