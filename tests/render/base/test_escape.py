"""No text becomes markup, and no text hides, reorders or stacks what stands around it."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundviz.render.base import escape
from groundviz.render.base.escape import element, visible

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, 3 < 4 & ünïcode 左肺", "plain text, 3 < 4 & ünïcode 左肺"),
        ("a\0b", "a␀b"),
        ("\x1b[31mred", "␛[31mred"),
        ("\x7f\x85\n\t", "␡⟦U+0085⟧␊␉"),
        ("\u202eevil\u202c", "⟦U+202E⟧evil⟦U+202C⟧"),
        ("\u2066x\u2069\u200f\u061c", "⟦U+2066⟧x⟦U+2069⟧⟦U+200F⟧⟦U+061C⟧"),
        ("zero\u200bwidth\ufeff\u00ad", "zero⟦U+200B⟧width⟦U+FEFF⟧⟦U+00AD⟧"),
        ("\ud800 \uffff \ue000", "⟦U+D800⟧ ⟦U+FFFF⟧ ⟦U+E000⟧"),
        ("\u2028\u2029", "⟦U+2028⟧⟦U+2029⟧"),
        ("\U000e0041tag", "⟦U+E0041⟧tag"),
        ("e\u0301", "e\u0301"),
        ("z" + "\u0335" * 6, "z" + "\u0335" * 4 + "⟦U+0335⟧" * 2),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text, shown):
    assert visible(text) == shown


def test_what_a_font_lacks_is_spelled_out_too():
    latin = range(0x20, 0x7F)
    assert visible("a左\0", drawable=latin) == "a⟦U+5DE6⟧⟦U+0000⟧"


@settings(deadline=None)
@given(st.text())
def test_visible_text_is_printable_stays_as_it_is_and_can_be_encoded(text):
    shown = visible(text)
    assert visible(shown) == shown
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[object] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, attrs))

    def handle_data(self, data):
        self.found.append(data)


@settings(deadline=None)
@given(st.text(min_size=1), st.text())
def test_a_parser_finds_the_very_text_that_was_put_in(child, attribute):
    parser = _Texts()
    parser.feed(element("p", child, class_=attribute).markup)
    parser.close()
    assert parser.found == [("p", [("class", visible(attribute))]), visible(child)]


def test_elements_nest_and_nothing_adds_nothing():
    made = element("figure", element("figcaption", "a", None), None, class_="x", lang=None)
    assert made.markup == '<figure class="x"><figcaption>a</figcaption></figure>'


@pytest.mark.parametrize(
    ("tag", "attributes"),
    [
        ("script", {}),
        ("iframe", {}),
        ("a", {"href": "https://example.org"}),
        ("a", {"href": "javascript:alert(1)"}),
        ("a", {"href": '#x" onclick="y'}),
        ("style", {"onload": "x"}),
        ("p", {"onclick": "alert(1)"}),
        ("p", {"style": "color:red"}),
        ("p", {"href": "x"}),
        ("img", {"src": "https://example.org/x.png"}),
        ("img", {"src": "data:image/svg+xml;base64,AAAA"}),
        ("img", {"src": 'data:image/png;base64,AAAA" onerror="x'}),
        ("img", {"src": "data:text/html,x"}),
    ],
)
def test_what_could_run_or_load_cannot_be_written(tag, attributes):
    with pytest.raises(ValueError, match="A page"):
        element(tag, **attributes)


def test_an_element_without_content_takes_no_children():
    with pytest.raises(ValueError, match="<img>"):
        element("img", "text")


def test_a_image_is_embedded_with_its_words():
    made = escape.image(PNG, 'a "quoted" <alt>', width=3, height=2).markup
    source = base64.b64encode(PNG).decode()
    assert f'src="data:image/png;base64,{source}"' in made
    assert 'alt="a &quot;quoted&quot; &lt;alt&gt;"' in made
    assert "data:image/jpeg;" in escape.image(b"\xff\xd8", "x", width=1, height=1).markup


def test_the_policy_allows_exactly_the_style_of_the_page():
    page = escape.document("Title <b>", "p{color:red}", [element("p", "x")])
    style = re.search("<style>(.*?)</style>", page, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = re.search('Content-Security-Policy" content="(.*?)"', page).group(1).replace("&#x27;", "'")
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert "<title>Title &lt;b&gt;</title>" in page
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')


def test_a_style_cannot_close_itself():
    with pytest.raises(ValueError, match="style sheet"):
        escape.document("x", "p{}</style><script>", [])


def test_a_fragment_is_one_styled_element():
    assert (
        escape.fragment("p{}", element("p", "x")) == '<div class="groundviz"><style>p{}</style><p>x</p></div>'
    )
