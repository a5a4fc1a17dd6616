"""The reference for gradient methods: plain transformers, plain hooks, plain autograd."""

import copy

import torch

from groundviz.explain import explain

QUESTION, ANSWER = "Is there a nodule?", "left lung nodule and effusion"
LAYERS = ("vision", "projector", "language.0")
AGAINST = (None, "pneumothorax device")


def module(model, at):
    stage, _, number = at.partition(".")
    if stage == "language":
        return model.get_decoder().layers[int(number)]
    if stage == "projector":
        return model.model.multi_modal_projector
    tower = model.model.vision_tower
    return getattr(tower, "vision_model", tower).encoder.layers[int(number or 0)]


def explained(vlm, source_image, method, *, against=None, target="nodule", **options):
    """An explanation of an answer that was given, and the maps of one method, (target, layer, cell)."""
    explanation = explain(
        vlm, source_image, QUESTION, methods={method: options}, answer=ANSWER, target=target, against=against
    )
    (maps,) = explanation.record.heatmaps
    return explanation, maps.values[:, :, 0].reshape(*maps.values.shape[:2], -1)


class Plain:
    """One model, one image, one answer: scores and gradients of a target by transformers alone."""

    def __init__(self, vlm, record, target=None):
        self.vlm, self.record = vlm, record
        self.target = target or record.target
        self.model = copy.deepcopy(vlm.model).requires_grad_(False)
        self.inputs = vlm.encode((record.source_image,), record.prompt.question).inputs
        self.columns = torch.from_numpy(record.prompt.grids[0].positions)

    def score(self, pixels=None):
        """The target's scalar, differentiable."""
        answer, target = self.record.answer.token_ids.tolist(), self.target
        total = self._logprobs(answer, pixels)[list(target.tokens)].sum()
        if target.foil:
            start = target.tokens[0]
            total = total - self._logprobs([*answer[:start], *target.foil.token_ids], pixels)[start:].sum()
        return total

    def gradients(self, at, pixels=None):
        """Values and gradient at a site, (cell, channel) each."""
        pixels = self.inputs["pixel_values"] if pixels is None else pixels
        pixels = pixels.detach().clone().requires_grad_()
        seen = []
        if at != "pixels":
            handle = module(self.model, at).register_forward_hook(
                lambda module, args, output: seen.append(output[0] if isinstance(output, tuple) else output)
            )
        score = self.score(pixels)
        if at == "pixels":
            (gradient,) = torch.autograd.grad(score, pixels)
            return tuple(t[0].detach().reshape(3, -1).T for t in (pixels, gradient))
        handle.remove()
        # A contrast takes two passes over the same image: its gradient is the sum of both.
        gradients = [self._cells(at, one) for one in torch.autograd.grad(score, seen)]
        return self._cells(at, seen[0]).detach(), sum(gradients)

    def _cells(self, at, whole):
        return whole[0, self.columns] if at.startswith("language") else whole[0, -len(self.columns) :]

    def _logprobs(self, token_ids, pixels):
        ids = torch.cat([self.inputs["input_ids"], torch.tensor([token_ids])], dim=1)
        inputs = {**self.inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
        inputs["pixel_values"] = inputs["pixel_values"] if pixels is None else pixels
        rows = torch.log_softmax(self.model(**inputs).logits[0], -1)[-len(token_ids) - 1 : -1]
        return rows[range(len(token_ids)), token_ids]


def close(found, expected, share=1e-4):
    """Whether maps are equal, to a share of the largest value."""
    expected = torch.as_tensor(expected)
    assert expected.abs().max() > 0
    torch.testing.assert_close(
        torch.as_tensor(found), expected, rtol=0, atol=share * float(expected.abs().max())
    )
