"""From a borrowed model and options to the map that one of captum's methods makes of each target."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from groundviz.errors import MissingExtra, OptionError, OutOfMemory
from groundviz.methods.captum import arguments, inputs
from groundviz.methods.captum.infidelity import infidelity
from groundviz.methods.captum.kinds import KINDS, PREFIX, WITH_GRADIENTS, WITHOUT, Kind
from groundviz.methods.toolkit.gradients import cell_gradients
from groundviz.methods.toolkit.method import Method, laid_out
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live
from groundviz.runtime.inputs.sites import Site
from groundviz.runtime.loan.process_state import own_streams
from groundviz.runtime.passes.batches import is_out_of_memory

# All orders of so many pieces take an hour on a small model.
MOST_EXACT = 6
# The noise of copies where none is asked for, as a share of the range of the values: a radiograph's grain.
NOISE = 0.02


def entry(name: str) -> Method:
    """One of captum's methods as any other method, with the same options by keyword.

    Raises:
        UnknownName: captum has none of that name.
        UnsupportedMethod: It has, and it cannot be run on a borrowed model.
        MissingExtra: captum is not installed.
    """
    signature = arguments.signature(arguments.known(name))

    def method(
        live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...], **given: Any
    ) -> list[Heatmaps]:
        """Run captum's own method on the answer's scalar, target by target."""
        filled = signature.bind(live, prompt, answer, targets, **given)
        filled.apply_defaults()
        # What is left beside the four that every method is given are the options.
        options = dict(filled.arguments)
        for each in arguments.GIVEN:
            del options[each]
        return _measured(name, live, targets, options)

    method.__signature__ = signature  # type: ignore[attr-defined]
    method.__name__ = f"{PREFIX}:{name}"
    method.__doc__ = f"{KINDS[name].facts.shows}\n\nFormula: that of captum.attr.{name}."
    return method


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One of captum's methods with what it works on, the same for every target."""

    name: str
    kind: Kind
    live: Live
    site: Site
    options: Mapping[str, Any]
    at: Tensor

    @property
    def baseline(self) -> Tensor:
        """What the image is compared with; zero where captum's method has no say in it."""
        return inputs.without(self.live, self.site, self.options.get("baselines", "zero"))


def _measured(
    name: str, live: Live, targets: tuple[Target, ...], options: Mapping[str, Any]
) -> list[Heatmaps]:
    """The maps of all targets; each target starts from the same random numbers."""
    arguments.checked(name, options)
    kind, site = KINDS[name], live.site(options["site"])
    if kind.facts.gradients:
        # Refuses a model or a place without a gradient, in our words and before captum's passes begin.
        cell_gradients(live, targets, site)
    at = inputs.pieces(live, site, options.get("cells", arguments.CELLS))
    work = _Work(name, kind, live, site, options, at)
    _refuse_too_many(work)
    maps, numbers = [], []
    for target in targets:
        values, number = _with_less_memory(work, target)
        maps.append(values)
        numbers.append(number)
    params: dict[str, Any] = {"captum": arguments.version()}
    if options.get("infidelity"):
        params["infidelity"] = tuple(numbers)
    unit, signed = _unit(name, options)
    return laid_out(
        torch.stack(maps).cpu(), live.grids(site), targets, unit=unit, signed=signed, params=params
    )


def _with_less_memory(work: _Work, target: Target) -> tuple[Tensor, float]:
    """One target's map, float32 (cell,), and its infidelity; with smaller passes when memory runs out."""
    # A gradient needs the activations of every layer, a score does not.
    at_once = WITHOUT
    if work.kind.facts.gradients:
        at_once = WITH_GRADIENTS
    while True:
        try:
            with own_streams(work.live.stream().initial_seed()):
                return _one(work, target, at_once)
        except (MemoryError, RuntimeError) as error:
            if not (isinstance(error, MemoryError) or is_out_of_memory(error)):
                raise
        # Outside the handler: the error holds the frames that hold the tensors.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if at_once == 1:
            raise OutOfMemory(
                f"{PREFIX}:{work.name} ran out of memory: one image at a time does not fit beside the model. "
                "Free memory, give captum smaller batches, or use a method that needs less."
            )
        at_once //= 2


def _one(work: _Work, target: Target, at_once: int) -> tuple[Tensor, float]:
    label = f"{PREFIX}:{work.name}"
    scorer = inputs.Scorer(work.live, target, work.site, label, at_once, _passes(work))
    found = _attributed(work, scorer)
    samples = work.options.get("infidelity", 0)
    if not samples:
        return found, 0.0
    image = work.live.read(work.site).float()
    number = infidelity(scorer, image, work.baseline, work.at, _shares(work, found), samples=samples)
    return found, number


def _attributed(work: _Work, scorer: inputs.Scorer) -> Tensor:
    """What captum attributes to each cell, float32 (cell,)."""
    # In a row: captum views what it is given in other shapes.
    image = work.live.read(work.site).detach().float().contiguous()
    own = {option: value for option, value in work.options.items() if option not in _NOT_CAPTUMS}
    if "baselines" in work.options:
        own["baselines"] = work.baseline
    if work.kind.takes == "areas":
        return _over_areas(work, scorer, image, own)
    if work.kind.takes == "pieces":
        own["feature_mask"] = work.at.to(image.device)[None, :, None].expand_as(image).contiguous()
        # Every channel of a piece holds the piece's value.
        pieces: Tensor = _run(work, scorer, image, own)[0, :, 0]
        return pieces
    if "stdevs" in own:
        spread = NOISE * float(image.max() - image.min())
        # captum takes no whole number here.
        own["stdevs"] = spread if own["stdevs"] is None else float(own["stdevs"])
    if work.name == "NoiseTunnel" and work.options["of"] in _WITH_BASELINES:
        own["baselines"] = inputs.without(work.live, work.site, "blur")
    # captum would set this itself, with a warning.
    cells: Tensor = _run(work, scorer, image.clone().requires_grad_(), own)
    return cells[0].detach().sum(dim=-1)


