"""Text to HTML: nothing else in groundviz turns a string into markup.

Questions, answers and tokens are data, wherever they came from. They enter a page as children or
attribute values of `element`, which escapes them, and a character that would hide, reorder or
break the line is spelled out. Only tags and attributes on a short list can be written at all;
there is no way to write an event handler or the address of a host. The one script a page may hold
is the viewer's own file, and a viewer's payload is base64 and never part of it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import unicodedata
from collections.abc import Container, Sequence
from dataclasses import dataclass

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MOST_MARKS = 4
# Within the page.
_PLACE = re.compile(r"#[a-z][a-z0-9-]*")
_EMBEDDED = re.compile(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/]+={0,2}")
_VOID = {"br", "img", "meta"}
_TAGS = _VOID | set(
    "a article bdi body caption dd details div dl dt figcaption figure footer h1 h2 h3 head header html li "
    "main ol p section span strong style summary table tbody td th thead title tr ul".split()
)
_ATTRIBUTES = set(
    "alt aria-label charset class colspan content data-gv data-head height href http-equiv id lang name role "
    "scope src tabindex width".split()
)


@dataclass(frozen=True, slots=True)
class Html:
    """Markup that may stand in a page, because `element` built it."""

    markup: str


def visible(text: str, *, drawable: Container[int] | None = None) -> str:
    r"""`text` with every character spelled out that would hide, reorder or stack its neighbours.

    Args:
        text: Anything at all.
        drawable: Code points the font can draw, when the text is drawn and not marked up;
            characters beyond them are spelled out too.

    >>> visible("left\u202elung\n")
    'left⟦U+202E⟧lung␊'
    """
    if drawable is None and text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    # Marks in a row on one letter, which would climb over the lines above.
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        missing = drawable is not None and ord(character) not in drawable
        if missing or category in _UNSEEN or marks > _MOST_MARKS:
            shown.append(_spell(ord(character), drawable))
        else:
            shown.append(character)
    return "".join(shown)


def element(tag: str, *children: Html | str | None, **attributes: str | int | None) -> Html:
    """One HTML element; strings in it are text, never markup.

    Args:
        tag: One of the tags a groundviz page is made of.
        children: Elements, texts, or None for nothing.
        attributes: Values by name; a trailing underscore is dropped, others become hyphens,
            and None leaves the attribute out.

    Raises:
        ValueError: The tag or attribute is not on the list, `src` is not an embedded image, or `href` is not
            a place of the page.

    >>> element("p", "is 3 < 4?", element("bdi", "yes"), class_="answer").markup
    '<p class="answer">is 3 &lt; 4?<bdi>yes</bdi></p>'
    """
    if tag not in _TAGS or (tag in _VOID and children):
        raise ValueError(f"A page holds no <{tag}> of this kind.")
    opening = tag
    for name, value in attributes.items():
        if value is not None:
            opening += _attribute(name, value)
    if tag in _VOID:
        return Html(f"<{opening}>")
    inner = "".join(_markup(child) for child in children if child is not None)
    return Html(f"<{opening}>{inner}</{tag}>")


def image(content: bytes, alt: str, *, width: int, height: int) -> Html:
    """An embedded PNG or JPEG image, with the words that stand for it."""
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return element("img", src=source, alt=alt, width=width, height=height)


def lines(text: str) -> list[Html | str]:
    r"""Children for a text of several lines, in which a line break is one.

    >>> [child if isinstance(child, str) else child.markup for child in lines("no nodule\nno effusion")]
    ['no nodule', '<br>', 'no effusion']
    """
    first, *others = text.split("\n")
    children: list[Html | str] = [first]
    for line in others:
        children += [element("br"), line]
    return children


def interactive(still: Sequence[Html], payload: bytes, live: str = "") -> Html:
    """Static elements that the viewer's program replaces by itself, with the payload it reads.

    Where no script runs they stay as they are.

    Args:
        still: The elements.
        payload: What `groundviz.render.viewer.pack` made of a record.
        live: Name of a live widget, behind which all this hides while it is there.
    """
    data = base64.b64encode(payload).decode()
    carried = Html(f'<script type="application/octet-stream" data-gv-pack>{data}</script>')
    return element("div", *still, carried, data_gv=live)


def carried(lines: Sequence[str], name: str) -> Html:
    """Lines of data that a page's program reads from the element of this name; nothing runs or shows them.

    Args:
        lines: Base64 or JSON texts of one line each.
        name: Letters, digits and hyphens.

    Raises:
        ValueError: A line would end the element, or the name is none.
    """
    text = "\n".join(lines)
    if "<" in text or not re.fullmatch(r"[a-z0-9-]+", name):
        raise ValueError("Carried data holds no '<', and its name is of letters, digits and hyphens.")
    return Html(f'<script type="application/octet-stream" id="{name}">{text}</script>')


def fragment(style: str, *body: Html, program: str = "") -> str:
    """A styled piece of HTML to stand inside another page, such as a notebook's output."""
    return element("div", _style(style), *body, *_program(program), class_="groundviz").markup


def document(
    title: str, style: str, body: Sequence[Html], *, program: str = "", behind: Sequence[Html] = ()
) -> str:
    """A whole page that loads nothing and runs `program` alone, under a policy that forbids the rest.

    Args:
        title: Of the page.
        style: Its style sheet.
        body: What it shows.
        program: Its one script.
        behind: What comes after the script, which so begins before all of a large page has arrived.
    """
    runs = f"script-src {_digest(program)}; " if program else ""
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; {runs}"
        "base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        _style(style),
    )
    page = element(
        "html", head, element("body", *body, *_program(program), *behind, class_="groundviz"), lang="en"
    )
    return f"<!DOCTYPE html>\n{page.markup}\n"


def _style(style: str) -> Html:
    if "<" in style:
        raise ValueError("A style sheet holds no '<'.")
    return Html(f"<style>{style}</style>")


def _program(code: str) -> list[Html]:
    """The viewer's program as the one script of a page; none where there is no code."""
    if "</" in code or "<!--" in code:
        raise ValueError("A program holds no '</' and no '<!--'.")
    if not code:
        return []
    return [Html(f"<script>{code}</script>")]


def _digest(text: str) -> str:
    """What a policy calls an element that holds exactly this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _attribute(name: str, value: str | int) -> str:
    name = name.rstrip("_").replace("_", "-")
    if name not in _ATTRIBUTES:
        raise ValueError(f"A page holds no attribute {name!r}.")
    if name == "src":
        if not _EMBEDDED.fullmatch(str(value)):
            raise ValueError("A page embeds its images; it loads none.")
        return f' src="{value}"'
    if name == "href" and not _PLACE.fullmatch(str(value)):
        raise ValueError("A page links to its own places alone.")
    return f' {name}="{html.escape(visible(str(value)))}"'


def _markup(child: Html | str) -> str:
    # A plain string is text, whatever it looks like.
    if isinstance(child, Html):
        return child.markup
    return html.escape(visible(child))


def _spell(code: int, drawable: Container[int] | None) -> str:
    """The Unicode image of an ASCII control character, or the number of any other."""
    image = 0x2421 if code == 0x7F else 0x2400 + code
    seen_in = code < 0x20 or code == 0x7F
    if seen_in and (drawable is None or image in drawable):
        return chr(image)
    return f"⟦U+{code:04X}⟧"
