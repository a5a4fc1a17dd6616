"""The reference: eager kernels' own square maps, autograd through them, and dense products."""

import copy
import functools
from dataclasses import dataclass

import torch

from groundviz.runtime.attention.propagation import Flow
from groundviz.runtime.attention.tap import tapped
from tests.support.architectures import build

built = functools.cache(build)
"""Each architecture once: for tests that leave the model as it is."""


@dataclass
class EagerCall:
    """What transformers' own eager kernel returned: weights (batch, head, query, column)."""

    layer: int
    weights: torch.Tensor
    start: int


def score(output, row=-2, token=7):
    """A scalar that depends on everything before: the log-probability of a token."""
    return output.logits[0, row].log_softmax(-1)[token]


def eager_pass(architecture, *parts, gradients=False, **options):
    """The eager kernel's weights of one pass, in the order of its calls, and the output."""
    twin = copy.deepcopy(architecture.model)
    twin.set_attn_implementation("eager")
    modules = dict(zip(architecture.model.modules(), twin.modules(), strict=True))
    numbers, _ = architecture.numbered(*parts)
    calls, seen = [], {}

    def keep(call):
        output, weights = call.run()
        calls.append(EagerCall(call.layer, weights, seen.get(call.layer, 0)))
        seen[call.layer] = calls[-1].start + weights.shape[0] * weights.shape[2]
        return output, weights

    here = {modules[module]: number for module, number in numbers.items()}
    with torch.set_grad_enabled(gradients), tapped(here, keep):
        return calls, twin(**architecture.inputs, use_cache=False, **options)


def dense_maps(calls, layer, values):
    """Maps of one layer put on one canvas: (row, head, column), zero between calls and items."""
    own = [(call, value) for call, value in zip(calls, values, strict=True) if call.layer == layer]
    square = all(value.shape[2] == value.shape[3] for _, value in own)
    rows = sum(value.shape[0] * value.shape[2] for _, value in own)
    columns = sum(value.shape[0] * value.shape[3] for _, value in own)
    canvas = torch.zeros(rows, own[0][1].shape[1], columns)
    column = 0
    for call, value in own:
        for item, part in enumerate(value):
            row = call.start + item * part.shape[1]
            column = row if square else column
            canvas[row : row + part.shape[1], :, column : column + part.shape[2]] = part.permute(1, 0, 2)
            column += part.shape[2]
    return canvas


class Dense:
    """The whole relevancy matrix over the tokens of all streams, by the textbook.

    Args:
        sizes: Tokens of each stream.
    """

    def __init__(self, sizes):
        self._at, total = {}, 0
        for name, size in sizes.items():
            self._at[name] = slice(total, total + size)
            total += size
        self.matrix = torch.eye(total)

    def place(self, flow: Flow, maps):
        """A map (row, column) among all tokens; a perceiver's rows follow as columns."""
        whole = torch.zeros_like(self.matrix)
        rows = self._at[flow.rows]
        rows = slice(rows.start, rows.start + len(maps))
        if flow.own:
            others = maps.shape[1] - len(maps)
            whole[rows, self._at[flow.columns]] = maps[:, :others]
            whole[rows, rows] = maps[:, others:]
        else:
            columns = self._at[flow.columns]
            whole[rows, columns.start : columns.start + maps.shape[1]] = maps
        return whole

    def climb(self, flow, maps, kept=1.0, passed=1.0):
        """One layer up: R <- (kept I + passed A) R for the rows of the layer."""
        own = torch.zeros_like(self.matrix)
        rows = range(self._at[flow.rows].start, self._at[flow.rows].start + len(maps))
        own[rows, rows] = 1.0
        step = torch.eye(len(own)) + (kept - 1.0) * own + passed * self.place(flow, maps)
        self.matrix = step @ self.matrix

    def enter(self, stream, origin):
        """Tokens of a stream become tokens of another: pooled ones in equal shares."""
        step = torch.eye(len(self.matrix))
        above, below = self._at[origin.stream], self._at[stream]
        for token, position in enumerate(origin.positions.tolist()):
            if position >= 0:
                sharing = (origin.positions == position).sum()
                step[above.start + position, below.start + token] = 1.0 / sharing
        self.matrix = step @ self.matrix

    def rows(self, stream, row):
        """What one row holds, by stream."""
        return {name: self.matrix[self._at[stream]][row, at] for name, at in self._at.items()}
