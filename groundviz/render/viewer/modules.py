"""ES modules joined into one program, so that a page needs no import and we need no build step.

The modules are written in a small part of the language, which is all that is needed here: names are
imported in braces, unchanged, from files beside; functions, classes and constants are exported where they
are declared, at the start of a line. Whatever else is found is refused, never guessed at.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass

_IMPORT = re.compile(r'^import \{([\w\s,]*)\} from "(\.{1,2}/[\w./-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function |class |const )", re.MULTILINE)
_DECLARED = re.compile(r"^(export )?(?:async )?(?:function|class|const|let|var) (\w+)", re.MULTILINE)
# Several names at once, which `_DECLARED` would not read.
_PATTERN = re.compile(r"^(?:export )?(?:const|let|var) [\[{]", re.MULTILINE)
_LEFT = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


@dataclass(frozen=True)
class Module:
    """One file.

    Attributes:
        imports: The names that it takes, by the path they come from.
        names: Every name that it declares at the start of a line.
        exports: Those of them that others may take.
        body: Its text without imports, and without the word "export".
    """

    imports: dict[str, set[str]]
    names: list[str]
    exports: set[str]
    body: str


def parsed(path: str, text: str) -> Module:
    """Read one module.

    Raises:
        ValueError: It declares, imports or exports in a way that is not understood here.
    """
    if unread := _PATTERN.search(text):
        raise ValueError(f"{path} declares several names at once: {unread[0]!r}. Declare one at a time.")
    imports: dict[str, set[str]] = {}
    for names, source in _IMPORT.findall(text):
        found = posixpath.normpath(posixpath.join(posixpath.dirname(path), source))
        imports.setdefault(found, set()).update(re.findall(r"\w+", names))
    declared = _DECLARED.findall(text)
    exports = {name for exported, name in declared if exported}
    body = _EXPORT.sub("", _IMPORT.sub("", text))
    return Module(imports, [name for _, name in declared], exports, body)


def joined(entry: str, read: Callable[[str], str], *, ending: str) -> str:
    r"""One text of a module and all that it imports, each after what it needs.

    Args:
        entry: The path of the module to begin with.
        read: Gives a module's text by its path.
        ending: The last line of the entry, which alone may export in another way. It is left out.

    Raises:
        ValueError: A module is not understood, two of them import each other or declare the same
            name, or one imports what another does not export.

    Cost:
        Each module is read once.

    >>> files = {"two.js": "export const two = 2;\n"}
    >>> files["main.js"] = 'import { two } from "./two.js";\nconst four = two + two;\nexport default four;\n'
    >>> print(joined("main.js", files.__getitem__, ending="export default four;"))
    const two = 2;
    const four = two + two;
    <BLANKLINE>
    """
    modules: dict[str, Module] = {}
    _add(entry, read, modules, ())
    _check_imports(modules)
    _check_names(modules)
    text = "".join(module.body for module in modules.values())
    program = text.removesuffix(f"{ending}\n")
    if program == text:
        raise ValueError(f"{entry} does not end in {ending!r}.")
    if left := _LEFT.search(program):
        raise ValueError(f"This import or export is not understood: {left[0]!r}. Write it as the others are.")
    return program


def _add(path: str, read: Callable[[str], str], modules: dict[str, Module], above: tuple[str, ...]) -> None:
    """Put a module behind those that it imports; `above` are those that wait for it."""
    if path in modules:
        return
    if path in above:
        raise ValueError(f"Modules import each other in a circle: {' → '.join((*above, path))}.")
    module = parsed(path, read(path))
    for needed in module.imports:
        _add(needed, read, modules, (*above, path))
    modules[path] = module


def _check_imports(modules: dict[str, Module]) -> None:
    for path, module in modules.items():
        for source, names in module.imports.items():
            missing = names - modules[source].exports
            if missing:
                raise ValueError(
                    f"{path} imports {sorted(missing)} from {source}, which exports no such name."
                )


def _check_names(modules: dict[str, Module]) -> None:
    home: dict[str, str] = {}
    for path, module in modules.items():
        for name in module.names:
            if name in home:
                raise ValueError(f"{path} and {home[name]} both declare {name!r}. Rename one of them.")
            home[name] = path
