"""Gradient checkpointing: layers keep only their input, and compute the rest a second time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from groundviz.runtime.loan.guard import Loan

# Without dropout there is no random state to remember.
_TWICE = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)


@contextmanager
def checkpointed(loan: Loan, layers: Iterable[nn.Module]) -> Iterator[None]:
    """Until the block ends, layers keep only their input, and run again in the backward pass.

    The backward pass must be inside the block. Layers must not write to a KV cache meanwhile: run the
    model with `use_cache=False`.

    Args:
        loan: Of the model.
        layers: Parts of it, such as the decoder's layers; a layer inside another one gains nothing.

    >>> import torch
    >>> from groundviz.runtime.loan.guard import borrow
    >>> model, given = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)), torch.ones(1, 2, requires_grad=True)
    >>> with borrow(model) as loan, checkpointed(loan, model):
    ...     torch.autograd.grad(model(given).sum(), given)[0].shape
    torch.Size([1, 2])
    """
    undos = []
    try:
        for layer in layers:
            undos.append(loan.wrap(layer, _TWICE))
        yield
    finally:
        for undo in undos:
            undo()
