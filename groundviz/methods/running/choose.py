"""From the names of methods to all their options."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from groundviz.errors import OptionError, UnknownName
from groundviz.methods.toolkit.method import METHODS

Recipes = Mapping[str, Mapping[str, Any]]
# What options of a plain kind take; those of other kinds are checked by the methods themselves.
_KINDS: Mapping[str, tuple[type, ...]] = {
    "bool": (bool,),
    "float": (int, float),
    "int": (int,),
    "str": (str,),
}


def choose(methods: str | Iterable[str] | Recipes) -> Recipes:
    """The options of each named method, the method's own where none are given.

    Args:
        methods: One name, several, or a table of names and their options.

    Raises:
        UnknownName: There is no such method, or it has no such option.
        OptionError: An option has a value of another kind than the method takes.

    >>> choose("attention")
    {'attention': {}}
    """
    named = [methods] if isinstance(methods, str) else methods
    wanted = named if isinstance(named, Mapping) else {name: {} for name in named}
    return {name: _filled(name, given) for name, given in wanted.items()}


def _filled(name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """All options of a method: what was given, and its defaults for the rest."""
    parameters = tuple(inspect.signature(METHODS[name]).parameters.values())
    known = {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}
    for option in given:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise UnknownName(f"{name} has no option {option!r}: it has {listed}. Name one of these.")
    for one in parameters:
        if one.name in given:
            _check_kind(name, one, given[one.name])
    return {**known, **given}


def _check_kind(name: str, option: inspect.Parameter, value: Any) -> None:
    """Refuse a value of another kind than the one that an option is declared with."""
    kind = str(option.annotation).removesuffix(" | None")
    if kind not in _KINDS or (value is None and kind != str(option.annotation)):
        return
    if not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise OptionError(
            f"{name} cannot take {option.name}={value!r:.60}: it is of type {type(value).__name__}, expected "
            f"{kind}. Give one like its default, {option.default!r}."
        )
