"""Training, a few steps of it; the full run is `python scripts/train_demo.py OUT`."""

import numpy as np
import pytest
import torch

from groundviz.demo.phantoms import phantom
from groundviz.demo.questions import ask
from groundviz.models import load
from scripts.demo_exact_match import fresh_phantoms
from scripts.train_demo import Packer, Schedule, save, train
from scripts.training_phantoms import TRAINING_SEEDS, training_phantom

SHORT = Schedule(vision_steps=2, vision_batch=2, answer_steps=3, answer_batch=2, blank_steps=1)


@pytest.fixture(scope="module")
def trained():
    return train(3, SHORT, "cpu")


@pytest.mark.wide
def test_the_same_seed_trains_the_same_weights(trained):
    again = train(3, SHORT, "cpu")
    for name, weight in trained.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name


def test_every_part_that_is_used_has_learned(trained):
    from groundviz.demo.architecture import build_model

    fresh = build_model(3).state_dict()
    moved = {name for name, weight in trained.state_dict().items() if not torch.equal(weight, fresh[name])}
    for part in (
        "patch_embedding",
        "encoder.layers.3",
        "multi_modal_projector",
        "layers.0.self_attn",
        "lm_head",
    ):
        assert any(part in name for name in moved), part


def test_a_saved_model_loads_and_answers(trained, tmp_path):
    save(trained, tmp_path)
    vlm = load(tmp_path)
    assert vlm.model.dtype == torch.float16
    assert isinstance(load(tmp_path).generate(phantom(1).pixels, "Is there a nodule?"), str)


def test_training_and_scoring_never_share_a_phantom():
    assert training_phantom(TRAINING_SEEDS + 5).seed == 5
    assert min(fresh_phantoms(0, 1)) >= TRAINING_SEEDS


def test_a_shrunk_training_image_shows_the_same_chest():
    shrunk = training_phantom(4)
    direct = phantom(4, findings=shrunk.names)
    assert np.abs(shrunk.pixels - direct.pixels).mean() < 0.01
    for small, mask in zip(shrunk.masks, direct.masks, strict=True):
        assert (small & mask).sum() > 0.9 * (small | mask).sum()


def test_packed_questions_do_not_see_one_another():
    drawn = phantom(2, findings=["nodule", "effusion"])
    questions = [ask(drawn, kind, "nodule") for kind in ("presence", "where", "side")]
    packer = Packer()
    packed = packer.pack([questions, questions[:1]])
    start = len(packer.prefix)
    rows = (packed.positions[0] == start).nonzero().flatten().tolist()
    assert rows == sorted(rows)
    first, second = rows[0], rows[1]
    assert first == start
    assert packed.visible[0, 0, second, :start].all()
    assert not packed.visible[0, 0, second:, first:second].any()


def test_labels_are_the_answers_one_token_ahead():
    drawn = phantom(2, findings=["effusion"])
    packer = Packer()
    packed = packer.pack([[ask(drawn, "where", "effusion")]])
    told = packed.labels[0][packed.labels[0] != -100].tolist()
    assert packer.tokenizer.decode(told) == f"{drawn.findings[0].location} </s>"
    at = (packed.labels[0] != -100).nonzero().flatten()
    assert torch.equal(packed.labels[0, at[:-1]], packed.token_ids[0, at[:-1] + 1])


def test_a_packed_answer_costs_what_it_costs_alone(trained):
    """The block mask and restarted positions are right: packing changes no logit."""
    drawn = phantom(2, findings=["nodule", "effusion"])
    packer, model = Packer(), trained.float()
    questions = [ask(drawn, kind, "nodule") for kind in ("presence", "where", "side")]
    together, alone = packer.pack([questions]), packer.pack([questions[2:]])
    image = torch.randn(196, 128, generator=torch.Generator().manual_seed(0))

    def last_logits(packed):
        words = model.get_input_embeddings()(packed.token_ids)
        where = (packed.token_ids == model.config.image_token_index)[..., None]
        states = model.model.language_model(
            inputs_embeds=words.masked_scatter(where, image),
            attention_mask=packed.visible,
            position_ids=packed.positions,
        ).last_hidden_state
        return model.lm_head(states)[0, -1]

    with torch.no_grad():
        torch.testing.assert_close(last_logits(together), last_logits(alone), atol=1e-5, rtol=1e-4)
