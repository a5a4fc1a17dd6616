"""A page holds every token, runs the viewer alone, loads nothing, and keeps its structure come what may."""

import base64
import hashlib
import io
import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from groundviz.record.targets import find
from groundviz.record.types import Samples
from groundviz.render.base import captions as words
from groundviz.render.base import overlay
from groundviz.render.figures.file import PaperFigure
from groundviz.render.pages import html
from groundviz.render.pages.stylesheet import STYLE
from groundviz.render.viewer import assets, pack
from tests.support import records

PAYLOADS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "' onfocus='alert(1)' autofocus='",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</bdi></li></ol><h1>forged</h1>",
    "</p></article></main><footer>forged</footer>",
    "<!--",
    "--><script>alert(1)</script><!--",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?>",
    "<!DOCTYPE html>",
    "<iframe src=javascript:alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=data:text/html;base64,PHNjcmlwdD4=>",
    "<embed src=//example.org/x.swf>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href='https://example.org'>x</a>",
    "<base href=//example.org>",
    "<link rel=stylesheet href=//example.org/x.css>",
    "<meta http-equiv=refresh content='0;url=//example.org'>",
    "<style>@import '//example.org/x.css';</style>",
    "<form action=//example.org><input name=x>",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<math><mtext></mtext><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)",
    "&amp;lt;b&amp;gt; &nbsp; &quot; &#39;",
    "\\u003cscript\\u003ealert(1)",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "<scr\0ipt>alert(1)</scr\0ipt>",
    "<\u200bscript>alert(1)</script>",
    "\u202e>tpircs<\u202c",
    "\u2066<b>\u2069\u200f",
    "\ud800<b>\udfff",
    "\ufeff<b>\ufffe",
    "\x1b[31m\x07\x08\x7f\x9b",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "${alert(1)} {{7*7}} {% raw %} <%= 1 %>",
    "z\u0335\u0336\u0337\u0338\u0321\u0322\u0327\u0328\u0330\u0331",
    "<" * 200,
    '"' * 50 + "'" * 50 + "`" * 50,
    "a" * 5000,
]
TINY_JPEG = b"\xff\xd8\xff\xd9"


class _Structure(HTMLParser):
    """Everything of a page but its texts: tags, attribute names, comments, declarations."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[object] = []
        self.images: list[dict[str, str]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, sorted(name for name, _ in attrs)))
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_endtag(self, tag):
        self.seen.append(f"/{tag}")

    def handle_comment(self, data):
        self.seen.append(("comment", data))

    def handle_decl(self, decl):
        self.seen.append(("declaration", decl))

    def unknown_decl(self, data):
        self.seen.append(("unknown", data))

    def handle_pi(self, data):
        self.seen.append(("instruction", data))


def _parsed(page: str) -> _Structure:
    parser = _Structure()
    parser.feed(page)
    parser.close()
    return parser


def _laced(text: str):
    """A record with one text wherever a text can stand."""
    record = records.record(24, 24, cells=2, question=text, words=(text, f" {text}"), notes=(text,))
    grid = replace(record.heatmaps[0].grid, label=text)
    maps = replace(
        record.heatmaps[0],
        method=text,
        unit=text,
        params={text: text, "sites": (text,)},
        grid=grid,
        standard_error=np.abs(record.heatmaps[0].values),
        samples=Samples(done=1, asked=2),
    )
    made = replace(
        record.provenance,
        model=text,
        family=text,
        weights=text,
        dtype=text,
        device=text,
        attention=text,
        revision=text,
        versions={text: text},
        certificate=text,
        sources={text: text},
        adapters={text: text},
        generation={text: (text, {text: text})},
    )
    return replace(
        record,
        answer=replace(record.answer, finished=False),
        label=text,
        unmeasured=(text,),
        heatmaps=(maps,),
        provenance=made,
        checks=(_check(record.checks[0], text, ""), _check(record.checks[0], text, text)),
        scores=(replace(record.scores[0], metric=text),),
    )


def _check(check, text: str, method: str):
    words = dict.fromkeys(("name", "verdict", "says", "unit", "cost", "source"), text)
    return replace(check, **words, method=method, numbers={text: 1.0}, samples=Samples(done=1, asked=2))


def _still(page: str) -> str:
    """A page as it is where no script runs."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def _figure(caption: str) -> PaperFigure:
    return PaperFigure(Figure(figsize=(0.1, 0.1)), caption)


