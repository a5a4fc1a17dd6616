"""A record in one .gvz file: written the same way every time, read with suspicion.

A .gvz file is a zip archive of two uncompressed members: `record.json` (strict JSON, sorted keys,
schema version) and `arrays.safetensors`. The JSON holds type, shape and SHA-256 of every array;
the archive's comment, its last bytes, holds the SHA-256 of everything before them. So a flipped
bit or a missing byte anywhere is found before anything is believed. A file made to mislead can
carry right sums, hence sizes, names, types, shapes and their agreement are checked as well. Text
in a record is data; whoever shows it escapes it.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NoReturn, cast, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from groundviz.errors import StoreError
from groundviz.record import files
from groundviz.record.consistency import examine
from groundviz.record.types import Answer, Check, Heatmaps, Prompt, Provenance, Record, SourceImage, Target

Array = npt.NDArray[Any]
Arrays = dict[str, Array]

_SCHEMA = 1
_JSON, _ARRAYS = "record.json", "arrays.safetensors"
_MOST_BYTES, _MOST_JSON_BYTES = 4 << 30, 64 << 20
_SEAL = 64
# Fields that files lack which were written before there were any, and what they hold then.
_LATER: Mapping[Any, Mapping[str, object]] = {
    Answer: {"finished": None},
    Check: {"unit": "", "cost": "", "source": "", "method": "", "numbers": {}, "samples": None},
    Heatmaps: {"standard_error": None, "samples": None},
    Prompt: {"offsets": None, "messages": [], "verbatim": False},
    Provenance: {"adapters": {}, "generation": {}},
    Record: {"label": "", "unmeasured": []},
    SourceImage: {
        "inverted": False,
        "stored": None,
        "edges": None,
        "laterality": "",
        "spacing_from": "",
        "slice": None,
        "position_mm": None,
        "towards": "",
    },
}
# Of these, what is not written where it holds nothing, so that older versions open the file as well.
_SPARSE: Mapping[Any, tuple[str, ...]] = {
    SourceImage: ("stored", "edges", "laterality", "spacing_from", "slice", "position_mm", "towards")
}
# Fields that are called otherwise in files, which keep the names of the first version.
_IN_FILES: Mapping[tuple[Any, str], str] = {(Record, "source_images"): "studies", (Target, "foil"): "rival"}
_PAGE, _IMAGE = "For a page call `to_html`.", "For an image call `figure().save`."
_FILM = "For an animation call `animation().save`."
# What else is written by its name.
_OTHERS = {
    **dict.fromkeys((".html", ".htm"), _PAGE),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pdf", ".svg", ".eps"), _IMAGE),
    **dict.fromkeys((".webp", ".gif"), _FILM),
}


def write(record: Record, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a record to one file, whole or not at all; equal records give equal bytes.

    Raises:
        StoreError: A file of that name exists and `overwrite` is False, the name is that of another
            kind of file, the disk refuses, or the record contradicts itself or holds something that JSON
            and numpy cannot.
    """
    suffix = files.place(path).suffix.lower()
    if suffix in _OTHERS:
        raise StoreError(
            f"{os.fspath(path)!r} is the name of another kind of file: a record is a .gvz file, which "
            f"groundviz.open reads. {_OTHERS[suffix]}"
        )
    return files.write(path, pack(record), overwrite=overwrite)


def read(path: str | os.PathLike[str]) -> Record:
    """Read a record that `write` wrote.

    Raises:
        StoreError: There is no such file, or it is damaged, too new, or not a record.
    """
    return unpack(_content(files.place(path)))


def pack(record: Record) -> bytes:
    """The bytes of a record's file.

    Tuples in a method's `params` stay tuples, and lists come back as tuples too.

    Raises:
        StoreError: The record contradicts itself, or holds something that JSON and numpy cannot.
    """
    arrays: Arrays = {}
    document = {
        "format": "groundviz record",
        "schema": _SCHEMA,
        "record": _encode(Record, record, "record", arrays),
    }
    examine(record)
    try:
        text = json.dumps(document, allow_nan=False, sort_keys=True, separators=(",", ":"))
    except ValueError:
        raise StoreError(
            "The record cannot be stored: a number outside its arrays is NaN or infinite. "
            "Put None where there is no value."
        ) from None
    return _sealed({_JSON: text.encode("ascii"), _ARRAYS: safetensors.numpy.save(arrays)})


