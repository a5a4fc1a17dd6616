"""The reference for methods: one plain pass of transformers' own eager model over prompt and answer."""

import copy

import numpy as np
import torch


def eager(vlm, source_image, question, token_ids, **options):
    """The output of saying tokens after a question, differentiable, with attention and hidden states."""
    model = copy.deepcopy(vlm.model)
    model.set_attn_implementation("eager")
    inputs = vlm.encode((source_image,), question).inputs
    ids = torch.cat([inputs["input_ids"], torch.tensor([[int(i) for i in token_ids]])], dim=1)
    inputs = {**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return model(**inputs, output_attentions=True, output_hidden_states=True, **options)


def attention_rows(vlm, record, question=None):
    """Attention of the rows that predict the answer to the image: (token, layer, head, cell)."""
    encoded = vlm.encode((record.source_image,), question or record.prompt.question)
    prompt = encoded.prompt
    output = eager(vlm, record.source_image, prompt.question, record.answer.token_ids)
    start, count = len(prompt.token_ids) - 1, len(record.answer.token_ids)
    columns = prompt.grids[0].positions
    rows = [layer[0, :, start : start + count][..., columns] for layer in output.attentions]
    return torch.stack(rows).permute(2, 0, 1, 3).detach().numpy()


def values(explanation, method):
    """What a method measured, flat over cells: (target, layer, head, cell)."""
    (maps,) = (one for one in explanation.record.heatmaps if one.method == method)
    return maps, maps.values.reshape(*maps.values.shape[:3], -1)


def log_probabilities(output, prompt_length, token_ids):
    """Of each answer token given those before it."""
    rows = torch.log_softmax(output.logits[0], -1)[prompt_length - 1 : prompt_length - 1 + len(token_ids)]
    return rows[np.arange(len(token_ids)), [int(i) for i in token_ids]]