def _over_areas(work: _Work, scorer: inputs.Scorer, image: Tensor, own: dict[str, Any]) -> Tensor:
    """As `_attributed`, with windows that move over the rows and columns of each area."""
    drawn = inputs.areas(work.live, work.site, image)
    # A window is as wide as those of our own occlusion, and moves by half its width.
    windows, steps = [], []
    for area in drawn:
        windows.append(_window(own.get("sliding_window_shapes"), area, 1 / 7))
        steps.append(_window(own.get("strides"), area, 1 / 14))
    own["sliding_window_shapes"], own["strides"] = tuple(windows), tuple(steps)
    own["baselines"] = inputs.areas(work.live, work.site, own["baselines"])
    found = _run(work, inputs.on_areas(work.live, work.site, scorer), drawn, own)
    return inputs.from_areas(work.live, work.site, found)[0].mean(dim=-1)


def _window(given: Any, area: Tensor, share: float) -> tuple[int, ...]:
    """Rows, columns and channels of a window or a step; all channels where none are given."""
    _, rows, cols, channels = area.shape
    if given is None:
        side = max(1, round(share * min(rows, cols)))
        return min(side, rows), min(side, cols), channels
    whole: tuple[Any, ...] = (given, given)
    if isinstance(given, Sequence):
        whole = tuple(given)
    if len(whole) == 2:
        whole = (*whole, channels)
    # True is an int to Python, and no length to anybody.
    if len(whole) != 3 or not all(type(side) is int and side > 0 for side in whole):
        raise OptionError(
            f"{PREFIX}:Occlusion cannot take a window or stride of {given!r}: expected rows and columns, and "
            "perhaps channels, each a whole number above 0. Give for example [15, 15]."
        )
    return tuple(min(side, most) for side, most in zip(whole, (rows, cols, channels), strict=True))


def _run(work: _Work, score: Callable[..., Tensor], image: Any, own: Mapping[str, Any]) -> Any:
    """What captum's own method returns.

    Raises:
        OptionError: captum cannot do anything with these options.
        MissingExtra: It needs a package that is not installed.
    """
    library = arguments.attr()
    if work.name == "NoiseTunnel":
        method = library.NoiseTunnel(getattr(library, work.options["of"])(score))
    else:
        method = getattr(library, work.name)(score)
    try:
        return method.attribute(image, **own)
    except (AssertionError, ValueError) as error:
        if "sklearn" in str(error):
            raise MissingExtra(
                f"{PREFIX}:{work.name} fits a linear model with scikit-learn. Install it with: pip install "
                '"groundviz[captum]"'
            ) from None
        raise OptionError(
            f"captum cannot run {work.name} with these options: {error}. Change them, or leave them out."
        ) from error


def _shares(work: _Work, found: Tensor) -> Tensor:
    """What each piece adds by the map, float (piece,)."""
    count, at = int(work.at.max()) + 1, work.at.to(found.device)
    summed = torch.zeros(count, device=found.device).index_add(0, at, found.float())
    if work.kind.takes == "cells":
        return summed
    # Every cell of a piece holds the piece's value.
    return summed / torch.bincount(at, minlength=count)


def _passes(work: _Work) -> int:
    """How many images will be scored, as far as can be told before."""
    options, count = work.options, int(work.at.max()) + 1
    steps = options.get("n_samples") or options.get("n_steps") or options.get("nt_samples") or 1
    if work.name == "Occlusion":
        return 0
    if work.name in ("FeatureAblation", "ShapleyValueSampling"):
        return int(steps * count + 1)
    return int(steps)


def _unit(name: str, options: Mapping[str, Any]) -> tuple[str, bool]:
    """The unit of a map, and whether it holds values below zero."""
    if name == "NoiseTunnel":
        # The method inside runs with its own defaults, of which Saliency's takes the size alone.
        unit, signed = _unit(options["of"], {"abs": options["of"] == "Saliency"})
        if options["nt_type"] != "smoothgrad":
            return f"{unit}, squared", False
        return unit, signed
    # Only Saliency has `abs`: without the sign nothing is below zero.
    return KINDS[name].facts.unit, not options.get("abs", False)


def _refuse_too_many(work: _Work) -> None:
    count = int(work.at.max()) + 1
    if work.name == "ShapleyValues" and count > MOST_EXACT:
        raise OptionError(
            f"{PREFIX}:ShapleyValues cannot go through all orders of {count} pieces: expected at most "
            f"{MOST_EXACT}. Give fewer cells, or use {PREFIX}:ShapleyValueSampling."
        )


_NOT_CAPTUMS = frozenset(("site", "cells", "baselines", "infidelity", "of"))
_WITH_BASELINES = ("IntegratedGradients", "GradientShap")
