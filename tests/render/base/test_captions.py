"""What stands beside an image is true, complete and never claims a reason."""

from dataclasses import replace

import numpy as np
import pytest

from groundviz.errors import TargetError
from groundviz.record.targets import Question, find
from groundviz.record.types import Samples
from groundviz.render.base import captions
from groundviz.render.base.colour import scales
from groundviz.render.figures import legend
from tests.support import records

RECORD = records.record()
ANSWER = RECORD.answer
PLAIN, SIGNED = RECORD.heatmaps
PAIR, SHATTERED = records.pair(), records.shattered()


def test_attention_is_where_the_model_looked_and_nothing_is_claimed_for_others():
    assert captions.claim(PLAIN.at(RECORD.target)) == "where the model looked"
    assert captions.claim(SIGNED.at(RECORD.target)) == ""
    assert "why" in captions.NOT_WHY


@pytest.mark.parametrize(
    ("reduce", "named", "says"),
    [
        (("mean", "mean", "mean"), {}, "mean over layers and heads"),
        (("sum", "sum", "mean"), {}, "sum over layers, mean over heads"),
        (("mean", "mean", "mean"), {"layer": 1}, "layer 1, mean over heads"),
        (("mean", "sum", "mean"), {"head": 0}, "head 0, sum over layers"),
        (("mean", "mean", "mean"), {"layer": 1, "head": 0}, "layer 1, head 0"),
    ],
)
def test_layers_and_heads_are_named_with_how_they_combine(reduce, named, says):
    maps = replace(PLAIN, reduce=reduce)
    assert captions.aggregation(maps, maps.at(RECORD.target, **named)) == says


def test_one_layer_and_one_head_need_no_words():
    maps = replace(PLAIN, values=PLAIN.values[:, :1, :1], layers=(0,))
    assert captions.aggregation(maps, maps.at(RECORD.target)) == ""


@pytest.mark.parametrize(
    ("share", "says"),
    [
        (0.0, "< 1%"),
        (0.0099, "< 1%"),
        (0.01, "1%"),
        (0.5, "50%"),
        (0.9899, "99%"),
        (0.996, "> 99%"),
        (1.0, "100%"),
    ],
)
def test_percentages_promise_no_more_than_they_know(share, says):
    assert captions.percent(share) == says


def test_the_probability_of_a_part_is_the_product_of_its_tokens():
    expected = np.exp(ANSWER.logprobs[3].astype(float)) * np.exp(ANSWER.logprobs[4].astype(float))
    assert captions.probability(ANSWER, find(ANSWER, "left upper")) == pytest.approx(expected)
    assert captions.probability(ANSWER, RECORD.target) == pytest.approx(ANSWER.confidence)


def test_the_pieces_of_an_answer_are_its_words():
    pieces = captions.pieces(ANSWER, RECORD.target)
    assert [piece.text for piece in pieces] == ["nodule", "in", "the", "left", "upper", "zone"]
    assert [piece.tokens for piece in pieces] == [(0,), (1,), (2,), (3,), (4,), (5,)]


def test_a_word_keeps_all_its_tokens_and_numbers_and_hyphens_stay_whole():
    answer = records.answer(("pneu", "mo", "thorax", ", well", "-def", "ined", " 1", ".", "5 cm"))
    pieces = captions.pieces(answer, find(answer))
    assert [(piece.text, piece.tokens) for piece in pieces] == [
        ("pneumothorax", (0, 1, 2)),
        ("well-defined", (3, 4, 5)),
        ("1.5", (6, 7, 8)),
        ("cm", (8,)),
    ]


def test_a_single_word_falls_into_its_tokens_and_a_single_token_into_nothing():
    answer = records.answer(("pneu", "mo", "thorax"))
    assert [piece.text for piece in captions.pieces(answer, find(answer))] == ["pneu", "mo", "thorax"]
    assert captions.pieces(answer, find(answer, 1)) == []


def test_pieces_stay_inside_the_target():
    part = find(ANSWER, "left upper")
    assert [piece.text for piece in captions.pieces(ANSWER, part)] == ["left", "upper"]


def test_a_repeated_word_means_each_place_once():
    answer = records.answer(("no", " mass", " no", " clot"))
    assert [piece.tokens for piece in captions.pieces(answer, find(answer))] == [(0,), (1,), (2,), (3,)]


