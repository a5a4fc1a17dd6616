"""Tables in their formats, charts that draw what they are given, and cases chosen by rule."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from groundviz.render.report import cases, charts, tables
from groundviz.render.report.charts import Cloud, Curve, Series
from groundviz.render.report.tables import Number, Table
from tests.support import records

TABLE = Table(
    name="one",
    title="Per cent & more",
    head=("name", "mean", "n"),
    rows=(("a_b|c", Number(0.414, 0.35, 0.471), 3), ("<b>", None, 4), ("none", Number(float("nan")), 0)),
    note="50 % of it.",
)


def test_markdown_keeps_its_columns():
    lines = tables.markdown(TABLE).splitlines()
    assert lines[4] == r"| a_b\|c | 0.41 [0.35, 0.47] | 3 |"
    assert lines[5:7] == ["| &lt;b> | not measured | 4 |", "| none | undefined | 0 |"]


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)>"),
        ("![](http://host/x.png)", r"![\](http://host/x.png)"),
        (r"[a\](http://host)", r"[a\\\](http://host)"),
        ("[a]: http://host", r"[a\]: http://host"),
        ("`a` *b* __c__", r"\`a\` \*b\* \_\_c\_\_"),
        ("&lt;b&gt;\n# head\ud800", "&amp;lt;b&amp;gt; # head⟦U+D800⟧"),
        ("prior:class_mean of R&D, p < 0.001 [0.2, 0.3]", "prior:class_mean of R&D, p < 0.001 [0.2, 0.3]"),
    ],
)
def test_markdown_reads_no_mark_in_a_name_and_leaves_plain_ones_as_they_are(words, written):
    made = Table(name="t", title=words, head=(words, "n"), rows=((words, 1),), note=words)
    title, _, head, _, row, _, note = tables.markdown(made).splitlines()
    assert title == f"**{written}**"
    assert [head, row, note] == [f"| {written} | n |", f"| {written} | 1 |", written]


def test_latex_escapes_what_latex_would_read():
    text = tables.latex(TABLE)
    assert r"a\_b|c & 0.41 [0.35, 0.47] & 3 \\" in text
    assert r"\caption{Per cent \& more. 50 \% of it.}" in text
    assert r"\textless{}b\textgreater{} & not measured & 4 \\" in text


def test_latex_takes_no_name_for_an_option_of_the_row_before():
    rows = (("[5cm] mass", 1), ("*effusion", 2), ("[left] opacity", 3), ("", 4))
    lines = tables.latex(Table(name="t", title="T", head=("[5cm]", "n"), rows=rows)).splitlines()
    assert lines[5] == r"{}[5cm] & n \\"
    assert lines[7:11] == [
        r"{}[5cm] mass & 1 \\",
        r"{}*effusion & 2 \\",
        r"{}[left] opacity & 3 \\",
        r" & 4 \\",
    ]


def test_csv_holds_the_numbers_and_their_ends():
    rows = list(csv.reader(io.StringIO(tables.comma_separated(TABLE))))
    assert rows[0] == ["name", "mean", "mean low", "mean high", "n"]
    assert rows[1] == ["a_b|c", "0.414", "0.35", "0.471", "3"]
    assert rows[2] == ["<b>", "not measured", "", "", "4"]
    assert rows[3] == ["none", "", "", "", "0"]


def test_csv_holds_no_formula():
    rows = (("=1+1", Number(-0.5, -0.75, -0.25)), ("@SUM(A1)", "+1"))
    text = tables.comma_separated(Table(name="t", title="T", head=("-finding", "change"), rows=rows))
    assert list(csv.reader(io.StringIO(text))) == [
        ["'-finding", "change", "change low", "change high"],
        ["'=1+1", "-0.5", "-0.75", "-0.25"],
        ["'@SUM(A1)", "'+1", "", ""],
    ]


def test_json_has_no_nan():
    kept = json.loads(tables.as_json([TABLE], {"title": "T"}))
    assert kept["title"] == "T"
    assert kept["tables"]["one"]["rows"][2]["mean"] == {"value": None, "low": None, "high": None}


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="has 1 cells, expected 2"):
        Table(name="t", title="T", head=("a", "b"), rows=(("x",),))


def pixels(figure):
    with Image.open(io.BytesIO(figure.to_bytes("png"))) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def coloured(shown, colour, within=40):
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    return np.argwhere((np.abs(shown - wanted) < within).all(axis=2))


def test_the_forest_puts_a_larger_number_further_to_the_right_and_tells_what_is_missing():
    few = Series(name="one", numbers=(Number(0.2, 0.1, 0.3), Number(0.9)))
    gap = Series(name="other", numbers=(Number(0.5), None))
    figure = charts.forest(["first", "second"], [few, gap], metric="hit", caption="c")
    spots = coloured(pixels(figure), charts._COLOURS[0])
    # Of the two rows of marks, below the legend, the lower one has the higher number.
    below = spots[spots[:, 0] > spots[:, 0].min() + 40]
    upper, lower = below[below[:, 0] < np.median(below[:, 0])], below[below[:, 0] >= np.median(below[:, 0])]
    assert lower[:, 1].mean() > upper[:, 1].mean()
    texts = [one.get_text() for one in figure.figure.axes[0].texts]
    assert "not measured" in texts
    assert figure.to_bytes("pdf") == figure.to_bytes("pdf")


def test_the_band_of_chance_and_the_line_of_chance_are_there():
    x = np.linspace(0, 1, 9)
    band = Curve(name="random order", x=x, y=-x, low=-x - 0.5, high=-x + 0.5, band=True)
    figure = charts.curves([Curve(name="one", x=x, y=-(x**0.5)), band], x="x", y="y", caption="c")
    assert len(figure.figure.axes[0].collections) == 1
    cloud = Cloud(name="one", x=np.array([0.01, 0.1, 0.0, 0.2]), y=np.array([0.0, 1.0, 1.0, np.nan]))
    drawn = charts.sizes([cloud], metric="hit", caption="c")
    names = [one.get_label() for one in drawn.figure.axes[0].lines]
    assert "chance" in names
    points = drawn.figure.axes[0].lines[0]
    # What has no size on a logarithmic axis, or no value, is left out.
    assert points.get_xdata().tolist() == [0.01, 0.1]


def labels_of_sizes(least, most, count=9):
    cloud = Cloud(name="one", x=np.geomspace(least, most, count), y=np.linspace(0, 1, count))
    figure = charts.sizes([cloud], metric="hit", caption="c").figure
    figure.draw_without_rendering()
    axis = figure.axes[0].xaxis
    assert [one.get_text() for one in axis.get_minorticklabels() if one.get_text()] == []
    low, high = figure.axes[0].get_xlim()
    return [one.get_text() for one in axis.get_majorticklabels() if low <= one.get_position()[0] <= high]


def test_sizes_are_labelled_in_per_cent_and_sparsely():
    assert labels_of_sizes(0.008, 0.05) == ["1 %", "2 %", "5 %"]
    assert labels_of_sizes(0.0004, 0.9) == ["0.1 %", "0.3 %", "1 %", "3 %", "10 %", "30 %"]
    # Sizes that are alike leave the ends.
    assert len(labels_of_sizes(0.03, 0.031)) == 2
    assert len(labels_of_sizes(0.03, 0.03)) == 2


def test_the_legend_has_a_line_only_where_one_is_drawn():
    for count, style in ((15, "None"), (16, "-")):
        cloud = Cloud(name="one", x=np.geomspace(0.01, 0.2, count), y=np.linspace(0, 1, count))
        assert cloud.has_line == (style == "-")
        axes = charts.sizes([cloud], metric="hit", caption="c", chance=False).figure.axes[0]
        assert axes.get_legend().get_lines()[0].get_linestyle() == style
        assert len(axes.lines) == 2 + cloud.has_line


def test_hostile_names_stay_names():
    one = Series(name="$\\frac{1}{0}$ <b>\u202e", numbers=(Number(0.5),))
    assert pixels(charts.forest(["$x_"], [one], metric="$", caption="c")).size


def test_cases_are_chosen_by_quantiles_and_the_worst_is_there():
    values = np.array([0.5, np.nan, 0.0, 1.0, 0.25, 0.75])
    assert cases.chosen(values, 5) == [2, 4, 0, 5, 3]
    assert cases.chosen(values, 2) == [2, 3]
    assert cases.chosen(np.full(3, np.nan), 4) == []
    ties = np.zeros(30)
    assert cases.chosen(ties, 5, seed=1) == cases.chosen(ties, 5, seed=1)
    assert cases.chosen(ties, 5, seed=1) != cases.chosen(ties, 5, seed=2)


def test_a_map_that_is_not_seen_says_why():
    record = records.record(96, 64)
    heatmap = replace(record.heatmaps[0].at(record.target), unit="nats", signed=False)
    mask = np.zeros((96, 64), bool)

    def shown(values):
        return cases.Case(
            image=record.source_image, reference=mask, heatmap=replace(heatmap, values=values), caption=""
        )

    strong = np.linspace(0.0, 0.5, heatmap.values.size, dtype=np.float32).reshape(heatmap.shape)
    row = cases.Row(name="r", cases=(shown(strong), shown(strong / 1000), shown(np.zeros_like(strong))))
    told = [cases.unseen(one, row.scale) for one in row.cases]
    assert told == [
        "",
        "below its scale's floor of 0.01: highest 0.0005",
        "no evidence: every cell holds the same value",
    ]


def test_the_reference_is_outlined_and_a_row_has_one_scale():
    record = records.record(96, 64)
    mask = np.zeros((96, 64), bool)
    mask[20:40, 10:30] = True
    heatmap = record.heatmaps[0].at(record.target)
    one = cases.Case(image=record.source_image, reference=mask, heatmap=heatmap, caption="")
    row = cases.Row(
        name="r", cases=(one, cases.Case(image=record.source_image, reference=mask, heatmap=None, caption=""))
    )
    assert row.scale.top >= np.nanmax(heatmap.values)
    content, shape = cases.panel(one, row.scale, longest=192)
    with Image.open(io.BytesIO(content)) as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    assert shown.shape[:2] == shape
    green = coloured(shown, cases._LIGHT, within=60) / (np.array(shape) / np.array([96, 64]))
    assert green.min(axis=0) == pytest.approx([20, 10], abs=1.5)
    assert green.max(axis=0) == pytest.approx([40, 30], abs=1.5)
