"""Teacher-forced passes over prompt and answer, in every family."""

import numpy as np
import pytest
import torch

from groundviz import images, models
from groundviz.runtime import borrow
from groundviz.runtime.passes.forward import last_logits, log_probabilities, teacher_forced_inputs
from groundviz.testing.families import TINY
from tests.support.kinds import EVERY_KIND

pytestmark = pytest.mark.filterwarnings("ignore:`hidden_state` is deprecated:FutureWarning")
SOURCE_IMAGE = images.load(np.random.default_rng(3).random((61, 37), dtype=np.float32))


@pytest.mark.parametrize("family", EVERY_KIND)
def test_a_teacher_forced_answer_is_as_probable_as_when_it_was_generated(family):
    """A prompt that sees both ways must not see its answer."""
    model, processor = TINY[family]()
    model.generation_config.max_new_tokens = 4
    with borrow(models.resolve(model, processor)) as live:
        answer = live.answer(live.encode(SOURCE_IMAGE, "Is there a nodule?"))
        passes, ids = live._passes, answer.token_ids.tolist()
        with torch.no_grad():
            logits = last_logits(passes.model, passes.teacher_forced_inputs(ids), len(ids) + 1)[0, :-1]
        again = log_probabilities(logits, torch.tensor(ids))
    assert answer.source == "generated"
    np.testing.assert_allclose(again, answer.logprobs, atol=1e-5)


def test_inputs_of_the_answer_continue_the_prompts_last_value_unless_another_is_named():
    inputs = {
        "input_ids": torch.tensor([[5, 6, 7]]),
        "attention_mask": torch.ones(1, 3, dtype=torch.long),
        "token_type_ids": torch.tensor([[1, 0, 0]]),
        "pixel_values": torch.zeros(1, 3, 2, 2),
    }
    plain = teacher_forced_inputs(inputs, [8, 9], 2, fill={})
    filled = teacher_forced_inputs(inputs, [8, 9], 2, fill={"token_type_ids": 1})
    assert plain["input_ids"].tolist() == [[5, 6, 7, 8, 9]] * 2
    assert plain["attention_mask"].tolist() == [[1] * 5] * 2
    assert plain["token_type_ids"].tolist() == [[1, 0, 0, 0, 0]] * 2
    assert filled["token_type_ids"].tolist() == [[1, 0, 0, 1, 1]] * 2
    assert len(plain["pixel_values"]) == 2