def test_emphasis_marks_the_parts_that_are_explained():
    parts = [find(ANSWER, "nodule"), find(ANSWER, "upper")]
    assert captions.emphasis(ANSWER, parts) == [
        ("nodule", True),
        (" in the left", False),
        (" upper", True),
        (" zone.", False),
    ]


def test_the_whole_answer_is_called_so():
    assert captions.part(ANSWER, RECORD.target) == "whole answer"
    assert captions.part(ANSWER, find(ANSWER, " in")) == "in"


def test_a_map_is_described_for_those_who_cannot_see_it():
    heatmap = PLAIN.at(RECORD.target)
    row, col = np.unravel_index(heatmap.values.argmax(), (14, 14))
    says = captions.describe(heatmap)
    assert says.startswith("Attention for “nodule in the left upper zone.”: strongest at ")
    assert (
        f"row {row + 1} of 14, column {col + 1} of 14, {heatmap.values.max():.3g} share of attention; "
        in says
    )


def test_a_negative_map_is_strongest_where_its_magnitude_is():
    values = np.zeros((14, 14), np.float32)
    values[2, 3], values[5, 6], values[0, 0] = -2.0, 1.0, np.nan
    says = captions.describe(replace(SIGNED.at(RECORD.target), values=values))
    assert "row 3 of 14, column 4 of 14, -2 Δ log-prob" in says


def test_in_how_many_cells_half_of_a_map_lies_is_told_of_those_that_hold_a_value():
    def one(values):
        return replace(PLAIN.at(RECORD.target), values=np.asarray(values, np.float32))

    many, few = one(np.eye(4)), one([[9, 1], [np.nan, 1]])
    assert captions.halves([many]) == "4 of 16 cells hold half of a map"
    assert captions.halves([few]) == "1 of 3 cells holds half of a map"
    assert captions.halves([many, few]) == "1 of 3 to 4 of 16 cells hold half of a map"


def test_a_flat_map_is_described_as_no_evidence():
    flat = replace(PLAIN.at(RECORD.target), values=np.full((14, 14), 0.5, np.float32))
    assert captions.describe(flat).endswith("no evidence: every cell holds the same value.")
    legend = captions.legend(RECORD.source_images, [flat])
    assert legend == [captions.NOT_WHY, captions.PERCENTAGES]


def test_the_legend_says_what_can_be_seen_and_only_that():
    plain, signed = PLAIN.at(RECORD.target), SIGNED.at(RECORD.target)
    opacity = "Opacity rises with the colour, from 0 at zero to 85% at the scale's end."
    assert opacity in captions.legend(RECORD.source_images, [plain])
    text = " ".join(captions.legend(RECORD.source_images, [plain, signed]))
    assert (
        "Outlined: the fewest cells that hold 50% of a map (thin: 90%), where these are at most 25% of "
        "all and the map is not faint, dashed where negative."
    ) in text
    assert "Hatched" not in text
    holed = replace(plain, values=np.where(np.eye(14), np.nan, plain.values).astype(np.float32))
    assert captions.legend(RECORD.source_images, [holed])[-1] == "Hatched: not seen by the model."
    tall = records.record(120, 96)
    assert (
        captions.legend(tall.source_images, [tall.heatmaps[0].at(tall.target)])[-1]
        == "Hatched: not seen by the model."
    )


def test_the_caption_tells_what_where_from_and_how_to_make_it_again():
    rows = [[maps.at(RECORD.target)] for maps in RECORD.heatmaps]
    caption = legend.single(RECORD, rows, [scales(row) for row in rows])
    for part in (
        "asked “Where is the nodule?” and it answered “nodule in the left upper zone.”",
        "Attention (share of attention, mean over layers and heads): colours follow the square root of the "
        "value, 0 to the highest; highest 0.021 at row 1, column 1; 36 of 196 cells hold half of a map.",
        "Occlusion (Δ log-prob, mean over layers and heads): colours follow the square root of the value, ± ",
        captions.NOT_WHY,
        "Model groundviz/demo revision a1b2c3 (llava, weights sha256:0f3a, float32 on cpu, sdpa ",
        "seed 0; groundviz 0.1.0, torch 2.13.0, transformers 5.23.0.",
    ):
        assert part in caption


