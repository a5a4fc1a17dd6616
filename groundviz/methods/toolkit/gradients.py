"""How an answer's scalars change with the image at a site, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.record.types import Target
from groundviz.runtime.inputs.sites import Site
from groundviz.runtime.live import Live

# What is left of sums that cancel, as a share of their terms, in float32.
ROUNDING = 1e-5


def usual_site(live: Live) -> str:
    """The projector; the pixels, where the image has no cells behind it."""
    if Site("projector") in live.sites:
        return "projector"
    return "pixels"


def cell_gradients(live: Live, targets: Sequence[Target], site: Site) -> tuple[Tensor, Tensor]:
    """The image at a site, and how each target's scalar changes with it.

    Returns:
        Two float32: (cell, channel), and (target, cell, channel) in nats per unit of the values.

    Raises:
        UnsupportedMethod: The model cannot be differentiated, or the gradient is zero at every cell.
    """
    ((values, gradients),) = live.gradients(targets, site)
    if not gradients.any():
        others = ", ".join(str(other) for other in live.sites[:-1] if other != site)
        raise UnsupportedMethod(
            f"There is no gradient at {site}: it is exactly zero at every image cell. The answer reads the "
            "image through the attention of later layers, and behind the last layer there is none. "
            f"Name another place: {others}."
        )
    return values.float(), gradients


def layer_gradients(live: Live, targets: Sequence[Target], at: str) -> tuple[Tensor, Tensor]:
    """As `cell_gradients`, at a layer named by the user.

    Raises:
        UnsupportedMethod: As there; or the pixels were named, which have no features to weigh.
        UnknownName: The model has no place of that name.
    """
    site = live.site(at)
    if site.stage == "pixels":
        raise UnsupportedMethod(
            "An activation map weighs the features of a layer: 'pixels' has colours and no features. "
            "Name a layer, such as projector, or use input_gradient at the pixels."
        )
    return cell_gradients(live, targets, site)


def products(site: Site, values: Tensor, gradients: Tensor) -> Tensor:
    """What each cell adds to first order, the sum of x * dy/dx over channels: float32 (target, cell).

    Args:
        site: Where both were read.
        values: (cell, channel).
        gradients: (target, cell, channel).

    Raises:
        UnsupportedMethod: In every cell the channels cancel, up to rounding.
    """
    terms = values * gradients
    found = terms.sum(dim=-1)
    if found.abs().max() <= ROUNDING * terms.abs().sum(dim=-1).max():
        raise UnsupportedMethod(
            f"At {site} values times gradients add up to zero in every cell: what follows normalises each "
            "cell by itself, so that making it larger changes nothing. Name a place behind that, such as "
            "projector, or use gradient_norm or layer_cam."
        )
    return found


def gradients_of(live: Live, targets: Sequence[Target], site: Site, values: Tensor) -> Tensor:
    """How each target's scalar changes with values put in at a site.

    Args:
        live: A borrowed model that has answered.
        targets: What to differentiate; they share the forward pass.
        site: Where to put the values.
        values: (batch, ...), shaped like `live.read(site)`.

    Returns:
        float32 (batch, target, cell, channel), nats per unit of the values.
    """

    def scores(given: Tensor) -> Tensor:
        # Items of a batch do not see one another, so the gradient of the sum is each item's own.
        return live.scores(targets, site, given).sum(dim=0)

    found: Tensor = torch.autograd.functional.jacobian(scores, values)
    return found.transpose(0, 1).float()
