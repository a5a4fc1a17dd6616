"""Figures and their captions say in words whether maps are to be believed; nothing else is added to them."""

from dataclasses import replace

from matplotlib.text import Text

from groundviz.record.evidence import SAYS_NOTHING
from groundviz.record.targets import find
from groundviz.render.figures.figure import Part, compose
from tests.support import records
from tests.support.figures import draw

RECORD = records.record()


def _rows(record, named):
    return [[maps.at(find(record.answer, named))] for maps in record.heatmaps]


def _texts(figure) -> list[str]:
    return [text.get_text().strip() for text in figure.figure.findobj(Text)]


def test_every_figure_says_whether_the_answer_needs_the_image_and_the_marked_place():
    both = records.checked(RECORD, "yes", attention="not shown", occlusion="shown")
    figure = draw(both, _rows(both, "nodule"))
    line = "needs the image: yes · needs the marked place: not shown (Attention), shown (Occlusion)"
    assert line in _texts(figure)
    assert figure.caption.count(SAYS_NOTHING) == 1
    assert "Needs the image: yes; needs the marked place: not shown (Attention), shown" in figure.caption
    assert "Attention: Not shown: covering it" in figure.caption
    assert "Occlusion: Covering the marked place weakens the answer more" in figure.caption
    alone = draw(both, _rows(both, "nodule")[1:])
    texts = _texts(alone)
    at = texts.index("needs the image: yes · needs the marked place: shown.")
    assert texts[at + 1].startswith("Covering the marked place weakens the answer more than")
    assert "Attention" not in alone.caption.partition("Needs the image")[2].partition("Model")[0]
    assert "Evidence says nothing about whether the answer is right." in " ".join(texts)
    bare = " ".join(_texts(draw(both, _rows(both, "nodule"), header=False)))
    assert "needs the image" not in bare
    assert "says nothing" not in bare


def test_a_map_without_evidence_says_that_it_was_not_measured():
    plain = replace(RECORD, checks=())
    figure = draw(plain, _rows(plain, "nodule"))
    assert "needs the image: not measured · needs the marked place: not measured" in _texts(figure)
    assert "Needs the image: not measured; needs the marked place: not measured." in figure.caption


def test_an_answer_that_needs_no_image_is_seen_on_the_figure():
    blind = records.checked(RECORD, "no")
    text = " ".join(_texts(draw(blind, _rows(blind, "nodule"))))
    assert "This answer does not need this image" in text
    assert "The map is no evidence for it." in text


def test_what_holds_for_all_parts_of_a_figure_is_told_once():
    parts = [(records.checked(RECORD, needs), name) for needs, name in (("yes", "Now"), ("no", "Before"))]
    figure = compose([Part(one, _rows(one, "nodule"), name) for one, name in parts])
    assert figure.caption.count(SAYS_NOTHING) == 1
    assert figure.caption.count("Needs the image: yes") == figure.caption.count("Needs the image: no") == 1


def test_a_verdict_is_not_cut_short_where_there_is_little_room():
    found = records.checked(RECORD, "yes", attention="not shown")
    narrow = draw(found, _rows(found, "nodule")[:1], width=60)
    assert "right maps also land here." in " ".join(" ".join(_texts(narrow)).split())
