"""A style chooses what names something, sets it off in its sentence, and says what it changed."""

from dataclasses import replace

import numpy as np
import pytest

from groundviz.errors import TargetError, UnknownName
from groundviz.record.targets import Phrase, find, rather_than, sentences
from groundviz.record.types import Foil
from groundviz.render.figures import styles
from groundviz.render.figures.panels import Sentence
from tests.support import records

RECORD = records.record()
ANSWER = RECORD.answer
REPORT = records.record(
    words=tuple("No| pneumo|thorax|.| The| heart| is| large|.| Left| effusion|,| small|.".split("|"))
)
WIDE = 181.0


def _panels(record, style, named):
    maps = [styles.prepared(record, record.heatmaps[0].at(find(record.answer, one)), style) for one in named]
    return list(styles.panels(record, maps, [None] * len(maps), style))


def test_words_that_name_nothing_are_left_out_and_negations_are_not():
    found = styles.default_targets(REPORT, WIDE, "words")
    assert [word.text.strip() for word in found] == [
        "No",
        "pneumothorax",
        "heart",
        "large",
        "Left",
        "effusion",
        "small",
    ]
    assert [word.tokens for word in found][:2] == [(0,), (1, 2)]


def test_an_answer_of_small_words_alone_is_shown_all_the_same():
    small = records.record(words=("there", " is"))
    assert [word.text.strip() for word in styles.default_targets(small, WIDE, "words")] == ["there is"]
    assert [word.text.strip() for word in styles.default_targets(small, WIDE)] == ["there is", "there", "is"]


def test_words_fill_two_lines_at_most():
    long = records.record(words=tuple(f" word{number}" for number in range(60)))
    assert len(styles.default_targets(long, WIDE, "words")) == 2 * 5 - 1


def test_findings_are_the_sentences_or_the_clauses_of_one():
    assert styles.default_targets(REPORT, WIDE, "findings") == sentences(REPORT.answer)
    one = records.record(words=("nodule", " left", " and", " effusion", " right"))
    assert [part.text.strip() for part in styles.default_targets(one, WIDE, "findings")] == [
        "nodule left",
        "effusion right",
    ]


def test_a_contrast_stands_beside_its_target_alone():
    contrast = rather_than(find(ANSWER, "left"), Foil(text="right", token_ids=(7,)))
    record = replace(RECORD, targets=(contrast,))
    found = styles.default_targets(record, WIDE)
    assert [one.text.strip() for one in found] == ["left rather than right", "left"]
    assert [one.foil is None for one in found] == [False, True]
    assert [one.text.strip() for one in styles.default_targets(record, WIDE, "words")] == ["left"]


def test_in_a_grid_the_probability_stands_beside_and_no_sentence_under():
    (panel,) = _panels(RECORD, "grid", ["left"])
    assert (panel.name, panel.aside, panel.sentence) == ("left", "86%", None)


def test_a_word_stands_over_its_own_sentence():
    (panel,) = _panels(REPORT, "words", ["pneumothorax"])
    assert panel.sentence == Sentence("No", ((" pneumothorax", True),), ".")
    (panel,) = _panels(REPORT, "words", ["heart"])
    assert panel.sentence == Sentence("The", ((" heart", True),), " is large.")


def test_a_part_in_several_sentences_stands_over_all_of_them():
    twice = records.record(words=tuple("No| mass|.| Heart| large|.| No| clot|.".split("|")))
    (panel,) = _panels(twice, "words", [Phrase("No", "all")])
    parts = (("No", True), (" mass. Heart large.", False), (" No", True))
    assert panel.sentence == Sentence("", parts, " clot.")


def test_an_end_of_the_answer_that_wrote_nothing_has_no_sentence():
    end = find(ANSWER, -1)
    maps = replace(RECORD.heatmaps[0], targets=(end,), values=RECORD.heatmaps[0].values[:1])
    (panel,) = styles.panels(RECORD, [maps.at(end)], [None], "words")
    assert panel.sentence is None


def test_findings_are_numbered():
    assert [panel.name for panel in _panels(REPORT, "findings", ["heart", "effusion"])] == ["1", "2"]


def test_the_reconstruction_divides_up_what_goes_to_the_image_and_says_how_much_that_is():
    raw = RECORD.heatmaps[0].at(find(ANSWER, "left upper"))
    shown = styles.prepared(RECORD, raw, "llava_rad")
    assert shown.unit == "share of attention to the image"
    assert np.nansum(shown.values) == pytest.approx(1.0, rel=1e-5)
    assert np.allclose(shown.values * np.nansum(raw.values), raw.values)
    (panel,) = _panels(RECORD, "llava_rad", ["left upper"])
    assert panel.aside == f"{100 * np.nansum(raw.values):.0f}% to image"


def test_the_image_s_share_is_counted_over_all_tiles():
    tiled = records.tiled()
    maps = [one.at(tiled.target) for one in tiled.heatmaps if one.method == "attention"]
    shown = [styles.prepared(tiled, one, "llava_rad") for one in maps]
    assert sum(np.nansum(one.values) for one in shown) == pytest.approx(1.0, rel=1e-5)


def test_attention_that_never_goes_to_the_image_is_no_division_by_zero():
    silent = replace(RECORD.heatmaps[0], values=np.zeros_like(RECORD.heatmaps[0].values))
    record = replace(RECORD, heatmaps=(silent,))
    assert not styles.prepared(record, silent.at(RECORD.target), "llava_rad").values.any()


def test_the_reconstruction_is_of_attention_alone():
    with pytest.raises(TargetError, match="shows shares of attention: occlusion measures"):
        styles.prepared(RECORD, RECORD.heatmaps[1].at(RECORD.target), "llava_rad")


def test_an_unknown_style_is_answered_with_the_known_ones():
    with pytest.raises(UnknownName, match="known are 'grid', 'words', 'findings', 'llava_rad'"):
        styles.known("nature")


def test_a_layer_is_called_by_its_place_in_the_model_where_that_is_known():
    maps = replace(RECORD.heatmaps[0], params={"sites": ("vision.3", "projector")})
    row = [maps.at(RECORD.target, layer=layer) for layer in (0, 1)]
    panels = list(styles.panels(RECORD, row, [None, None], "grid"))
    assert [(panel.name, panel.aside) for panel in panels] == [("vision 3", ""), ("projector", "")]
    plain = [RECORD.heatmaps[0].at(RECORD.target, layer=layer) for layer in (0, 1)]
    assert [panel.name for panel in styles.panels(RECORD, plain, [None, None], "grid")] == [
        "layer 0",
        "layer 1",
    ]