@pytest.fixture(scope="module")
def page() -> str:
    record = records.record(60, 48, notes=("shown inverted (MONOCHROME1)",))
    return html.page([record], [_figure("A caption of the figure.")])


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_text_anywhere_changes_the_structure_of_a_page(payload, monkeypatch):
    monkeypatch.setattr(overlay, "jpeg", lambda *_: TINY_JPEG)
    monkeypatch.setattr(PaperFigure, "preview", lambda _: overlay.png(np.zeros((2, 2, 3), np.float32)))
    for made in (
        lambda text: html.page([_laced(text)], [_figure(text)]),
        lambda text: html.fragment(_laced(text)),
        lambda text: html.comparison([html.Side(text, _laced(text))] * 2, _figure(text)),
    ):
        assert _parsed(made(payload)).seen == _parsed(made("x")).seen
        made(payload).encode("utf-8")


def test_the_corpus_is_large_and_would_break_a_careless_page():
    assert len(set(PAYLOADS)) >= 40
    broken = [text for text in PAYLOADS if _parsed(f"<p>{text}</p>").seen != _parsed("<p>x</p>").seen]
    assert len(broken) >= 30


def test_nothing_is_loaded_and_nothing_runs_but_the_viewer(page):
    tags = [entry[0] for entry in _parsed(page).seen if isinstance(entry, tuple)]
    assert not set(tags) & {"link", "iframe", "object", "embed", "a", "form", "base", "svg"}
    names = {name for entry in _parsed(page).seen if isinstance(entry, tuple) for name in entry[1]}
    assert not {name for name in names if name.startswith("on") or name in ("href", "style", "srcset")}
    assert all(image["src"].startswith("data:image/") for image in _parsed(page).images)
    assert "//" not in re.sub(r"(base64,|sha256-|data-gv-pack>)[A-Za-z0-9+/=]+", "", page)
    assert "url(" not in STYLE + assets.style()
    assert "@import" not in STYLE + assets.style()
    assert tags.count("script") == 2
    assert page.count(f"<script>{assets.program()}</script>") == 1


def test_the_policy_allows_viewer_and_style_by_their_content_and_forbids_the_rest(page):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.replace("&#x27;", "'").split("; "))
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digests = {
        name: f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for name, text in (("script-src", assets.program()), ("style-src", style))
    }
    nothing = dict.fromkeys(("default-src", "base-uri", "form-action"), "'none'")
    assert rules == {**digests, **nothing, "img-src": "data:"}


def test_the_payload_of_the_viewer_is_base64_and_nothing_else(page):
    (payload,) = re.findall(r'<script type="application/octet-stream" data-gv-pack>(.*?)</script>', page)
    assert re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", payload)
    record = records.record(60, 48, notes=("shown inverted (MONOCHROME1)",))
    assert base64.b64decode(payload) == pack.pack(record)


def test_every_image_can_be_read_and_has_words_and_a_size(page):
    images = _parsed(page).images
    # The image, a map of each method, a bar for each of those and for each method's tokens,
    # seven tokens of two methods, the figure.
    assert len(images) == 1 + 2 + 2 + 2 + 14 + 1
    for image in images:
        assert len(image["alt"]) > 10
        decoded = Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1])))
        shown = int(image["width"]) / int(image["height"])
        assert decoded.size[0] / decoded.size[1] == pytest.approx(shown, rel=0.03)


