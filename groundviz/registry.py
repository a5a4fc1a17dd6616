"""Registries of objects by name, with "did you mean" and entry points of other packages."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar

from groundviz.cards import Table, card
from groundviz.errors import UnknownName
from groundviz.forking import fork_safe_lock

T = TypeVar("T")


def no_function_of(*arguments: str) -> Callable[[object], str]:
    """What tells why an entry is no function that takes such arguments, in a few words; "" if it is one.

    >>> fault = no_function_of("image", "question")
    >>> fault(3), fault(lambda image: image), fault(lambda image, question, seed=0: image)
    ('is no function', 'does not take (image, question)', '')
    """

    def fault(entry: object) -> str:
        if not callable(entry) or isinstance(entry, type):
            return "is no function"
        try:
            inspect.signature(entry).bind(*arguments)
        except (TypeError, ValueError):
            return f"does not take ({', '.join(arguments)})"
        return ""

    return fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge(Generic[T]):
    """Names of another library, each written "prefix:name", that a registry looks up there.

    Attributes:
        prefix: What stands before the colon.
        says: What these entries are, in a few sentences.
        names: The names that lead to an entry.
        refused: The names that lead to none, and why.
        entry: The entry of a name; it says what is wrong with one that leads to none.
        facts: What is known of the entry of a name.
    """

    prefix: str
    says: str
    names: tuple[str, ...]
    refused: Mapping[str, str]
    entry: Callable[[str], T]
    facts: Callable[[str], Any]


class Registry(Generic[T]):
    """Objects of one kind, each under one name.

    Args:
        kind: Name of one entry in messages, such as "method".
        group: Entry-point group through which other packages add entries.
        fault: Describes what is wrong with an entry of another package; returns "" if nothing is.
        facts: Makes the facts of an entry from the keywords of its registration.

    >>> greetings = Registry[str]("greeting", "groundviz.greetings")
    >>> greetings.add("hello", "good day")
    'good day'
    >>> greetings["helo"]
    Traceback (most recent call last):
    groundviz.errors.UnknownName: There is no greeting called 'helo'. Did you mean 'hello'? Known: hello.
    >>> greetings, len(greetings), "hello" in greetings
    (<1 greeting: hello>, 1, True)
    """

    def __init__(
        self,
        kind: str,
        group: str,
        fault: Callable[[object], str] = lambda entry: "",
        facts: Callable[..., Any] = dict,
    ) -> None:
        self.kind = kind
        self.group = group
        self._fault = fault
        self._facts_from = facts
        self._entries: dict[str, T] = {}
        self._facts: dict[str, Any] = {}
        self.bridges: dict[str, Bridge[T]] = {}
        self._foreign: set[str] = set()
        self._plugins_loaded = False
        self._turn = fork_safe_lock()

    def add(self, name: str, entry: T, **facts: Any) -> T:
        """Register `entry` as `name`, with its facts; each name can be used once."""
        if name in self._entries:
            raise ValueError(f"A {self.kind} called {name!r} is already registered.")
        # Made first: an entry whose facts will not do is not registered.
        self._facts[name] = self._facts_from(**facts)
        self._entries[name] = entry
        return entry

    def register(self, name: str, **facts: Any) -> Callable[[T], T]:
        """A decorator that registers an object as `name`, with its facts."""
        return lambda entry: self.add(name, entry, **facts)

    def facts(self, name: str) -> Any:
        """The facts that the registration of `name` states; those it leaves out have their defaults.

        Raises:
            UnknownName: As for the entry itself.
        """
        if bridged := self._bridged(name):
            return bridged[0].facts(bridged[1])
        # The look-up says which names there are.
        _ = self[name]
        return self._facts[name] if name in self._facts else self._facts_from()

    def __getitem__(self, name: str) -> T:
        """The entry called `name`, which lies behind a bridge where it has a bridge's prefix.

        Raises:
            UnknownName: Listing the known names and the closest one.
        """
        self._load_plugins()
        if bridged := self._bridged(name):
            return bridged[0].entry(bridged[1])
        if name not in self._entries:
            near = difflib.get_close_matches(str(name), self._entries, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            known = ", ".join(sorted(self._entries))
            raise UnknownName(f"There is no {self.kind} called {name!r}.{hint} Known: {known}.")
        return self._entries[name]

    def _bridged(self, name: object) -> tuple[Bridge[T], str] | None:
        """The bridge that a name leads over, and the name behind it."""
        prefix, colon, rest = str(name).partition(":")
        if colon and prefix in self.bridges:
            return self.bridges[prefix], rest
        return None

    def __iter__(self) -> Iterator[str]:
        self._load_plugins()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        self._load_plugins()
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        self._load_plugins()
        # As the look-up has it: what lies behind a bridge is there, though it is in no list.
        if bridged := self._bridged(name):
            return bridged[1] in bridged[0].names
        return name in self._entries

    def __repr__(self) -> str:
        return f"<{self._counted()}: {', '.join(self)}>"

    def _repr_html_(self) -> str | None:
        rows = tuple((name, self._says(name)) for name in self)
        return card(Table(title=self._counted(), head=("name", "what it is"), rows=rows))

    def _says(self, name: str) -> str:
        """What an entry is, by its facts or by itself; empty where neither states it."""
        return getattr(self.facts(name), "shows", "") or getattr(self[name], "says", "")

    def _counted(self) -> str:
        """How many entries there are, and of what kind."""
        if len(self) == 1:
            return f"1 {self.kind}"
        if self.kind.endswith("y"):
            return f"{len(self)} {self.kind[:-1]}ies"
        return f"{len(self)} {self.kind}s"

    def ours_first(self) -> list[str]:
        """All names, sorted; those that other packages added come last."""
        return sorted(self, key=lambda name: (name in self._foreign, name))

    def resolve(self, names: str | Iterable[str]) -> dict[str, T]:
        """The entries of one name or several, in the order given."""
        wanted = [names] if isinstance(names, str) else list(names)
        return {name: self[name] for name in wanted}

    def _load_plugins(self) -> None:
        with self._turn:
            if self._plugins_loaded:
                return
            # Set before loading: a package may look up a name here while it is being imported.
            self._plugins_loaded = True
            for plugin in entry_points(group=self.group):
                if plugin.name not in self._entries:
                    self._load(plugin)

    def _load(self, plugin: EntryPoint) -> None:
        """Load one entry point of another package; where it fails, all its entries are removed again.

        An entry point names an object, or a module that registers objects when it is imported. An object
        may do both, as its `register` decorator runs on import.
        """
        before = dict(self._entries)
        try:
            found: Any = plugin.load()
            known = any(entry is found for entry in self._entries.values())
            if not (isinstance(found, ModuleType) or known or plugin.name in self._entries):
                self.add(plugin.name, found)
            faults = {name: self._fault(self._entries[name]) for name in self._entries.keys() - before.keys()}
            why = "; ".join(f"{name!r} {fault}" for name, fault in sorted(faults.items()) if fault)
        except (Exception, SystemExit) as error:
            # Only its type: its message may contain a path.
            why = f"loading it raises {type(error).__name__}"
        self._foreign |= self._entries.keys() - before.keys()
        if why:
            self._entries = before
            package = f" of the package {plugin.dist.name}" if plugin.dist else ""
            warnings.warn(
                f"The {self.kind} {plugin.name!r}{package} ({plugin.value}) is left out: {why}. "
                "Update that package or tell its authors; everything else works.",
                RuntimeWarning,
                stacklevel=5,
            )
