"""CSV for spreadsheets: a text stays a text, and a number a number."""

import csv
import io

import pytest

from groundviz.record.exports import sheets

FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1", "\r=1+1", "--1", "-", "-1e", "-nan()", "＝1+1")  # noqa: RUF001
PLAIN = ("", "no", " =1+1", "-3", "-0.25", "-.5", "-5.", "-3.1e-05", "-1E+20", "-inf", "nan", "'=1", "1-2")


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_run_has_an_apostrophe(text):
    assert sheets.harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", PLAIN)
def test_what_none_would_run_stays_as_it_is(text):
    assert sheets.harmless(text) == text
    assert text in ("", "no", " =1+1", "'=1", "1-2") or isinstance(float(text), float)


def test_every_cell_is_guarded_and_comes_back():
    rows = [("head", "=head"), ("a,b", '"c"'), ("two\nlines", "return\ralone"), ("@x", "-2.5")]
    text = sheets.as_csv(rows)
    assert text.startswith("head,'=head\r\n")
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["head", "'=head"],
        ["a,b", '"c"'],
        ["two\nlines", "return\ralone"],
        ["'@x", "-2.5"],
    ]