def unpack(content: bytes) -> Record:
    """The record in the bytes of a file.

    Raises:
        StoreError: They are damaged, too new, or not a record.
    """
    text, arrays = _opened(content)
    try:
        document = _parsed(text)
        record = cast(Record, _decode(Record, _body(document), "record", arrays))
    except RecursionError:
        _refuse("it is nested too deeply")
    if arrays:
        _refuse(f"it holds {len(arrays)} arrays that belong to nothing")
    examine(record)
    return record


def _content(place: Path) -> bytes:
    try:
        facts = place.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise StoreError("There is no record to open: a folder or device was found. Name a .gvz file.")
        if facts.st_size > _MOST_BYTES:
            _refuse(f"the file has {facts.st_size} bytes against at most {_MOST_BYTES}")
        return place.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "that cannot be a file's name"
        raise StoreError(f"The record could not be opened: {reason}. Check the name you gave.") from None


def _refuse(found: str) -> NoReturn:
    raise StoreError(f"This is not an intact groundviz record: {found}. Fetch or make the file again.")


def _expect(holds: object, found: str) -> None:
    if not holds:
        _refuse(found)


# --- the container ------------------------------------------------------------------------------


def _sealed(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = b"0" * _SEAL
        for name, content in members.items():
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.create_system, member.external_attr = 3, 0o644 << 16
            archive.writestr(member, content)
    body = stream.getvalue()[:-_SEAL]
    return body + _digest(body).encode()


def _opened(content: bytes) -> tuple[bytes, Arrays]:
    """The two members of an archive whose seal is whole."""
    _expect(content.startswith(b"PK\x03\x04"), "it does not begin like one")
    _expect(content[-_SEAL:] == _digest(content[:-_SEAL]).encode(), "its checksum differs from its content")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _expect([member.filename for member in members] == [_JSON, _ARRAYS], "it has other members")
            _expect(all(m.compress_type == zipfile.ZIP_STORED for m in members), "it is compressed")
            _expect(members[0].file_size <= _MOST_JSON_BYTES, "its text is too long")
            _expect(sum(member.file_size for member in members) <= len(content), "its members overlap")
            text, packed = (archive.read(member) for member in members)
        return text, safetensors.numpy.load(packed)
    except StoreError:
        raise
    except Exception as error:
        # Both readers raise many kinds of exception on bytes that were made to mislead them.
        raise StoreError("This is not an intact groundviz record. Fetch or make the file again.") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _parsed(text: bytes) -> object:
    try:
        return json.loads(
            text.decode("ascii"),
            object_pairs_hook=_without_duplicates,
            parse_constant=lambda name: _refuse(f"it holds the number {name}"),
            parse_float=_finite,
        )
    except ValueError:
        _refuse("its text is not JSON")


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    _expect(len(found) == len(pairs), "it names a field twice")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    _expect(math.isfinite(number), "it holds a number too large")
    return number


def _body(document: object) -> object:
    _expect(
        isinstance(document, dict) and document.get("format") == "groundviz record", "it is something else"
    )
    whole = cast(dict[str, object], document)
    schema = whole.get("schema")
    if type(schema) is int and schema > _SCHEMA:
        raise StoreError(
            f"The record was written by a newer groundviz: schema {schema} against at most {_SCHEMA}. "
            "Update groundviz to open it."
        )
    _expect(type(schema) is int and schema == _SCHEMA, "its schema is unknown")
    _expect(whole.keys() == {"format", "schema", "record"}, "it has unknown fields")
    return whole["record"]


# --- dataclass to JSON and back, guided by the type hints ----------------------------------------


@cache
def _fields(cls: Any) -> list[tuple[str, str, Any]]:
    """Each field of a dataclass: its name, its name in a file, and its type."""
    return [(name, _IN_FILES.get((cls, name), name), kind) for name, kind in get_type_hints(cls).items()]


def _dtype(hint: Any) -> np.dtype[Any]:
    """The element type of an array hint, stored little-endian."""
    (element,) = get_args(get_args(hint)[1])
    little: np.dtype[Any] = np.dtype(element).newbyteorder("<")
    return little


def _encode(hint: Any, value: Any, where: str, arrays: Arrays) -> object:
    """`value` as JSON; an array goes to `arrays` under its place and leaves its facts behind."""
    origin = get_origin(hint)
    if is_dataclass(hint):
        made = {
            key: _encode(kind, getattr(value, name), f"{where}.{key}", arrays)
            for name, key, kind in _fields(cast(Any, hint))
        }
        for key in _SPARSE.get(hint, ()):
            if made[key] == _LATER[hint][key]:
                del made[key]
        return made
    if origin is np.ndarray:
        arrays[where] = np.ascontiguousarray(value, dtype=_dtype(hint))
        return _facts(arrays[where])
    # The only unions in records are of one kind of thing and None.
    if origin is UnionType and value is None:
        return None
    if origin is UnionType:
        return _encode(get_args(hint)[0], value, where, arrays)
    if origin is tuple:
        items = []
        for at, (kind, item) in enumerate(zip(_kinds(hint, len(value)), value, strict=True)):
            items.append(_encode(kind, item, f"{where}.{at}", arrays))
        return items
    # A whole number where the type says float comes back as a float.
    if hint is float:
        return float(value)
    return _plain(value)


def _decode(hint: Any, value: Any, where: str, arrays: Arrays) -> Any:
    """The inverse of `_encode`, for a value that may be anything; takes its arrays out of `arrays`."""
    origin = get_origin(hint)
    if is_dataclass(hint):
        fields = _fields(cast(Any, hint))
        value = {**_LATER.get(hint, {}), **value} if isinstance(value, dict) else {}
        _expect(value.keys() == {key for _, key, _ in fields}, f"{where} has other fields")
        made = {name: _decode(kind, value[key], f"{where}.{key}", arrays) for name, key, kind in fields}
        return cast(type, hint)(**made)
    if origin is np.ndarray:
        return _array(_dtype(hint), value, where, arrays)
    if origin is UnionType and value is None:
        return None
    if origin is UnionType:
        return _decode(get_args(hint)[0], value, where, arrays)
    if origin is tuple:
        _expect(isinstance(value, list), f"{where} is no list")
        kinds = _kinds(hint, len(value))
        _expect(len(kinds) == len(value), f"{where} has {len(value)} entries against {len(kinds)}")
        items = []
        for at, (kind, item) in enumerate(zip(kinds, value, strict=True)):
            items.append(_decode(kind, item, f"{where}.{at}", arrays))
        return tuple(items)
    if origin is Mapping:
        _expect(isinstance(value, dict), f"{where} is no table")
        return {key: _decode(get_args(hint)[1], item, where, arrays) for key, item in value.items()}
    if hint is Any:
        return _tupled(value)
    # Not isinstance: True would pass for a number.
    allowed = type(value) is hint
    if origin is Literal:
        allowed = value in get_args(hint)
    _expect(allowed, f"{where} holds the wrong kind of value")
    return value


def _array(dtype: np.dtype[Any], facts: object, where: str, arrays: Arrays) -> Array:
    array = arrays.pop(where, None)
    _expect(array is not None and array.dtype == dtype and _facts(array) == facts, f"{where} is damaged")
    found = cast(Array, array)
    # A stored truth value may be any byte; numpy expects 0 or 1.
    if dtype == np.bool_:
        return np.asarray(found.view(np.uint8) != 0)
    return found


def _facts(array: Array) -> dict[str, object]:
    return {"dtype": array.dtype.name, "shape": list(array.shape), "sha256": _digest(array.tobytes())}


def _kinds(hint: Any, count: int) -> tuple[Any, ...]:
    """The type hint of each entry of a tuple."""
    kinds = get_args(hint)
    if kinds[-1] is Ellipsis:
        return (kinds[0],) * count
    return kinds


def _plain(value: Any) -> object:
    """Tables, sequences, numpy numbers and None as JSON holds them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    plain = value
    if isinstance(value, np.generic):
        plain = value.item()
    if plain is None or isinstance(plain, (bool, int, float, str)):
        return plain
    raise StoreError(
        f"The record cannot be stored: it holds a {type(plain).__name__} where JSON knows only numbers, "
        "texts, tables and sequences. Use one of these."
    )


def _tupled(value: Any) -> Any:
    """JSON as the frozen types hold it: sequences are tuples."""
    if isinstance(value, dict):
        return {key: _tupled(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(map(_tupled, value))
    return value