def test_the_caption_tells_the_images_apart_and_says_how_many_maps_there_are():
    rows = [[maps.at(PAIR.target)] for maps in PAIR.heatmaps]
    caption = legend.single(PAIR, rows, [scales(row) for row in rows])
    for part in (
        "Maps of the images when the model was asked “Where is the nodule?”",
        "First, the image of each row; then",
        "Image 1 of 2, 96 by 96 pixels; image 2 of 2, 60 by 120 pixels.",
        "mean over layers and heads; rows: image 1 of 2; image 2 of 2): colours follow",
    ):
        assert part in caption
    assert [caption.count(f"{name} (") for name in ("Attention", "Occlusion")] == [1, 1]
    assert "drawn" not in caption
    one = legend.single(PAIR, rows[1:2], [scales(rows[1])])
    assert "First, the image; then" in one
    assert "rows: image 2 of 2)" in one
    assert "Attention: 1 of 2 maps is drawn." in one
    assert "Occlusion" not in one


def test_maps_that_are_not_drawn_are_counted():
    shown = [maps.at(SHATTERED.target) for maps in SHATTERED.heatmaps if maps.method == "occlusion"]
    assert captions.undrawn(SHATTERED, shown) == []
    assert captions.undrawn(SHATTERED, [shown[0], shown[1], shown[0]]) == [
        "Occlusion: 2 of 14 maps are drawn."
    ]
    assert captions.undrawn(RECORD, [PLAIN.at(RECORD.target), SIGNED.at(RECORD.target)]) == []


def test_a_map_is_described_with_its_image_and_tile():
    tile = next(maps for maps in SHATTERED.heatmaps if maps.grid.label).at(find(SHATTERED.answer, "left"))
    assert captions.describe(tile, SHATTERED.source_images).startswith(
        "Attention for “left” on image 1 of 2, overview: strongest at row"
    )
    assert captions.titled(tile, SHATTERED.source_images) == "Attention · image 1 of 2, overview"
    assert captions.titled(PLAIN.at(RECORD.target), RECORD.source_images) == "Attention"


def test_only_attention_is_told_to_be_where_the_model_looked():
    rows = [[RECORD.heatmaps[1].at(RECORD.target)]]
    caption = legend.single(RECORD, rows, [scales(row) for row in rows])
    assert caption.startswith("Maps of the image when the model was asked")
    assert captions.NOT_WHY not in caption
    weighted = replace(PLAIN.at(RECORD.target), method="gradient_attention", unit="nats")
    assert captions.NOT_WHY not in captions.legend(RECORD.source_images, [weighted])
    assert not captions.claim(weighted)
    assert captions.legend(RECORD.source_images, rows[0])[0] == captions.PERCENTAGES


def test_a_given_answer_is_not_called_the_model_s():
    given = replace(RECORD, answer=replace(ANSWER, source="given"))
    rows = [[PLAIN.at(RECORD.target)]]
    assert "and it was given the answer “" in legend.single(given, rows, [scales(rows[0])])


def test_the_legend_says_what_a_reader_sees_besides():
    plain = PLAIN.at(RECORD.target)
    text = " ".join(
        captions.legend(RECORD.source_images, [plain], percentages="", smooth=True, contours=True)
    )
    assert captions.PERCENTAGES not in text
    assert captions.SMOOTH in text
    assert captions.REFERENCE in text
    assert "Outlined: where the fewest cells that hold 50%" in text


def test_a_caption_of_a_sweep_names_its_target_once():
    rows = [[PLAIN.at(RECORD.target, layer=layer) for layer in PLAIN.layers]]
    caption = legend.single(RECORD, rows, [scales(rows[0])])
    assert "then the maps for “nodule in the left upper zone.”, layer by layer. Attention" in caption
    assert "Attention (share of attention, layer by layer, mean over heads):" in caption


def test_what_holds_for_all_parts_is_told_once():
    parts = [("(a)", ["First.", "Same.", "Own."], "Model x."), ("(b)", ["Other.", "Same."], "Model x.")]
    assert legend.several(parts, ["Note."]) == "(a) First. Own. (b) Other. Same. Note. Model x."
    different = [parts[0], ("(b)", ["First.", "Same."], "Model y.")]
    assert legend.several(different) == "(a) First. Own. Model x. (b) First. Model y. Same."


def test_a_caption_hides_nothing():
    sly = records.record(question="Where\u202e?\x1b[2J")
    rows = [[sly.heatmaps[0].at(sly.target)]]
    assert "“Where⟦U+202E⟧?␛[2J”" in legend.single(sly, rows, [scales(rows[0])])


