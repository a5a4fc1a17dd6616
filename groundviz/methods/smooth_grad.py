"""SmoothGrad: the gradient at the pixels, averaged over noisy copies of the image."""

from __future__ import annotations

import torch
from torch import Tensor

from groundviz.methods.toolkit.gradients import cell_gradients, gradients_of
from groundviz.methods.toolkit.method import METHODS, positive
from groundviz.methods.toolkit.moments import Moments
from groundviz.methods.toolkit.sampling import samples_of, stated
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live


@METHODS.register(
    "smooth_grad",
    shows="Which pixels the answer is sensitive to, beyond what a little noise would wash out.",
    unit="nats per unit of the values",
    cost=(
        "`samples` forward passes, and as many backward passes per target; one more of each to see that "
        "there is a gradient"
    ),
    source='Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017',
    known_failure=(
        "The paper's noise of 0.1 to 0.2, chosen on photographs, is as strong as many a finding on a "
        "radiograph; the default is about the grain of one. Averaging does not find what the gradient does "
        "not show: on the demo model's nodules the highest pixel lies in the nodule 3 times in 10, no "
        "more often than without noise, and 1 time in 28 at 0.15."
    ),
    gradients=True,
    random=True,
    either_way=True,
)
def smooth_grad(
    live: Live,
    prompt: Prompt,
    answer: Answer,
    targets: tuple[Target, ...],
    *,
    samples: int = 32,
    noise: float = 0.02,
) -> list[Heatmaps]:
    """Average the gradient at the pixels over noisy copies of the image.

    Formula: the L2 norm over channels of the mean of dy/dx over `samples` images x + e, with y the target's
    scalar and e Gaussian noise whose deviation is `noise` times the range of the image's values. The mean is
    signed, the norm is taken last: gradients that point to and fro cancel. The standard error is that of the
    mean gradient along its own direction.
    Targets: any, and contrasts, for it or against it. A phrase put together from its tokens adds up their
    norms.
    """
    positive("smooth_grad", {"samples": samples, "noise": noise})
    site = live.site("pixels")
    cell_gradients(live, targets, site)
    image = live.read(site)
    deviation = noise * float(image.max() - image.min())
    seeds = torch.randint(2**62, (samples,), generator=live.stream()).tolist()

    moments = Moments()

    def run(part: slice) -> Tensor:
        copies = torch.cat([image + deviation * _noise(image, seed) for seed in seeds[part]])
        moments.add(gradients_of(live, targets, site, copies))
        return copies.new_empty(len(copies), 0)

    done = len(live.in_batches(samples, run, label="smooth_grad"))
    lengths, errors = moments.length()
    return stated(
        lengths,
        live.grids(site),
        targets,
        errors=errors,
        samples=samples_of(live, done, samples),
        params={"samples": done},
    )


def _noise(image: Tensor, seed: int) -> Tensor:
    """Standard normal, the same on every device and in batches of any size."""
    source = torch.Generator().manual_seed(seed)
    return torch.randn(image.shape, generator=source).to(image)
