"""Dictionaries, lists and sets found in a model and its configs, and put back as they were.

Putting back changes only what differs, so it may be cut short and begun again at any point.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator
from operator import is_
from typing import Any

_CONTAINERS = frozenset({dict, OrderedDict, defaultdict, list, set})


def reachable(holders: Iterable[Any]) -> Iterator[Any]:
    """The containers in `holders`, and those inside them and inside objects that hold settings, each once."""
    waiting, seen = list(holders), set()
    while waiting:
        holder = waiting.pop()
        if id(holder) in seen:
            continue
        seen.add(id(holder))
        yield holder
        for value in holder.values() if isinstance(holder, dict) else holder:
            if type(value) in _CONTAINERS:
                waiting.append(value)
            elif _has_settings(value):
                waiting.append(vars(value))


def _has_settings(value: Any) -> bool:
    """Configs say what is in them as `to_dict`, the state of quantised weights as `as_dict`."""
    return hasattr(value, "__dict__") and any(hasattr(type(value), name) for name in ("to_dict", "as_dict"))


def put_back(holder: Any, copy: Any) -> None:
    """Make a container equal to its copy again, in place, order and identity of its items included."""
    if isinstance(holder, dict):
        if not (_same(holder, copy) and _same(holder.values(), copy.values())):
            _put_back_items(holder, copy)
    elif isinstance(holder, list):
        if not _same(holder, copy):
            holder[:] = copy
    elif holder != copy:
        holder.clear()
        holder.update(copy)


def _same(now: Any, then: Any) -> bool:
    return len(now) == len(then) and all(map(is_, now, then))


def _put_back_items(holder: dict[Any, Any], copy: dict[Any, Any]) -> None:
    # Item by item, so that the model is never without its parts.
    for key in [key for key in holder if key not in copy]:
        del holder[key]
    for key, value in copy.items():
        if key not in holder or holder[key] is not value:
            holder[key] = value
    if list(holder) != list(copy):
        for key in copy:
            holder[key] = holder.pop(key)
