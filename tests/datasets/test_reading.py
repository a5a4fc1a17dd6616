"""Tables, JSON and packed files: what is read, and what is told of damaged ones."""

from __future__ import annotations

import gzip
import zipfile

import pytest

from groundviz.datasets import reading
from groundviz.errors import DataError

# Without a time: two processes collect the same tests.
CUT_GZIP = gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-20]


@pytest.mark.parametrize(
    "content",
    [b"a, b\n1,x y\n2,\n", b"\xef\xbb\xbfa,b\r\n1,x y\r\n\r\n2,\r\n", b'a,b\n1,"x y"\n2,""'],
    ids=["plain", "of a spreadsheet", "quoted"],
)
def test_a_table_is_read_by_its_names(tmp_path, content) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    assert reading.table(tmp_path / "t.csv", ["a"]) == [{"a": "1", "b": "x y"}, {"a": "2", "b": ""}]
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(content))
    assert reading.table(tmp_path / "t.csv.gz") == reading.table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", b"a,b\n1,2,3\n", "Line 2 of a table has 3 cells"),
        ("t.csv", b'a,b\n\n"1\n2",3\n4\n', "Line 5 of a table has 1 cells"),
        ("t.csv", b'a,b\n1,"2\n', "damaged near line 2"),
        ("t.csv", b"a,b\n1,\xff\n", "no UTF-8"),
        ("t.csv", b"", "empty"),
        ("t.csv.gz", b"no gzip", "cannot be read"),
        ("t.csv.gz", CUT_GZIP, "cannot be read"),
        ("t.csv.zip", b"PK no zip", "cannot be read"),
    ],
)
def test_a_damaged_table(tmp_path, name, content, says) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=says):
        reading.table(tmp_path / name)


def test_a_lacking_column_is_told_with_the_names_there_are_unless_these_may_be_a_row() -> None:
    def told(*names: str) -> str:
        with pytest.raises(DataError) as caught:
            reading.require_columns(names, ["image", "x"], known=["question"])
        return str(caught.value)

    assert "it has 'question', 'Photo'. It may be of another version" in told("question", "Photo")
    assert "One is called nearly so: 'Image_File'." in told("Image_File", "x")
    assert "it has 2 others. It may have no row of names" in told("Meier", "p1")
    many = told("x", *(f"column_{number}" for number in range(20)))
    assert "'column_10' and 9 more." in many


def test_a_file_that_unpacks_to_too_much(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(reading, "_LARGEST_FILE", 10_000)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a\n" * 10_000))
    with pytest.raises(DataError, match="unpacks to more"):
        reading.table(tmp_path / "t.csv.gz")
    with zipfile.ZipFile(tmp_path / "two.csv.zip", "w") as packed:
        packed.writestr("a.csv", "a")
        packed.writestr("b.csv", "b")
    with pytest.raises(DataError, match="2 files"):
        reading.table(tmp_path / "two.csv.zip")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", "a\0b", "..\\x"])
def test_no_name_leads_out_of_the_folder(tmp_path, name) -> None:
    with pytest.raises(DataError, match="outside"):
        reading.inside(tmp_path, name)


def test_json_and_json_lines(tmp_path) -> None:
    (tmp_path / "a.json").write_text('[{"x": 1}]')
    (tmp_path / "a.jsonl").write_text('{"x": 1}\n\n{"x": 2}\n')
    assert reading.records(tmp_path / "a.json", ["x"]) == [{"x": 1}]
    assert reading.records(tmp_path / "a.jsonl", ["x"]) == [{"x": 1}, {"x": 2}]
    with pytest.raises(DataError, match="Entry 1 of a JSON file lacks 'y'"):
        reading.records(tmp_path / "a.json", ["y"])
    (tmp_path / "a.jsonl").write_text('{"x": 1}\n{"x"')
    with pytest.raises(DataError, match="Line 2"):
        reading.records(tmp_path / "a.jsonl")
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(DataError, match=r"nested too deep|is no JSON"):
        reading.json_of(tmp_path / "deep.json")


@pytest.mark.parametrize("value", [None, "", "x", "nan", "inf", True, [], {}, 1e999, 10**400])
def test_what_is_no_number(value) -> None:
    with pytest.raises(DataError, match="A width is no finite number"):
        reading.number(value, "a width")
    with pytest.raises(DataError):
        reading.whole(2.5, "a width")
