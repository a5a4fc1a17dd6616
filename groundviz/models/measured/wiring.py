"""Which parts of a model's image inputs feed which image tokens, places in its tower and in its projector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from groundviz.errors import UnsupportedMethod
from groundviz.models.adapter.unmeasurable import Unmeasurable
from groundviz.models.measured.arrival import Arrival, arrive
from groundviz.models.measured.owners import owners
from groundviz.models.measured.silence import Silenced
from groundviz.record.types import Ints
from groundviz.runtime.loan.guard import Loan
from groundviz.runtime.loan.preflight import watch_gradients

# The share of the numbers that may feed several image tokens: more is no rounding.
MOST_MIXED = 0.01
# How many modules behind the tower are tried as the projector, the last one first.
MOST_PROJECTORS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Tower:
    """The layers of a vision tower.

    Attributes:
        layers: Those whose output reaches the answer, first one first.
        place: int (number,), the place of the last layer's output that each number of the image inputs
            feeds, -1 for none; None where places are not single.
    """

    layers: tuple[nn.Module, ...]
    place: Ints | None


@dataclass(frozen=True, slots=True, eq=False)
class Wiring:
    """What feeds what, for image inputs of one shape.

    Attributes:
        positions: int (image token,), where the image tokens stand in the prompt.
        ids: Their token ids.
        token: int (number,), the image token, counted from 0, that each number of the image inputs feeds;
            -1 for none, or several.
        middle: As `token`, but of the numbers in the middle of what a token reads; None where it reads
            nothing else.
        resampled: How many rows or columns of features were read between others, at how many even places.
        width: How many numbers a token is there.
        layers: The layers that read the prompt.
        tower: The vision tower, where there is one of several layers.
        projector: The last module with one place for each image token, where there is one.
        projected: int (image token,), the place of each image token in the projector's output; -1 for none.
        projector_place: int (number,), the place of the projector's output that each number feeds, where
            image tokens are read between these places; None elsewhere.
    """

    positions: Ints
    ids: frozenset[int]
    token: Ints
    middle: Ints | None
    resampled: frozenset[tuple[int, int]]
    width: int
    layers: nn.ModuleList
    tower: Tower | None
    projector: nn.Module | None
    projected: Ints
    projector_place: Ints | None

    @property
    def tokens(self) -> int:
        """How many image tokens there are."""
        return len(self.positions)


def trace(loan: Loan, inputs: Mapping[str, Tensor], names: Sequence[str]) -> Wiring:
    """Follow the image through a borrowed model to its image tokens.

    Cost: one pass of the vision tower and the projector, up to four where convolutions overlap or attention
    pools; four backward passes of it, seven where patches are merged.

    Args:
        loan: The loan of the model.
        inputs: Keyword tensors of its forward, on its device.
        names: Those that hold the image.

    Raises:
        Unmeasurable: The image arrives nowhere, or single image tokens do not belong to single places.
    """
    reasons = []
    for narrow, pooled in ((False, False), (False, True), (True, False), (True, True)):
        silenced = Silenced(narrow=narrow, pooled=pooled)
        arrival = arrive(loan, inputs, names, mode=silenced)
        if arrival.rows is None or arrival.layers is None:
            reasons.append(_SUMMARY if silenced.crossed else _NOWHERE)
            continue
        token, mixed = _fed(arrival.rows, arrival)
        if mixed <= MOST_MIXED and (token >= 0).any():
            break
        reasons.append(_MANY if mixed else _NOWHERE)
    else:
        raise Unmeasurable(reasons[0])
    fed = np.unique(token[token >= 0])
    tower = _tower(arrival.rows, arrival, token, fed)
    projector, output, projected = _projector(arrival.rows, arrival, tower, fed)
    projector_place = None
    if silenced.resampled and output is not None:
        projector_place, _ = _fed(output.reshape(-1, output.shape[-1]), arrival)
    ids = inputs["input_ids"][0].cpu().numpy()[arrival.positions]
    middle = None
    if narrow:
        mode = Silenced(narrow=True, pooled=pooled, middle=True)
        again = arrive(loan, inputs, names, mode=mode)
        if again.rows is not None and len(again.rows) == len(arrival.rows):
            middle, _ = _fed(again.rows, again)
    return Wiring(
        arrival.positions,
        frozenset(ids.tolist()),
        token,
        middle,
        frozenset(silenced.resampled),
        arrival.rows.shape[1],
        arrival.layers,
        tower,
        projector,
        projected,
        projector_place,
    )


def layers_of_text(
    loan: Loan, inputs: Mapping[str, Tensor], names: Sequence[str]
) -> tuple[nn.ModuleList, bool]:
    """The layers that read the prompt, of a model whose image tokens cannot be placed.

    Whether gradients of the image reach them comes with them.

    Cost: one pass up to them, or two.

    Raises:
        Unmeasurable: There are none that an embedding of the prompt's tokens reaches.
    """
    for with_image in (True, False):
        unwatch = watch_gradients(loan)
        try:
            arrival = arrive(loan, inputs, names, mode=nullcontext(), with_image=with_image)
        except UnsupportedMethod:
            continue
        finally:
            unwatch()
        if arrival.layers is not None:
            return arrival.layers, with_image
    raise Unmeasurable("no layers were found that read its prompt")


_SUMMARY = "each is a summary of the whole image"
_MANY = "each depends on many places, also when positions do not attend to one another"
_NOWHERE = "none depends on the image when positions do not attend to one another"


def _fed(rows: Tensor, arrival: Arrival) -> tuple[Ints, float]:
    """The row that each number of all image inputs feeds; and the share that feeds several, of the best."""
    found = [owners(rows, image) for image in arrival.images]
    mixed = min(one.mixed for one in found if (one.row >= 0).any() or len(found) == 1)
    # What several rows share in one input may be single in another: a coarse copy, and a fine one.
    kept = [one.row if one.mixed <= MOST_MIXED else np.full_like(one.row, -1) for one in found]
    return np.concatenate(kept), mixed


def _tower(rows: Tensor, arrival: Arrival, token: Ints, fed: Ints) -> Tower | None:
    """The longest list of layers between the image inputs and the image tokens."""
    best: list[nn.Module] = []
    for parent in _lists(arrival):
        layers = [layer for layer in parent if layer in arrival.reaching]
        if len(layers) > len(best):
            best = layers
    if not best:
        return None
    outputs = [output for module, output in arrival.outputs if module is best[-1]]
    place = None
    # A tower that runs once for each tile has no output that holds them all.
    if len(outputs) == 1:
        place = _places(rows, outputs[0], arrival, token, fed)
    return Tower(tuple(best), place)


def _places(rows: Tensor, states: Tensor, arrival: Arrival, token: Ints, fed: Ints) -> Ints | None:
    """The place in a tower's output that each number feeds; None where places are not single."""
    of_tokens = _single_places(rows, states, fed)
    if of_tokens is not None and not _reach_beyond(states, arrival, token):
        # Each token is one place, so that what feeds the one feeds the other.
        return np.where(token >= 0, of_tokens[token], -1)
    place, mixed = _fed(states.reshape(-1, states.shape[-1]), arrival)
    if mixed <= MOST_MIXED and (place >= 0).any():
        return place
    return None