def test_each_image_is_shown_once_beside_its_own_maps():
    record = records.pair()
    page = html.page([record], [_figure("x")])
    first, second = re.findall(r'<div class="views">(.*?)</div>', page, re.DOTALL)
    for number, views, source_image in (
        (1, first, record.source_images[0]),
        (2, second, record.source_images[1]),
    ):
        images = [one for one in _parsed(views).images if one["alt"] != "Colour scale."]
        assert [one["alt"].split(":")[0] for one in images] == [
            f"Image {number} of 2.",
            f"Attention for “nodule in the left upper zone.” on image {number} of 2",
            f"Occlusion for “nodule in the left upper zone.” on image {number} of 2",
        ]
        for one in images:
            assert int(one["height"]) / int(one["width"]) == pytest.approx(
                source_image.shape[0] / source_image.shape[1], rel=0.01
            )
    captions = re.findall(r"<figcaption>([^<]*)</figcaption>", page)
    assert [captions.count(f"Image {number} of 2") for number in (1, 2)] == [1, 1]
    assert [captions.count(f"Occlusion · image {number} of 2") for number in (1, 2)] == [7, 7]
    assert "About image 2 of 2" in page
    assert "About image 1 of 2" not in page
    assert "This page contains the images themselves." in page


def test_maps_of_several_images_share_a_scale():
    record = records.pair()
    faint = replace(record.heatmaps[1], values=record.heatmaps[1].values / 100)
    page = html.fragment(replace(record, heatmaps=(record.heatmaps[0], faint)))
    bars = re.findall(r'<span class="bar"><span>(.*?)</span>', page)
    assert len(bars) == 3
    assert bars[0] == bars[1]


def test_tiles_are_named_and_too_many_are_counted():
    page = _still(html.fragment(records.tiled()))
    assert "<strong>Attention · overview</strong>" in page
    assert "<figcaption>Attention · tiles</figcaption>" in page
    assert "drawn" not in page
    many = _still(html.fragment(records.shattered()))
    assert "tile 1 of 12" not in many
    assert "Attention: 2 of 14 maps are drawn. Occlusion: 2 of 14 maps are drawn." in many


def test_every_token_stands_with_its_probability_and_its_maps(page):
    record = records.record(60, 48)
    items = re.findall(r"<li><p class=\"token\">(.*?)</li>", page, re.DOTALL)
    assert len(items) == 8
    for index, item in enumerate(items):
        token = record.answer.tokens[index].strip()
        assert f"<bdi>{token.replace('<', '&lt;').replace('>', '&gt;')}</bdi>" in item
        assert words.percent(float(np.exp(record.answer.logprobs[index]))) in item
        assert item.count("<img") == (2 if index < 7 else 0)


@pytest.mark.parametrize(
    ("methods", "title", "sentences"),
    [
        ({"attention"}, "Where did the model look?", [words.NOT_WHY]),
        ({"attention", "occlusion"}, "Where did the model look?", [words.NOT_WHY, html._OTHERS]),
        ({"occlusion"}, "What in the image does the answer depend on?", [html._OTHERS]),
        ({"gradient_attention"}, "What in the image does the answer depend on?", [html._OTHERS]),
        (set(), "Where did the model look?", []),
    ],
)
def test_a_page_is_headed_by_what_its_maps_show(methods, title, sentences):
    record = records.record()
    weighted = replace(record.heatmaps[1], method="gradient_attention", unit="nats")
    maps = tuple(one for one in (*record.heatmaps, weighted) if one.method in methods)
    text = html.page([replace(record, heatmaps=maps)], [_figure("x")])
    header = re.search(r"<header>(.*?)</header>", text, re.DOTALL)[1]
    assert header == f"<h1>{title}</h1>" + "".join(f"<p>{sentence}</p>" for sentence in sentences)


