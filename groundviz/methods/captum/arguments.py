"""The options of captum's methods: captum's own, by name and kind, and those that say where and with what."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Mapping
from importlib import import_module
from typing import Any, get_args

from groundviz.errors import MissingExtra, OptionError, UnknownName, UnsupportedMethod
from groundviz.methods.captum.kinds import KINDS, PREFIX, REFUSED

# What captum is given by us, under the same names or in place of them.
OURS = frozenset(
    "self inputs target additional_forward_args baselines feature_mask show_progress kwargs "
    "return_convergence_delta return_input_shape grad_kwargs draw_baseline_from_distrib".split()
)
# What every method is given by position.
GIVEN = ("live", "prompt", "answer", "targets")
BASELINES = ("blur", "mean", "black", "zero")
CELLS = 49
_PLAIN = (bool, int, float, str)


def known(name: str) -> str:
    """The name of one of captum's methods that can be run.

    Raises:
        UnsupportedMethod: There is such a method, and it cannot be run on a borrowed model.
        UnknownName: There is none.

    >>> known("Saliency")
    'Saliency'
    """
    if name in KINDS:
        return name
    if name in REFUSED:
        listed = ", ".join(f"{PREFIX}:{one}" for one in KINDS)
        raise UnsupportedMethod(f"{PREFIX}:{name} is not run: {REFUSED[name]}. Use one of {listed}.")
    hint = ""
    for near in difflib.get_close_matches(name, (*KINDS, *REFUSED), n=1):
        hint = f" Did you mean {PREFIX + ':' + near!r}?"
    raise UnknownName(f"captum has no method called {name!r}.{hint} Known: {', '.join(KINDS)}.")


def attr() -> Any:
    """Captum's attribution methods.

    Raises:
        MissingExtra: captum is not installed.
    """
    try:
        return import_module("captum.attr")
    except ImportError:
        raise MissingExtra(
            'Methods of captum need captum. Install it with: pip install "groundviz[captum]"'
        ) from None


def version() -> str:
    """The installed captum's version, which is kept with each map."""
    return str(import_module("captum").__version__)


def signature(name: str) -> inspect.Signature:
    """How a method of captum is called here: as any method is, with all its options by keyword.

    Raises:
        MissingExtra: captum is not installed.
    """
    kind = KINDS[name]
    own = inspect.signature(getattr(attr(), name).attribute).parameters
    options: dict[str, tuple[Any, str]] = {"site": (kind.site, "str")}
    if "baselines" in own:
        options["baselines"] = ("blur", "str")
    if kind.takes == "pieces":
        options["cells"] = (CELLS, "int")
    if name == "NoiseTunnel":
        options["of"] = ("Saliency", "str")
    if kind.shares:
        options["infidelity"] = (0, "int")
    for parameter in own.values():
        if parameter.name not in OURS:
            options[parameter.name] = (parameter.default, _kind_of(parameter))
    for option, default in kind.defaults.items():
        options[option] = (default, _wider(options[option][1], default))
    given = []
    for each in GIVEN:
        given.append(inspect.Parameter(each, inspect.Parameter.POSITIONAL_OR_KEYWORD))
    for option, (default, annotation) in options.items():
        keyword = inspect.Parameter.KEYWORD_ONLY
        given.append(inspect.Parameter(option, keyword, default=default, annotation=annotation))
    return inspect.Signature(given)


def checked(name: str, options: Mapping[str, Any]) -> None:
    """Stop numbers and words that captum could do nothing with.

    Raises:
        OptionError: An option holds such a one.
    """
    for option, value in options.items():
        least = int(option not in ("stdevs", "infidelity"))
        # A line through one sample is flat: every map would be zero.
        if option == "n_samples" and name in ("KernelShap", "Lime"):
            least = 2
        if isinstance(value, int | float) and not isinstance(value, bool) and not least <= value < math.inf:
            raise OptionError(
                f"{PREFIX}:{name} cannot take {option}={value}: expected a number from {least} on. "
                "Give such a one."
            )
    _one_of(name, options, "baselines", BASELINES)
    _one_of(name, options, "of", tuple(one for one in KINDS if _may_be_inside(one)))
    _one_of(name, options, "nt_type", ("smoothgrad", "smoothgrad_sq", "vargrad"))


def _may_be_inside(name: str) -> bool:
    """Whether a method's map can be averaged over noisy copies of the image."""
    return KINDS[name].facts.gradients and name != "NoiseTunnel"


def _one_of(name: str, options: Mapping[str, Any], option: str, known: tuple[str, ...]) -> None:
    if option in options and options[option] not in known:
        raise OptionError(
            f"{PREFIX}:{name} cannot take {option}={options[option]!r}: there are {', '.join(known)}. "
            "Name one of these."
        )


def _kind_of(parameter: inspect.Parameter) -> str:
    """What an option takes, as the check of options reads it: "int", "int | None"; else "Any"."""
    declared = parameter.annotation
    if declared in _PLAIN:
        return str(declared.__name__)
    plain = [one for one in get_args(declared) if one in _PLAIN]
    if len(plain) == 1 and set(get_args(declared)) == {plain[0], type(None)}:
        return f"{plain[0].__name__} | None"
    # What may be one number or one for each input is one number here: there is one input.
    if plain and isinstance(parameter.default, float):
        return str(plain[0].__name__)
    return "Any"


def _wider(annotation: str, default: Any) -> str:
    """The same, with None allowed where that is the default."""
    if default is None and annotation != "Any" and not annotation.endswith("None"):
        return f"{annotation} | None"
    return annotation
