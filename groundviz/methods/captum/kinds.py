"""Which of captum's methods are run, what is known of each, and why the others are refused.

Nothing here imports captum: tables and messages need it as little as a saved record does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from groundviz.methods.toolkit.facts import Facts

PREFIX = "captum"
# Scores of images that are held in memory at once, with and without what a gradient needs of them.
WITH_GRADIENTS, WITHOUT = 4, 16

ADDS_UP = "It compares with the baseline alone: what image and baseline share gets nothing."
HALF_HIDDEN = "Half-hidden images are like nothing the model has seen; no map is sharper than its pieces."
NOISE = "Random draws leave noise, and captum states no standard error."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """One of captum's methods.

    Attributes:
        facts: What is known of it.
        site: Where the image is changed or differentiated, unless asked otherwise.
        takes: What captum is given: the image's cells in a row, the same with pieces that come and go
            together, or each image as an area that windows move over.
        defaults: Options in place of captum's own defaults, which are made for small networks.
        shares: Whether the values are shares of the answer's log-probability, so that what a map
            foretells can be held against what happens.
    """

    facts: Facts
    site: str
    takes: Literal["cells", "pieces", "areas"] = "cells"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    shares: bool = True


def _gradient(shows: str, cost: str, source: str, failure: str, **facts: Any) -> Facts:
    known = {"unit": "nats", "gradients": True, "pass_per_target": True, **facts}
    return Facts(shows=shows, cost=cost, source=source, known_failure=failure, **known)


def _perturbation(shows: str, cost: str, source: str, failure: str, **facts: Any) -> Facts:
    known = {"unit": "nats", "any_model": True, "pass_per_target": True, **facts}
    return Facts(shows=shows, cost=cost, source=source, known_failure=failure, **known)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "IntegratedGradients": Kind(
            site="projector",
            defaults={"n_steps": 32, "internal_batch_size": WITH_GRADIENTS},
            facts=_gradient(
                "What each cell adds to the answer on the way from the baseline to the image.",
                "`n_steps` forwards and backwards for each target",
                'Sundararajan et al., "Axiomatic Attribution for Deep Networks", ICML 2017',
                ADDS_UP,
            ),
        ),
        "Saliency": Kind(
            site="projector",
            shares=False,
            facts=_gradient(
                "How strongly the answer reacts to a small change at each cell.",
                "one forward and one backward for each target",
                'Simonyan et al., "Deep Inside Convolutional Networks", 2013',
                "It says where the answer is sensitive, not what speaks for it.",
                unit="nats per unit of the values",
                either_way=True,
            ),
        ),
        "InputXGradient": Kind(
            site="projector",
            facts=_gradient(
                "What each cell adds to the answer, to first order.",
                "one forward and one backward for each target",
                'Shrikumar et al., "Not Just a Black Box", 2016',
                "It compares with zero, which stands for nothing in particular.",
            ),
        ),
        "GradientShap": Kind(
            site="projector",
            defaults={"n_samples": 16},
            facts=_gradient(
                "What each cell adds to the answer, averaged over random points between baseline and image.",
                "`n_samples` forwards and backwards for each target",
                'Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017',
                f"{ADDS_UP} {NOISE}",
                random=True,
            ),
        ),
        "NoiseTunnel": Kind(
            site="projector",
            shares=False,
            defaults={"nt_samples": 16, "nt_samples_batch_size": WITH_GRADIENTS, "stdevs": None},
            facts=_gradient(
                "Another gradient method's map (`of`), averaged over noisy copies of the image.",
                "`nt_samples` times that of the method `of`",
                'Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017',
                f"It fails where the method `of` fails. {NOISE}",
                unit="that of the method `of`",
                random=True,
            ),
        ),
        "FeatureAblation": Kind(
            site="pixels",
            takes="pieces",
            defaults={"perturbations_per_eval": WITHOUT},
            facts=_perturbation(
                "What the answer loses when one piece of the image is hidden.",
                "one forward for each of `cells` pieces and one more, for each target",
                'Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014',
                "What two pieces show alike is missed: hiding one of them costs nothing.",
            ),
        ),
        "Occlusion": Kind(
            site="pixels",
            takes="areas",
            shares=False,
            defaults={"perturbations_per_eval": WITHOUT, "sliding_window_shapes": None},
            facts=_perturbation(
                "What the answer loses when a window is hidden, averaged over the windows on each cell.",
                "one forward for each window and one more, for each target",
                'Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014',
                "In a model that sees an image in several tiles, a window hides its place in one of them.",
            ),
        ),
        "ShapleyValueSampling": Kind(
            site="pixels",
            takes="pieces",
            defaults={"n_samples": 10, "perturbations_per_eval": WITHOUT},
            facts=_perturbation(
                "Each piece's share of what the image adds to the answer, over random orders of the pieces.",
                "`n_samples` forwards for each of `cells` pieces, for each target",
                'Strumbelj and Kononenko, "An Efficient Explanation of Individual Classifications", 2010',
                f"{HALF_HIDDEN} {NOISE}",
                random=True,
            ),
        ),
        "ShapleyValues": Kind(
            site="pixels",
            takes="pieces",
            defaults={"cells": 4, "perturbations_per_eval": WITHOUT},
            facts=_perturbation(
                "Each piece's exact share of what the image adds to the answer, over all orders of them.",
                "one forward for each piece of each order: 96 for 4 pieces, 4,320 for 6; for each target",
                'Shapley, "A Value for n-Person Games", 1953',
                HALF_HIDDEN,
            ),
        ),
        "KernelShap": Kind(
            site="pixels",
            takes="pieces",
            defaults={"n_samples": 400, "perturbations_per_eval": WITHOUT},
            facts=_perturbation(
                "Each piece's share of what the image adds to the answer, by weighted least squares.",
                "`n_samples` forwards for each target",
                'Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017',
                f"{HALF_HIDDEN} {NOISE}",
                random=True,
            ),
        ),
        "Lime": Kind(
            site="pixels",
            takes="pieces",
            defaults={"n_samples": 400, "perturbations_per_eval": WITHOUT},
            facts=_perturbation(
                "How much each piece counts in a sparse linear model of the answer near the image.",
                "`n_samples` forwards for each target",
                'Ribeiro et al., "Why Should I Trust You?", KDD 2016',
                f"{HALF_HIDDEN} {NOISE}",
                random=True,
            ),
        ),
    }
)

_HOOKS = "it hooks the model's modules and replaces their gradients, which would change the borrowed model"
_LAYER = "it hooks a module of the model; give `site=` to a method without that word in its name instead"
_NEURON = "it explains a neuron inside the model, not the answer"
_HOOKING = "DeepLift DeepLiftShap LRP GuidedBackprop Deconvolution GuidedGradCam".split()
_LAYERS = (
    "LayerActivation LayerConductance LayerDeepLift LayerDeepLiftShap LayerFeatureAblation "
    "LayerFeaturePermutation LayerGradCam LayerGradientShap LayerGradientXActivation "
    "LayerIntegratedGradients LayerLRP InternalInfluence"
).split()
_NEURONS = (
    "NeuronConductance NeuronDeconvolution NeuronDeepLift NeuronDeepLiftShap NeuronFeatureAblation "
    "NeuronGradient NeuronGradientShap NeuronGuidedBackprop NeuronIntegratedGradients"
).split()
REFUSED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(_HOOKING, _HOOKS),
        **dict.fromkeys(_LAYERS, _LAYER),
        **dict.fromkeys(_NEURONS, _NEURON),
        "FeaturePermutation": "it exchanges pieces between images, and here there is one",
        "LimeBase": "it needs functions of the caller's; use Lime",
        **dict.fromkeys(
            "LLMAttribution LLMGradientAttribution RemoteLLMAttribution DataLoaderAttribution".split(),
            "it explains words or a data set, not an image",
        ),
    }
)