def test_a_word_of_the_question_says_so_and_has_no_probability_and_no_place_in_the_answer():
    asked = records.asked(RECORD)
    nodule = find(ANSWER, Question("nodule"), asked.prompt)
    assert captions.part(ANSWER, nodule) == "nodule (in the question)"
    assert captions.emphasis(ANSWER, [nodule]) == captions.emphasis(ANSWER, [])
    assert captions.pieces(ANSWER, find(ANSWER, Question(), asked.prompt)) == []
    with pytest.raises(TargetError, match="only the answer has a probability"):
        captions.probability(ANSWER, nodule)
    heatmap = asked.heatmaps[0].at(nodule)
    assert captions.describe(heatmap).startswith("Attention for “nodule” (in the question): strongest at row")
    row = [[heatmap]]
    assert "“nodule” (in the question)" in legend.single(asked, row, [scales(row[0])])


@pytest.mark.parametrize(("finished", "says"), [(True, ""), (None, ""), (False, "cut off by its length")])
def test_only_an_answer_that_is_known_to_be_cut_off_is_told_to_be(finished, says):
    assert captions.cut_off(replace(ANSWER, finished=finished)) == says


def test_what_an_interrupt_left_undone_is_told_once_for_each_method():
    cut = [replace(maps, samples=Samples(done=1112, asked=4800)) for maps in PAIR.heatmaps]
    record = replace(PAIR, heatmaps=(*cut,), unmeasured=("shapley", "rise"))
    assert captions.incomplete(record) == (
        "Interrupted: Attention rests on 1,112 of 4,800 steps.",
        "Interrupted: Occlusion rests on 1,112 of 4,800 steps.",
        "Interrupted: Shapley was asked for and never ran.",
        "Interrupted: RISE was asked for and never ran.",
    )
    assert captions.incomplete(record, ["occlusion"]) == captions.incomplete(record)[1:]
    assert captions.interrupted(cut[0]) == "1,112 of 4,800 steps"


def test_nothing_is_told_of_work_that_was_done():
    whole = replace(PLAIN, samples=Samples(done=480, asked=480))
    assert captions.incomplete(replace(RECORD, heatmaps=(whole, SIGNED))) == ()
    assert (captions.interrupted(whole), captions.interrupted(SIGNED)) == ("", "")


def _uncertain(values, errors):
    heatmap = SIGNED.at(RECORD.target)
    return captions.uncertainty(
        replace(heatmap, values=np.array([values], np.float32), standard_error=np.array([errors], np.float32))
    )


@pytest.mark.parametrize(
    ("values", "errors", "says"),
    [
        (
            [1.0, -2.0, 0.0],
            [0.1, 0.2, 0.13],
            "standard error at most 10% of the largest value, 6% in the median cell",
        ),
        (
            [1.0, 0.5, 0.0],
            [1.501, 0.001, 0.002],
            "standard error at most 151% of the largest value, below 1% in the median cell",
        ),
        (
            [1.0, np.nan, 0.5],
            [0.001, 9.0, np.nan],
            "standard error below 1% of the largest value, below 1% in the median cell, "
            "not known in 1 of 2 cells",
        ),
        ([0.0, 0.0], [0.1, 0.0], "standard error more than 10 times the largest value"),
        ([0.0, 0.0], [0.0, 0.0], "standard error below 1% of the largest value, below 1% in the median cell"),
        ([0.0, 1.0], [np.nan, np.nan], "standard error not known"),
        ([np.nan, np.nan], [np.nan, 1.0], "standard error not known"),
    ],
)
def test_a_standard_error_is_told_against_the_largest_value(values, errors, says):
    assert _uncertain(values, errors) == says


def test_of_a_map_that_was_not_drawn_at_random_no_error_is_told():
    assert captions.uncertainty(SIGNED.at(RECORD.target)) == ""


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (0.0, "no evidence: every cell holds the same value"),
        (np.nan, "no evidence: no cell holds a value"),
    ],
)
def test_a_map_that_points_nowhere_says_so(value, says):
    heatmap = PLAIN.at(RECORD.target)
    assert captions.no_evidence(heatmap) == ""
    assert captions.no_evidence(replace(heatmap, values=np.full((14, 14), value, np.float32))) == says