def _reach_beyond(states: Tensor, arrival: Arrival, token: Ints) -> bool:
    """Whether numbers that feed no image token, as those of padding, have places in a tower's output."""
    if (token >= 0).all():
        return False
    # A single digit: which place it is does not matter.
    reached = [owners(states.reshape(1, -1), image).row for image in arrival.images]
    return bool((np.concatenate(reached)[token < 0] >= 0).any())


def _lists(arrival: Arrival) -> list[list[nn.Module]]:
    """Lists of layers that ran, the one that the stream enters left out."""
    ran = {module for module, _ in arrival.outputs}
    found: list[list[nn.Module]] = []
    for module in arrival.lists:
        if module is not arrival.layers:
            layers = [layer for layer in module if layer in ran]
            if layers:
                found.append(layers)
    return found


def _projector(
    rows: Tensor, arrival: Arrival, tower: Tower | None, fed: Ints
) -> tuple[nn.Module | None, Tensor | None, Ints]:
    """The last module whose output has one place for each image token that is fed, with that and these."""
    inside: set[nn.Module] = set()
    for layer in tower.layers if tower else ():
        inside |= set(layer.modules())
    tried = 0
    for module, output in reversed(arrival.outputs):
        if module in inside or tried == MOST_PROJECTORS:
            break
        tried += 1
        place = _single_places(rows, output, fed)
        if place is not None:
            return module, output, place
    return None, None, np.full(len(rows), -1, dtype=np.int64)


def _single_places(rows: Tensor, output: Tensor, fed: Ints) -> Ints | None:
    """The place in an output that feeds each row; None where a row is fed by none, or by several."""
    if output.numel() // output.shape[-1] < len(fed):
        return None
    found = owners(rows, output)
    if found.mixed > MOST_MIXED:
        return None
    of_places = found.row.reshape(-1, output.shape[-1]).max(axis=1)
    places = np.flatnonzero(of_places >= 0)
    of_rows = of_places[places]
    # It may also make tokens that no pixel feeds, such as the ends of rows.
    if len(np.unique(of_rows)) < len(of_rows) or not np.isin(fed, of_rows).all():
        return None
    place = np.full(len(rows), -1, dtype=np.int64)
    place[of_rows] = places
    return place
