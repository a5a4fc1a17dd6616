"""Finds dictionaries, lists and sets in a model and its configs, and restores them from copies.

Restoring changes only what differs, so it may be interrupted and begun again at any point.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator
from operator import is_
from typing import Any

_CONTAINERS = frozenset({dict, OrderedDict, defaultdict, list, set})


def reachable(holders: Iterable[Any]) -> Iterator[Any]:
    """The containers in `holders`, and all inside them and inside config objects, each once."""
    waiting, seen = list(holders), set()
    while waiting:
        holder = waiting.pop()
        if id(holder) in seen:
            continue
        seen.add(id(holder))
        yield holder
        values = holder
        if isinstance(holder, dict):
            values = holder.values()
        for value in values:
            if type(value) in _CONTAINERS:
                waiting.append(value)
            elif _has_settings(value):
                waiting.append(vars(value))


def _has_settings(value: Any) -> bool:
    """Whether an object is a config, which has `to_dict`, or the state of quantised weights (`as_dict`)."""
    return hasattr(value, "__dict__") and any(hasattr(type(value), name) for name in ("to_dict", "as_dict"))


def put_back(holder: Any, copy: Any) -> None:
    """Make a container equal to its copy again, in place, with the same items in the same order."""
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
