"""What a method's facts rule out is refused before it runs; what it refuses itself, with other names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from groundviz.errors import UnsupportedMethod
from groundviz.methods.toolkit.facts import Facts
from groundviz.methods.toolkit.method import METHODS
from groundviz.record.targets import answered
from groundviz.record.types import Target


def refuse_targets(name: str, facts: Facts, targets: tuple[Target, ...]) -> None:
    """Stop a method that cannot explain what was asked for.

    Args:
        name: What it is called.
        facts: What is known of it.
        targets: What was asked for.

    Raises:
        TargetError: One of the targets is in the question, and the method explains the answer alone.
        UnsupportedMethod: One of them is a contrast, and the method has no scalar to compare.
    """
    for target in targets:
        if not facts.question:
            answered(target)
        if target.foil and not facts.contrasts:
            raise UnsupportedMethod(
                f"{name} cannot show {target.text!r}: it has no scalar whose difference could be taken. "
                f"Use one that explains a contrast: {_listed('contrasts')}."
            )


def fits(facts: Facts, targets: tuple[Target, ...], *, described: bool) -> bool:
    """Whether a method explains such targets, on a model whose modules are described or not.

    >>> fits(Facts(contrasts=False), (Target(tokens=(0,), text="yes"),), described=True)
    True
    """
    contrasts = any(target.foil for target in targets)
    asked = any(target.in_question for target in targets)
    explains = (facts.contrasts or not contrasts) and (facts.question or not asked)
    return explains and (facts.any_model or described)


def with_others(error: UnsupportedMethod) -> UnsupportedMethod:
    """A refusal, with the names of the methods that do without what there is none of."""
    if not error.lacks:
        return error
    return UnsupportedMethod(f"{error} These do: {_listed(error.lacks)}.", lacks="")


def without(lacking: str) -> tuple[str, ...]:
    """The methods that do without something: "modules", "gradients"; or explain "contrasts".

    >>> without("modules")
    ('occlusion', 'rise', 'shapley')
    """
    return tuple(name for name in METHODS if _DO_WITHOUT[lacking](METHODS.facts(name)))


def _listed(lacking: str) -> str:
    *others, last = without(lacking)
    return f"{', '.join(others)} or {last}" if others else last


_DO_WITHOUT: Mapping[str, Callable[[Facts], bool]] = MappingProxyType(
    {
        "modules": lambda facts: facts.any_model,
        "gradients": lambda facts: not facts.gradients,
        "contrasts": lambda facts: facts.contrasts,
    }
)
