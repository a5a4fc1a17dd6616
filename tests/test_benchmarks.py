"""The benchmarks run, count what they say they count, and put their tables where they belong."""

import numpy as np
import pytest

from benchmarks import full_size, methods, precision, report
from benchmarks.memory import peak_bytes
from benchmarks.shapes import ANSWER, QUESTION, Shape, build

SMALL = Shape(name="small", side=4, layers=1, width=64, inner=96, heads=4, kv_heads=2, vocabulary=400)


@pytest.fixture(scope="module")
def vlm():
    vlm = build(SMALL)
    vlm.model.generation_config.update(max_new_tokens=4, min_new_tokens=4)
    return vlm


def test_passes_are_counted_in_whole_and_in_part(vlm):
    free = methods.run(vlm, "attention", {}, answer=ANSWER, question=QUESTION)
    tail = methods.run(vlm, "gradient_attention", {}, answer=ANSWER, question=QUESTION)
    whole = methods.run(vlm, "input_gradient", {}, answer=ANSWER, question=QUESTION)
    assert (free["forward"], free["backward"]) == (0, 0)
    # The answer's 64 tokens of about 134; the first layer's input is where the graph begins.
    assert 0.4 < tail["forward"] < 0.6
    assert (whole["forward"], whole["backward"]) == pytest.approx((1, 1), abs=0.02)
    assert all(found["seconds"] > 0 and found["plain"] > 0 for found in (free, tail, whole))


def test_every_sampling_method_has_a_short_run(monkeypatch):
    from groundviz.methods.recipes import choose

    assert choose(methods.FEW)
    for name in methods.FEW:
        assert methods.METHODS[name]


def test_peak_memory_sees_what_is_held_and_no_more():
    with peak_bytes() as peak:
        np.ones(8 << 20).sum()
    assert 60 < peak.megabytes < 80


def test_capture_times_plain_generation_beside_rows(vlm, monkeypatch):
    monkeypatch.setattr(full_size, "REPEATS", 1)
    without, with_rows, ratio = full_size.capture(vlm)
    assert ratio == pytest.approx(with_rows / without)
    assert without > 0


def test_precision_is_measured_at_toy_size(monkeypatch, capsys):
    few = {"rise": ("rise", {"masks": 16}), "shapley": ("shapley", {"cells": 9, "samples": 4})}
    monkeypatch.setattr(precision, "ROWS", few)
    monkeypatch.setattr(precision.by_orders, "__kwdefaults__", {"cells": 4, "orders": 4})
    arguments = ["--phantoms", "3", "--seeds", "2", "--rows", *few, precision.ORDERS]
    precision.main(arguments)
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| r")]
    ((_, agree, stated, found, passes),) = rows
    assert -1 <= float(agree) <= 1 and float(stated) > 0 and float(found) > 0
    assert passes == "16 |"


def test_a_table_goes_between_its_markers(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x -->\nold\n<!-- end of x -->\nb\n")
    monkeypatch.setattr(report, "PAGE", page)
    text = report.table(["one", "two"], [[1, "`z`"]])
    report.publish("x", text, write=True)
    assert page.read_text() == (
        "a\n<!-- x -->\n| one | two |\n| --- | --- |\n| 1 | `z` |\n<!-- end of x -->\nb\n"
    )
    report.publish("x", "other", write=False)
    assert "other" in capsys.readouterr().out
    assert "other" not in page.read_text()


def test_the_published_page_has_a_place_for_every_table():
    text = report.PAGE.with_name("benchmarks.md").read_text("utf-8")
    for name in ("capture", "methods", "precision", "viewer", "full size"):
        assert text.count(f"<!-- {name} -->") == text.count(f"<!-- end of {name} -->") == 1
