"""Checks what a pickle would do without running it: only named tensors in plain containers are accepted.

A pickle is a program. Torch's own reader runs no foreign code, but the program may fill the memory: a few
bytes can ask for gigabytes, copy a list a million times, or build a key whose hash takes for ever. So the
program is followed here with stand-ins for its objects, at a cost that grows only with its length.
"""

from __future__ import annotations

import pickletools
import re
from typing import Any, NamedTuple

from groundviz.errors import UnsupportedModel

MOST_PARTS, LONGEST_SIZE, LONGEST_BYTES = 1_000_000, 64, 64 << 20
LARGEST_SPARSE = 10_000_000
REFUSED = "Ask its publisher for safetensors."

MADE = {f"torch._utils._rebuild_{kind}" for kind in ("tensor", "tensor_v2", "tensor_v3", "parameter")}
MADE |= {f"torch._utils._rebuild_{kind}" for kind in ("parameter_with_state", "meta_tensor_no_storage")}
SPARSE = {"torch._utils._rebuild_sparse_tensor", "torch.serialization._get_layout"}
EMPTY = {"collections.OrderedDict", "collections.Counter"}
SMALL = {"torch.Size", "torch.device"}
# What copies what it is given: a text, or a list.
COPIES = {"_codecs.encode", "__builtin__.set", "builtins.set"}
BYTES_OF_AN_ENTRY = 100
CALLED = MADE | SPARSE | EMPTY | SMALL | COPIES
# Kinds of numbers and of storages, which are named and not called.
NAMED = re.compile(r"torch\.([a-z][a-z0-9_]*|\w+Storage|storage\.(Untyped|Typed)Storage)")
# What stands for one value, by opcode; the value itself matters where it is a number or a text.
VALUES = set("BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE NONE NEWTRUE NEWFALSE SHORT_BINSTRING".split())
CONTAINERS = {"EMPTY_DICT", "EMPTY_SET", "MARK"}
KEPT, FETCHED = {"BINPUT", "LONG_BINPUT", "MEMOIZE"}, {"BINGET", "LONG_BINGET"}
# How many values each takes; None for all since the mark.
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "TUPLE": None}
# How many values each puts into the container below them.
PUT_INTO = {"APPEND": 1, "SETITEM": 2, "BUILD": 1, "APPENDS": None, "SETITEMS": None}


class _Global(NamedTuple):
    name: str


class _Tuple(NamedTuple):
    parts: tuple[Any, ...]
    # With all that is inside, counted as often as it is there.
    size: int


class _Other(NamedTuple):
    pass


class _List:
    entries = 0


_MARK, _OTHER = object(), _Other()


def check_program(program: bytes) -> None:
    """Stop a pickle that does more than put tensors into dicts, lists and tuples.

    Args:
        program: The pickle.

    Raises:
        UnsupportedModel: It asks to run something else, or for more than its length can hold.

    >>> import pickle
    >>> check_program(pickle.dumps({"a": [1, (2.5, None)]}, protocol=2))
    >>> check_program(pickle.dumps({"a": bytearray(2)}, protocol=2))
    Traceback (most recent call last):
        ...
    groundviz.errors.UnsupportedModel: A pickled weight file asks to run __builtin__.bytearray, and only \
tensors are unpickled. Ask its publisher for safetensors; or, if you trust it, load it yourself and save its \
tensors with safetensors.torch.save_file.
    """
    reader = _Reader()
    try:
        for operation, value, _ in pickletools.genops(program):
            reader.step(operation.name, value)
    except UnsupportedModel:
        raise
    except Exception as error:
        # An empty stack, a missing mark or an unknown opcode.
        raise UnsupportedModel(
            f"A weight file cannot be read ({type(error).__name__}): it is cut off or damaged. {REFUSED}"
        ) from None


class _Reader:
    """A pickle's stack and memory, with stand-ins for all that it would make."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._written = 0
        self._largest = 0
        self._sparse = False

    def step(self, name: str, value: Any) -> None:
        """Follow one operation."""
        if name in KEPT:
            self._memo[len(self._memo) if name == "MEMOIZE" else value] = self._top()
        elif name in PUT_INTO:
            put = len(self._taken(PUT_INTO[name]))
            if isinstance(self._top(), _List):
                self._top().entries += put
        elif name == "REDUCE":
            self._call(*self._taken(2))
        elif name not in ("PROTO", "STOP"):
            self._stack.append(self._made(name, value))

    def _made(self, name: str, value: Any) -> Any:
        """What an operation puts on the stack."""
        if name in FETCHED:
            return self._memo[value]
        if name in VALUES:
            return self._valued(value)
        if name in TUPLES:
            return _tuple(self._taken(TUPLES[name]))
        if name == "GLOBAL":
            return self._named(str(value).replace(" ", "."))
        if name == "BINPERSID":
            self._taken(1)
        elif name == "EMPTY_LIST":
            return _List()
        elif name not in CONTAINERS:
            raise UnsupportedModel(f"A weight file holds {name}, which torch.save does not write. {REFUSED}")
        if name == "MARK":
            return _MARK
        return _OTHER

    def _top(self) -> Any:
        return self._stack[-1]

    def _valued(self, value: Any) -> Any:
        if isinstance(value, int):
            self._largest = max(self._largest, abs(value))
            self._check_sparse()
        if isinstance(value, str):
            return value
        return _OTHER

    def _taken(self, count: int | None) -> list[Any]:
        """The topmost values, taken off the stack: as many as asked for, or all down to the mark."""
        taken: list[Any] = []
        while count is None or len(taken) < count:
            top = self._stack.pop()
            if count is None and top is _MARK:
                break
            taken.append(top)
        return taken[::-1]

    def _named(self, name: str) -> _Global:
        self._sparse = self._sparse or name in SPARSE
        self._check_sparse()
        if name not in CALLED and not NAMED.fullmatch(name):
            _refuse(name)
        return _Global(name)

    def _call(self, called: Any, given: Any) -> None:
        name = called.name if isinstance(called, _Global) else "an object"
        if name not in CALLED or not isinstance(given, _Tuple):
            _refuse(name)
        if (name in EMPTY and given.parts) or len(given.parts) > LONGEST_SIZE:
            _refuse(f"{name} on many things")
        if name in COPIES:
            self._written += sum(map(_bytes_of, given.parts))
            if self._written > LONGEST_BYTES:
                _refuse(f"{name} on too much")
        if any(isinstance(part, _Tuple) and len(part.parts) > LONGEST_SIZE for part in given.parts):
            _refuse(f"{name} with a size of many sides")
        self._stack.append(_OTHER)

    def _check_sparse(self) -> None:
        # Torch checks every index of a sparse tensor, and a view can repeat one number a billion times.
        if self._sparse and self._largest > LARGEST_SPARSE:
            _refuse("sparse tensors")


def _bytes_of(part: Any) -> int:
    if isinstance(part, _List):
        return part.entries * BYTES_OF_AN_ENTRY
    return len(part) if isinstance(part, str) else 0


def _tuple(parts: list[Any]) -> _Tuple:
    size = 1 + sum(part.size if isinstance(part, _Tuple) else 1 for part in parts)
    if size > MOST_PARTS:
        raise UnsupportedModel(f"A weight file holds a tuple of {size} parts. {REFUSED}")
    return _Tuple(tuple(parts), size)


def _refuse(name: str) -> None:
    raise UnsupportedModel(
        f"A pickled weight file asks to run {name[:100]}, and only tensors are unpickled. Ask its publisher "
        "for safetensors; or, if you trust it, load it yourself and save its tensors with "
        "safetensors.torch.save_file."
    )