def test_the_page_says_what_it_must(page):
    for part in (
        "<h2>Where is the nodule?</h2>",
        '<p class="answer"><strong>nodule in the left upper zone.</strong></p>',
        "generated by the model",
        "Attention shows where the model looked, not why it answered.",
        "<li>shown inverted (MONOCHROME1)</li>",
        "Without the image the answer loses almost all of its probability.",
        "share of attention",
        "square root of the value, 0 to the highest, one scale for all maps of this unit",
        "<dt>revision</dt><dd>a1b2c3</dd>",
        "<dd>groundviz 0.1.0, torch 2.13.0, transformers 5.23.0</dd>",
        "A caption of the figure.",
        "This page contains the image itself.",
        "Hatched: not seen by the model.",
    ):
        assert part in page, part


def test_headings_descend_without_a_gap(page):
    levels = [int(level) for level in re.findall(r"<h(\d)>", page)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))


def test_both_themes_exist_and_can_be_read():
    themes = re.findall(
        r"--ground: (#\w+); --card: (#\w+); --ink: (#\w+); --quiet: (#\w+);.*?--mark: (#\w+);", STYLE
    )
    # What the system prefers, and then what a notebook has chosen.
    assert themes[:2] == themes[2:]
    for ground, card, *inks in themes:
        for ink in inks:
            assert min(_contrast(ink, ground), _contrast(ink, card)) > 5.5
    assert _contrast(themes[0][0], "#000000") > 15 > 2 > _contrast(themes[1][0], "#000000")


def _contrast(one: str, other: str) -> float:
    light = []
    for colour in (one, other):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        light.append(float(np.dot(linear, [0.2126, 0.7152, 0.0722])) + 0.05)
    return max(light) / min(light)


def test_every_rule_of_the_style_stays_inside_the_page():
    plain = re.sub(r"@media[^{]*\{((?:[^{}]*\{[^{}]*\})*)\s*\}", r"\1", STYLE)
    selectors = [part.strip() for rule in re.findall(r"([^{}]+)\{", plain) for part in rule.split(",")]
    assert len(selectors) > 30
    host = r"((html\[theme=\"\w+\"\]|body(\[data-jp-theme-light=\"\w+\"\]|\.vscode-[\w-]+)(:not\(\S+\))?) )?"
    assert all(re.match(host + r"(body|div)?\.groundviz\b", selector) for selector in selectors)


def test_a_map_without_evidence_is_words_not_colours():
    record = records.record(60, 48)
    values = record.heatmaps[0].values.copy()
    values[2] = 0.125
    flat = replace(record, heatmaps=(replace(record.heatmaps[0], values=values),))
    page = _still(html.page([flat], [_figure("x")]))
    assert page.count('<p class="none">no evidence: every cell holds the same value</p>') == 1
    third = re.findall(r"<li><p class=\"token\">(.*?)</li>", page, re.DOTALL)[2]
    assert "<img" not in third
    assert "no evidence" in third
    silent = replace(flat, heatmaps=(replace(flat.heatmaps[0], values=np.zeros_like(values)),))
    assert _still(html.page([silent], [_figure("x")])).count("no evidence") == 1 + 7 + 2


def test_only_the_explained_part_is_strong():
    record = records.record(60, 48)
    part = replace(record, targets=(find(record.answer, "left upper"),))
    page = html.fragment(part)
    assert "<span>nodule in the</span><strong> left upper</strong><span> zone.</span>" in page


def test_several_questions_share_one_page():
    first, second = records.record(40, 40), records.record(40, 40, question="Is there an effusion?")
    page = html.page([first, second], [_figure("one"), _figure("two")])
    assert re.findall("<h2>(.*?)</h2>", page) == ["Where is the nodule?", "Is there an effusion?"]
    assert page.count("<article>") == page.count("<h1>") * 2 == 2


def test_lines_of_an_answer_stay_lines():
    record = records.record(40, 40, words=("no", " nodule", "\n", "clear"))
    page = html.fragment(record)
    assert "no nodule<br>clear" in page
    assert "<bdi>␊</bdi>" in page


