"""A record comes back as it went in, or not at all."""

import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from groundviz.errors import StoreError
from groundviz.record import store
from groundviz.record.targets import Question, find
from groundviz.record.types import Foil, Record, Target
from tests.support import records

SMALL = records.record(8, 8, cells=2, words=("left", " lung"), notes=("shown inverted",))
CONTENT = store.pack(SMALL)


def _members(content: bytes) -> tuple[dict[str, Any], bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return json.loads(archive.read("record.json")), archive.read("arrays.safetensors")


def _forged(
    text: bytes | dict[str, Any],
    arrays: bytes,
    *,
    kind: int = zipfile.ZIP_STORED,
    extra: tuple[str, ...] = (),
) -> bytes:
    """A file with a right checksum over wrong content."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as archive:
        archive.comment = b"0" * 64
        archive.writestr("record.json", text if isinstance(text, bytes) else json.dumps(text))
        archive.writestr("arrays.safetensors", arrays)
        for name in extra:
            archive.writestr(name, b"x")
    body = stream.getvalue()[:-64]
    return body + hashlib.sha256(body).hexdigest().encode()


def _same(one: Any, other: Any) -> bool:
    """Equal in type and value, all the way down; NaN equals NaN."""
    if type(one) is not type(other):
        return False
    if is_dataclass(one):
        return all(_same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _full() -> Record:
    """A record with something in every field, awkward texts and empty cells included."""
    record = records.record(
        24, 20, cells=3, question="\ud800 \0 </script> \u202e 肺", words=("näht", "\n", " \x1b[2J")
    )
    source_image = replace(
        records.source_image(24, 20, colour=True, notes=("a", "b")),
        window=(40.0, 400.0),
        spacing_mm=(0.5, 0.25),
    )
    maps = record.heatmaps[0]
    values = maps.values.copy()
    values[..., 0, 0] = np.nan
    holed = replace(maps, values=values, params={"n": 3, "of": (1, 2.5, None, {"deep": ("x", True)}), "": ""})
    made = replace(
        record.provenance,
        revision=None,
        peak_bytes=2**40,
        adapters={"lung": "a" * 16},
        generation={"max_new_tokens": 64, "top_p": None, "eos_token_id": (2, 7)},
    )
    return replace(
        record, source_images=(source_image,), heatmaps=(holed, record.heatmaps[1]), provenance=made
    )


def _three() -> Record:
    """Three images of different sizes, the last in colour."""
    source_images = (
        records.source_image(8, 8),
        records.source_image(9, 10),
        records.source_image(12, 8, colour=True),
    )
    grids = [
        records.grid_over((0, 0, *source_image.shape), (2, 3), image=image, label=label)
        for image, (source_image, label) in enumerate(
            zip(source_images, ("", "overview", "tile 1 of 1"), strict=True)
        )
    ]
    return records.record_of(source_images, grids)


@pytest.mark.parametrize("record", [SMALL, records.record(), _full(), _three(), records.tiled()])
def test_a_record_comes_back_equal(record, tmp_path):
    path = store.write(record, tmp_path / "a.gvz")
    assert path == tmp_path / "a.gvz"
    assert _same(store.read(path), record)
    assert list(tmp_path.iterdir()) == [path]


def test_every_image_and_where_each_grid_lies_comes_back():
    found = store.unpack(store.pack(_three()))
    assert [source_image.pixels.shape for source_image in found.source_images] == [
        (8, 8),
        (9, 10),
        (12, 8, 3),
    ]
    places = [(0, ""), (1, "overview"), (2, "tile 1 of 1")]
    assert [(grid.image, grid.label) for grid in found.prompt.grids] == places
    assert [(maps.grid.image, maps.grid.label) for maps in found.heatmaps] == places * 2


def test_words_of_the_question_come_back():
    whole = Target(tokens=(-6, -5, -4, -3, -2), text="Where is the nodule?")
    asked = replace(records.asked(SMALL), targets=(find(SMALL.answer), whole))
    back = store.unpack(store.pack(asked))
    assert _same(asked, back)
    nodule = find(back.answer, Question("nodule"), back.prompt)
    assert nodule.tokens == (-3,)
    assert np.array_equal(back.heatmaps[0].at(nodule).values, asked.heatmaps[0].at(nodule).values, True)


def test_a_file_that_lacks_what_was_not_known_when_it_was_written_opens():
    document, arrays = _members(store.pack(SMALL))
    del document["record"]["prompt"]["offsets"], document["record"]["studies"][0]["inverted"]
    del document["record"]["provenance"]["adapters"], document["record"]["provenance"]["generation"]
    assert _same(store.unpack(_forged(document, arrays)), SMALL)
    document["record"]["prompt"]["further"] = None
    with pytest.raises(StoreError, match="prompt has other fields"):
        store.unpack(_forged(document, arrays))


def test_the_comparison_above_can_fail():
    assert not _same(SMALL, replace(SMALL, targets=(Target(tokens=(0,), text="left"),)))
    assert not _same(
        SMALL,
        replace(
            SMALL,
            source_images=(replace(SMALL.source_image, pixels=SMALL.source_image.pixels.astype(float)),),
        ),
    )
    assert not _same(SMALL, replace(SMALL, checks=()))


def test_equal_records_give_equal_bytes():
    assert store.pack(records.record(8, 8, cells=2)) == store.pack(records.record(8, 8, cells=2))
    assert store.pack(store.unpack(CONTENT)) == CONTENT
    assert store.pack(records.record(8, 8, cells=2, question="x")) != store.pack(
        records.record(8, 8, cells=2)
    )


def test_the_file_is_a_plain_zip_that_other_tools_read(tmp_path):
    document, arrays = _members(CONTENT)
    assert set(document) == {"format", "schema", "record"}
    assert document["record"]["prompt"]["question"] == records.QUESTION
    assert int.from_bytes(arrays[:8], "little") < len(arrays)
    assert zipfile.ZipFile(io.BytesIO(CONTENT)).testzip() is None


@pytest.mark.parametrize(
    ("name", "says"), [("map.html", "to_html"), ("map.PNG", "figure().save"), ("a.webp", "animation().save")]
)
def test_a_name_of_another_kind_of_file_is_refused(tmp_path, name, says):
    with pytest.raises(StoreError, match="another kind of file") as told:
        store.write(records.record(), tmp_path / name)
    assert says in str(told.value)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_unasked(tmp_path):
    path = store.write(SMALL, tmp_path / "a.gvz")
    with pytest.raises(StoreError, match="exists"):
        store.write(records.record(8, 8, cells=2), path)
    assert path.read_bytes() == CONTENT
    store.write(_full(), path, overwrite=True)
    assert _same(store.read(path), _full())


def test_no_place_is_written_into_the_file(tmp_path):
    store.write(SMALL, tmp_path / "zzphi-1970.gvz")
    content = (tmp_path / "zzphi-1970.gvz").read_bytes()
    assert b"zzphi" not in content
    assert str(tmp_path).encode() not in content


# --- damage --------------------------------------------------------------------------------------


def test_a_file_cut_short_anywhere_is_refused():
    for length in range(len(CONTENT)):
        with pytest.raises(StoreError):
            store.unpack(CONTENT[:length])


def test_a_flipped_bit_anywhere_is_found():
    rng = np.random.default_rng(0)
    bits = 8 * len(CONTENT)
    ends = [*range(0, 2400), *range(bits - 2400, bits)]
    chosen = {*ends, *rng.integers(0, bits, 3000).tolist()}
    assert len(chosen) > 7000
    for bit in chosen:
        flipped = bytearray(CONTENT)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StoreError):
            store.unpack(bytes(flipped))


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"not a zip" * 100, CONTENT + b"\0", b"\0" + CONTENT]
)
def test_other_bytes_are_refused(content):
    with pytest.raises(StoreError, match="not an intact groundviz record"):
        store.unpack(content)


# --- files that lie with a right checksum --------------------------------------------------------


def test_a_forged_file_with_true_content_opens():
    assert _same(store.unpack(_forged(*_members(CONTENT))), SMALL)


def test_a_newer_schema_is_refused_with_what_to_do():
    document, arrays = _members(CONTENT)
    with pytest.raises(StoreError, match=r"newer groundviz: schema 2 against at most 1\. Update groundviz"):
        store.unpack(_forged({**document, "schema": 2}, arrays))


@pytest.mark.parametrize("schema", [0, -1, "1", True, None, 1.0, [1]])
def test_no_other_schema_is_known(schema):
    document, arrays = _members(CONTENT)
    with pytest.raises(StoreError, match="schema"):
        store.unpack(_forged({**document, "schema": schema}, arrays))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b'"value": 0.12', b'"value": NaN'),
        lambda text: text.replace(b'"value": 0.12', b'"value": -Infinity'),
        lambda text: text.replace(b'"value": 0.12', b'"value": 1e999'),
        lambda text: text.replace(b'"value": 0.12', b'"value": 0.12, "value": 0.12'),
        lambda text: text.replace(b'"value": 0.12', b'"value": 0.12, "other": 0.12'),
        lambda text: text.replace(b'"value": 0.12, ', b""),
        lambda text: text.replace(b'"value": 0.12', b'"value": ' + b"[" * 200_000 + b"]" * 200_000),
        lambda text: text.replace(b'"value": 0.12', b'"value": ' + b"9" * 10_000),
        lambda text: text.replace(
            b'"epsilon": 1e-06', b'"epsilon": ' + b'{"a":' * 900 + b"1" + b"}" * 900, 1
        )[:-1],
        lambda text: text.replace(b"groundviz record", b"something else"),
        lambda text: text.replace(b"nodule?", b"nodule\xff"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text + b"x",
        lambda text: b"[]",
        lambda text: b"null",
        lambda text: b"",
    ],
)
def test_text_that_is_not_the_record_s_json_is_refused(change):
    document, arrays = _members(CONTENT)
    text = json.dumps(document).encode()
    changed = change(text)
    assert changed != text
    with pytest.raises(StoreError):
        store.unpack(_forged(changed, arrays))


@pytest.mark.parametrize("image", [1, -1, 2**40])
@pytest.mark.parametrize("where", [("prompt", "grids", 0, "image"), ("heatmaps", 1, "grid", "image")])
def test_a_grid_on_an_image_that_is_not_there_is_refused(where, image):
    document, arrays = _members(CONTENT)
    forged = {**document, "record": _replaced(document["record"], where, image)}
    with pytest.raises(StoreError, match="a grid lies on an image that is not there"):
        store.unpack(_forged(forged, arrays))


def test_a_record_without_an_image_is_refused():
    document, packed = _members(CONTENT)
    arrays = safetensors.numpy.load(packed)
    del arrays["record.studies.0.pixels"]
    forged = {**document, "record": {**document["record"], "studies": []}}
    with pytest.raises(StoreError, match="it has no image"):
        store.unpack(_forged(forged, safetensors.numpy.save(arrays)))


def test_deep_but_legal_params_are_refused_or_read_never_worse():
    document, arrays = _members(CONTENT)
    text = json.dumps(document).encode()
    for depth in (10, 500, 5000, 50_000):
        deep = text.replace(b'"epsilon": 1e-06', b'"epsilon": ' + b"[" * depth + b"]" * depth)
        try:
            store.unpack(_forged(deep, arrays))
        except StoreError:
            assert depth > 10


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(node, dict | list):
        for key in node if isinstance(node, dict) else range(len(node)):
            yield from _places(node[key], (*path, key))


def _replaced(node: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = node.copy()
    copy[path[0]] = _replaced(node[path[0]], path[1:], value)
    return copy


@pytest.mark.wide
def test_any_value_in_any_place_is_refused_or_makes_a_sound_record():
    document, arrays = _members(CONTENT)
    refused = opened = 0
    for path in _places(document["record"]):
        for value in (None, True, -1, 3, 2**70, 0.5, -1e308, "x", [], {}, [0], {"x": 0}):
            forged = {**document, "record": _replaced(document["record"], path, value)}
            try:
                record = store.unpack(_forged(forged, arrays))
            except StoreError:
                refused += 1
            else:
                opened += 1
                assert store.pack(record)
    assert refused > 10 * opened > 0


def _safetensors(header: dict[str, Any], data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    "arrays",
    [
        b"",
        b"\xff" * 8,
        struct.pack("<Q", 1 << 62) + b"{}",
        _safetensors({}, b""),
        _safetensors(
            {"record.studies.0.pixels": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}},
            b"\0" * 4,
        ),
        _safetensors({"a": {"dtype": "F32", "shape": [1 << 33, 1 << 33], "data_offsets": [0, 4]}}, b"\0" * 4),
        _safetensors({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, b"\0" * 4),
        _safetensors({"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, b"\0" * 4),
        _safetensors({"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4),
        _safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 99]}}, b"\0" * 4),
        _safetensors({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"\0" * 4),
    ],
)
def test_arrays_that_are_not_the_record_s_are_refused(arrays):
    document, _ = _members(CONTENT)
    with pytest.raises(StoreError):
        store.unpack(_forged(document, arrays))


def test_an_array_too_many_too_few_or_changed_is_refused():
    document, packed = _members(CONTENT)
    arrays = safetensors.numpy.load(packed)
    for name in arrays:
        fewer = {key: value for key, value in arrays.items() if key != name}
        other = {**arrays, name: arrays[name] ^ 1 if arrays[name].dtype == np.int64 else ~(arrays[name] != 0)}
        turned = {**arrays, name: arrays[name].reshape(-1, 1)}
        for changed in (fewer, {**arrays, f"{name}.more": arrays[name]}, other, turned):
            with pytest.raises(StoreError):
                store.unpack(_forged(document, safetensors.numpy.save(changed)))


def test_a_truth_value_is_read_as_one_whatever_its_byte():
    document, packed = _members(CONTENT)
    odd = b"\x02\x01\x00\x01"
    data = 8 + int.from_bytes(packed[:8], "little")
    start = data + json.loads(packed[8:data])["record.prompt.grids.0.valid"]["data_offsets"][0]
    assert packed[start : start + 4] == b"\x01" * 4
    document["record"]["prompt"]["grids"][0]["valid"]["sha256"] = hashlib.sha256(odd).hexdigest()
    valid = store.unpack(_forged(document, packed[:start] + odd + packed[start + 4 :])).prompt.grids[0].valid
    assert valid.view(np.uint8).tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_bomb_is_refused_before_it_is_opened(kind):
    document, _ = _members(CONTENT)
    bomb = _forged(document, b"\0" * 50_000_000, kind=kind)
    assert len(bomb) < 1_000_000
    with pytest.raises(StoreError, match="compressed"):
        store.unpack(bomb)


@pytest.mark.parametrize("extra", [("../evil",), ("/etc/passwd",), ("record.json2",)])
def test_further_members_are_refused(extra):
    with pytest.raises(StoreError, match="other members"):
        store.unpack(_forged(*_members(CONTENT), extra=extra))


def test_any_change_to_the_archive_s_own_fields_is_refused_or_harmless():
    body = CONTENT[:-64]
    rng = np.random.default_rng(1)
    directory = body.index(b"PK\x01\x02")
    for _ in range(600):
        changed = bytearray(body)
        at = int(rng.choice([rng.integers(0, 60), rng.integers(directory, len(body))]))
        changed[at] = int(rng.integers(0, 256))
        sealed = bytes(changed) + hashlib.sha256(changed).hexdigest().encode()
        try:
            assert _same(store.unpack(sealed), SMALL)
        except StoreError:
            continue


def test_limits_are_checked_before_reading(tmp_path, monkeypatch):
    path = store.write(SMALL, tmp_path / "a.gvz")
    monkeypatch.setattr(store, "_MOST_JSON_BYTES", 100)
    with pytest.raises(StoreError, match="text is too long"):
        store.read(path)
    monkeypatch.setattr(store, "_MOST_BYTES", 100)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read"))
    with pytest.raises(StoreError, match=f"{len(CONTENT)} bytes against at most 100"):
        store.read(path)


# --- places that hold no record ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["zzphi-missing.gvz", "zzphi\0.gvz", "zzphi" * 200])
def test_a_name_without_a_file_is_refused_and_not_repeated(tmp_path, name):
    with pytest.raises(StoreError, match="could not be opened") as caught:
        store.read(tmp_path / name)
    assert "zzphi" not in str(caught.value)


def test_folders_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(StoreError, match="folder or device"):
            store.read(place)


# --- records that cannot be stored ---------------------------------------------------------------

NAN = float("nan")


def _answer(**changes: Any) -> Callable[[Record], Record]:
    return lambda record: replace(record, answer=replace(record.answer, **changes))


def _maps(**changes: Any) -> Callable[[Record], Record]:
    return lambda record: replace(record, heatmaps=(replace(record.heatmaps[0], **changes),))


def _grid(**changes: Any) -> Callable[[Record], Record]:
    return lambda record: _maps(grid=replace(record.heatmaps[0].grid, **changes))(record)


def _source_image(**changes: Any) -> Callable[[Record], Record]:
    return lambda record: replace(record, source_images=(replace(record.source_image, **changes),))


def _wrote(offsets: Any) -> Record:
    asked = records.asked(SMALL)
    return replace(asked, prompt=replace(asked.prompt, offsets=offsets))


def _second(**changes: Any) -> Callable[[Record], Record]:
    return lambda record: replace(
        record, source_images=(record.source_image, replace(record.source_image, **changes))
    )


@pytest.mark.parametrize(
    "change",
    [
        _source_image(pixels=np.zeros((0, 4), np.float32)),
        _source_image(pixels=np.zeros((4, 4, 2), np.float32)),
        _source_image(pixels=np.full((4, 4), 1.01, np.float32)),
        _source_image(pixels=np.full((4, 4), NAN, np.float32)),
        _source_image(spacing_mm=(0.0, 1.0)),
        _second(pixels=np.full((4, 4), 1.01, np.float32)),
        _second(spacing_mm=(1.0, NAN)),
        lambda record: replace(record, source_images=()),
        _grid(image=1),
        _grid(image=-1),
        lambda record: replace(
            record, prompt=replace(record.prompt, grids=(replace(record.prompt.grids[0], image=1),))
        ),
        _answer(token_ids=np.arange(9)),
        _answer(offsets=np.array([[0, 4], [4, 99], [9, 9]])),
        _answer(offsets=np.array([[4, 0], [4, 9], [9, 9]])),
        _answer(logprobs=np.array([0.5, -1, -1], np.float32)),
        _answer(logprobs=np.array([NAN, -1, -1], np.float32)),
        lambda record: replace(record, targets=(Target(tokens=(), text="x"),)),
        lambda record: replace(record, targets=(Target(tokens=(1, 0), text="x"),)),
        lambda record: replace(record, targets=(Target(tokens=(7,), text="x"),)),
        lambda record: replace(record, prompt=replace(record.prompt, tokens=("x",))),
        lambda record: replace(
            record, prompt=replace(record.prompt, spans=(replace(record.prompt.spans[0], stop=99),))
        ),
        _maps(values=np.zeros((2, 2, 2, 2), np.float32)),
        _maps(values=np.zeros((2, 2, 2, 2, 3), np.float32)),
        _maps(values=np.full((2, 2, 2, 2, 2), np.inf, np.float32)),
        _maps(targets=(Target(tokens=(0,), text="x"), Target(tokens=(9,), text="y"))),
        _maps(targets=()),
        _maps(targets=(Target(tokens=(0,), text="x", foil=Foil(text="y", token_ids=())),) * 2),
        _maps(layers=(0,)),
        lambda record: replace(record, targets=(Target(tokens=(-1,), text="of the template"),)),
        lambda record: replace(records.asked(SMALL), targets=(Target(tokens=(-1, 0), text="x"),)),
        lambda record: replace(records.asked(SMALL), targets=(Target(tokens=(-2, -3), text="x"),)),
        lambda record: replace(records.asked(SMALL), targets=(Target(tokens=(-99,), text="x"),)),
        lambda record: replace(
            records.asked(SMALL),
            targets=(Target(tokens=(-3,), text="x", foil=Foil(text="y", token_ids=(1,))),),
        ),
        lambda record: _wrote(np.zeros((3, 2), np.int64)),
        lambda record: _wrote(np.full((len(SMALL.prompt.tokens) + 4, 2), 99)),
        _grid(rows=3),
        _grid(positions=np.arange(3)),
        _grid(positions=np.array([-2, 0, 1, 2])),
        _grid(to_source=np.array([[-1.0, 0, 0], [0, 1.0, 0]])),
        _grid(to_source=np.array([[np.inf, 0, 0], [0, 1.0, 0]])),
        _grid(valid=np.ones((2, 3), bool)),
    ],
)
def test_a_record_that_contradicts_itself_is_never_written(change, tmp_path):
    with pytest.raises(StoreError, match="contradicts itself"):
        store.write(change(SMALL), tmp_path / "a.gvz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda record: replace(record, checks=(replace(record.checks[0], value=NAN),)),
        lambda record: replace(record, scores=(replace(record.scores[0], high=float("inf")),)),
        _maps(params={"x": NAN}),
        _maps(params={"x": object()}),
        _maps(params={"x": np.zeros(3)}),
        _maps(params={"x": {1, 2}}),
        _maps(params={"x": b"bytes"}),
    ],
)
def test_what_json_cannot_hold_is_refused(change):
    with pytest.raises(StoreError, match="cannot be stored"):
        store.pack(change(SMALL))


def test_numbers_of_numpy_become_plain_ones():
    odd = _maps(params={"x": np.float32(0.5), "n": np.int64(3), "ok": np.True_})(SMALL)
    odd = replace(odd, checks=(replace(odd.checks[0], value=np.float32(0.25), reference=1),))
    found = store.unpack(store.pack(odd))
    assert _same(dict(found.heatmaps[0].params), {"x": 0.5, "n": 3, "ok": True})
    assert _same((found.checks[0].value, found.checks[0].reference), (0.25, 1.0))


# --- without the model ---------------------------------------------------------------------------

ALONE = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "transformers", "captum", "pydicom", "ipywidgets", "anywidget"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from groundviz import explanation
opened = explanation.open(sys.argv[1])
figure = opened.figure("lung", width=60)
print(opened.answer.text, len(figure.to_bytes("png")) > 10_000, len(opened.to_html()) > 10_000)
"""


def test_a_record_opens_and_draws_where_torch_and_transformers_are_not_installed(tmp_path):
    path = store.write(SMALL, tmp_path / "a.gvz")
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stderr == ""
    assert found.stdout == "left lung True True\n"
