"""What methods that work in steps state of their maps: how many steps they rest on, and their error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from groundviz.methods.toolkit.method import each_token, laid_out
from groundviz.methods.toolkit.regions import Canvas, canvases
from groundviz.record.types import Answer, Grid, Heatmaps, Samples, Target
from groundviz.runtime import Live
from groundviz.runtime.inputs.sites import Site
from groundviz.runtime.passes.float32_head import NARROW

COPIES = 8


def each_token_and_all(answer: Answer, targets: Iterable[Target]) -> tuple[Target, ...]:
    """Every token, and the targets that are more than a token.

    A method that draws at random measures these as wholes: the error of a sum cannot be told from the
    errors of its parts, which the same draws have in common.
    """
    whole = (target for target in targets if target.foil or len(target.tokens) > 1)
    return (*each_token(answer), *whole)


def samples_of(live: Live, done: int, asked: int) -> Samples:
    """What a map rests on; all that was asked for, unless the work was interrupted.

    Args:
        live: The model, which knows whether Ctrl-C has ended the work.
        done: Steps that the map is made of.
        asked: Steps there would have been.
    """
    return Samples(done=done, asked=max(done, asked) if live.interrupted else done)


def stated(
    values: Any,
    grids: Sequence[Grid],
    targets: Sequence[Target],
    *,
    samples: Samples,
    errors: Any = None,
    **options: Any,
) -> list[Heatmaps]:
    """Maps as `laid_out` makes them, with what they rest on.

    Args:
        values: As there.
        grids: As there.
        targets: As there.
        samples: Steps made and asked for.
        errors: The standard error of each value, of the same shape; None where chance has no part, or
            where too few draws were made to tell.
        options: As there.
    """
    maps = [replace(one, samples=samples) for one in laid_out(values, grids, targets, **options)]
    if errors is None:
        return maps
    spreads = laid_out(errors, grids, targets, **options)
    return [replace(one, standard_error=spread.values) for one, spread in zip(maps, spreads, strict=True)]


def rounding(live: Live, targets: Sequence[Target], site: Site) -> dict[str, float]:
    """What is left of a model's 16 bits in a score, in nats, by name; nothing for a model in 32.

    The image at a site is changed by half of its last digit, up or down at random, a few times over: by
    as much as scores differ then, they are not to be believed.
    """
    image = live.read(site)
    dtype = next(live.vlm.model.parameters()).dtype
    if dtype not in NARROW:
        return {}
    stream = torch.Generator().manual_seed(0)
    signs = torch.randint(2, (COPIES, *image.shape[1:]), generator=stream).to(image.device) * 2 - 1
    changed = image.float() * (1 + signs * torch.finfo(dtype).eps)
    with torch.no_grad():
        found = live.scores(targets, site, changed.to(image.dtype))
    return {"rounding": float(found.std(dim=0).max())}


def of_each_image(live: Live, measure: Callable[[Canvas], list[Heatmaps]]) -> list[Heatmaps]:
    """The maps of one image after the other; Ctrl-C keeps those of the images before it.

    Raises:
        KeyboardInterrupt: Nothing was measured before the interruption.
    """
    maps: list[Heatmaps] = []
    for canvas in canvases(live):
        try:
            maps += measure(canvas)
        except KeyboardInterrupt:
            if not maps:
                raise
            live.interrupted = True
        if live.interrupted:
            break
    return maps


def precise(values: Tensor, errors: Tensor, tolerance: float) -> bool:
    """Whether no cell's error, (target, cell), exceeds a share of its map's range.

    >>> import torch
    >>> precise(torch.tensor([[0.0, 2.0]]), torch.tensor([[0.05, 0.1]]), 0.05)
    True
    """
    reach = values.amax(dim=1) - values.amin(dim=1)
    return bool((errors.amax(dim=1) <= tolerance * reach).all())