def test_a_notebook_gets_a_light_fragment_with_the_first_tokens():
    record = records.record(40, 40, words=tuple(f" word{number}" for number in range(30)))
    fragment = html.fragment(record)
    assert fragment.startswith('<div class="groundviz"><style>')
    assert fragment.count('<p class="token">') == 24
    assert "These are the first 24 of 31 tokens." in fragment
    assert "Figure for print" not in fragment
    assert len(_still(fragment)) < 720_000
    # The viewer and what it reads come on top.
    # The viewer's program and style have 123,000 of them.
    assert len(fragment) < 915_000
    assert html.page([record], [_figure("x")]).count('<p class="token">') == 31


def test_every_explained_part_of_the_answer_stands_out():
    record = records.record()
    parts = tuple(find(record.answer, word) for word in ("left", "zone"))
    page = html.fragment(replace(record, targets=parts))
    assert re.findall(r"<strong>( left| upper| zone)</strong>", page) == [" left", " zone"]


def _text(page: str) -> str:
    """What a reader reads where no script runs."""
    still = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", still).split())


def test_what_is_not_whole_stands_with_the_answer_and_with_the_map():
    flawed = records.flawed()
    for page in (html.page([flawed], [_figure("x")]), html.fragment(flawed)):
        text = _text(page)
        answer = text.index("nodule in the left upper zone. ⟦…⟧ cut off by its length")
        beware = text.index(
            "Interrupted: Occlusion rests on 112 of 480 steps. "
            "Interrupted: Shapley was asked for and never ran."
        )
        assert answer < beware < text.index("Attention where the model looked")
        assert "Occlusion interrupted: 112 of 480 steps" in text
        assert '<span class="warn">⟦…⟧ cut off by its length</span>' in page
        assert text.index("checkpoint A") < text.index("Where is the nodule?")
        error = "standard error at most 12% of the largest value, 3% in the median cell"
        assert error in text
        alts = [one["alt"] for one in _parsed(page).images]
        assert sum("; interrupted after 112 of 480 steps; standard error at most" in one for one in alts) > 3


def test_a_whole_record_is_not_cluttered():
    text = _text(html.page([records.record()], [_figure("x")]))
    for word in ("nterrupted", "cut off", "⟦", "never ran", "standard error", "label"):
        assert word not in text
    assert 'class="beware"' not in html.fragment(records.record())
    assert 'class="label"' not in html.fragment(records.record())


def test_the_page_s_title_and_its_tables_carry_the_label():
    page = html.page([records.flawed(), records.record()], [_figure("x")] * 2)
    assert "<title>checkpoint A: where did the model look?</title>" in page
    assert page.count("<caption>checkpoint A</caption>") == 2
    both = html.comparison(
        [html.Side("prior", records.flawed()), html.Side("now", records.record())], _figure("x")
    )
    assert "<title>prior, now: where did the model look?</title>" in both


def test_how_it_was_made_lists_every_option_whole_or_with_its_length():
    flawed = records.flawed()
    options = {"masks": 480, "cells": (7, 7), "reference": 0.5, "sites": tuple(range(400)), "note": "a<b"}
    maps = replace(flawed.heatmaps[1], params=options)
    page = html.page([replace(flawed, heatmaps=(flawed.heatmaps[0], maps))], [_figure("x")])
    made = re.search(r"How this was made</summary><dl>(.*?)</dl>", page, re.DOTALL)[1]
    told = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", made, re.DOTALL))
    assert told["label"] == "checkpoint A"
    assert told["adapters"] == "lung 9f86d081884c7d65"
    assert told["generation"] == "do_sample False, max_new_tokens 7"
    assert told["seed"] == "0"
    assert told["method attention"].startswith("share of attention; epsilon 1e-06, rows prefill; ")
    occlusion = told["method occlusion"]
    for part in ("masks 480", "cells (7, 7)", "reference 0.5", "note a&lt;b", "112 of 480 steps"):
        assert part in occlusion
    length = len(str(options["sites"]))
    assert re.search(rf"sites \(0, 1, 2, [^)]*… \({length:,} characters\)", occlusion)
    assert told["never ran"] == "shapley"
    assert told["error of Occlusion, “nodule in the left upper zone.”"].startswith("standard error at most")
