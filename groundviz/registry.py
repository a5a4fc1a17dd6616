"""Names to objects, with "did you mean" and third-party entry points."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from groundviz.errors import UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one kind, each under one name.

    Args:
        kind: What one entry is called in messages, such as "method".
        group: Entry-point group through which other packages add entries.

    >>> greetings = Registry[str]("greeting", "groundviz.greetings")
    >>> greetings.add("hello", "good day")
    'good day'
    >>> greetings["helo"]
    Traceback (most recent call last):
    groundviz.errors.UnknownName: There is no greeting called 'helo'. Did you mean 'hello'? Known: hello.
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self.group = group
        self._entries: dict[str, T] = {}
        self._plugins_loaded = False

    def add(self, name: str, entry: T) -> T:
        """Put `entry` under `name`; a name is given once."""
        if name in self._entries:
            raise ValueError(f"A {self.kind} called {name!r} is already registered.")
        self._entries[name] = entry
        return entry

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate an object to put it under `name`."""
        return lambda entry: self.add(name, entry)

    def __getitem__(self, name: str) -> T:
        """The entry called `name`.

        Raises:
            UnknownName: Listing the known names and the closest one.
        """
        self._load_plugins()
        if name not in self._entries:
            near = difflib.get_close_matches(str(name), self._entries, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            known = ", ".join(sorted(self._entries))
            raise UnknownName(f"There is no {self.kind} called {name!r}.{hint} Known: {known}.")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        self._load_plugins()
        return iter(sorted(self._entries))

    def resolve(self, names: str | Iterable[str]) -> dict[str, T]:
        """The entries of one name or several, in the order given."""
        wanted = [names] if isinstance(names, str) else list(names)
        return {name: self[name] for name in wanted}

    def _load_plugins(self) -> None:
        if self._plugins_loaded:
            return
        self._plugins_loaded = True
        for plugin in entry_points(group=self.group):
            if plugin.name not in self._entries:
                self.add(plugin.name, plugin.load())
