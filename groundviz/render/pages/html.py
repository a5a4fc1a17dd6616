"""Pages: question, answer, every token with its maps, checks and origin, in one file.

Static images stand where the viewer will be; its program, the only script, replaces them. A page
loads nothing, so it opens the same in ten years, on a machine without a network, and, as images,
where no script may run. It holds the image itself, and says so.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from PIL import Image

from groundviz.record import stacks
from groundviz.record.targets import find
from groundviz.record.tiles import briefly, drawn, which
from groundviz.record.types import Answer, Heatmap, Heatmaps, Record, SourceImage, Target
from groundviz.render.base import captions, embedding, escape, overlay, provenance
from groundviz.render.base.colour import Scale, bar, scales
from groundviz.render.base.contours import Outline
from groundviz.render.base.escape import Html, element
from groundviz.render.base.notes import notes_on
from groundviz.render.figures.file import PaperFigure
from groundviz.render.pages import tables
from groundviz.render.pages.stylesheet import STYLE
from groundviz.render.viewer import assets, pack

# By what the maps on a page show.
_LOOKED = "Where did the model look?"
_DEPENDS = "What in the image does the answer depend on?"
_OTHERS = "Each map shows what its own method measures, in the unit beside its scale."
_VIEW, _SMALL = 320, 128
_SHARP = 1.5
_MOST_IN_NOTEBOOK = 24
# Images in a page besides the viewer, which holds every map: a thousand take about ten megabytes.
_MOST_VIEWS, _MOST_SMALL = 48, 1000


@dataclass(frozen=True, slots=True)
class Side:
    """One of several explanations that stand side by side.

    Attributes:
        name: What to call it.
        record: What was asked and answered.
        known: Outlines known from elsewhere on its images.
    """

    name: str
    record: Record
    known: tuple[Outline, ...] = ()


def side_by_side(sides: Sequence[Side], *, sizes: pack.Sizes = "all") -> bytes:
    """The payload of a viewer that shows several explanations together; `sizes` as in `pack.pack`."""
    packs: list[bytes] = []
    for one in sides:
        packs.append(pack.pack(one.record, known=one.known, name=one.name, sizes=sizes))
    return pack.together(packs)


def page(records: Sequence[Record], figures: Sequence[PaperFigure], *, known: Sequence[Outline] = ()) -> str:
    """One self-contained page for one or several questions, each with its figure for print.

    Args:
        records: What was asked and answered, in the order of the page.
        figures: The figure of each.
        known: Outlines known from elsewhere on the images of them all.
    """
    articles: list[Html] = []
    for record, figure in zip(records, figures, strict=True):
        articles.append(_article(record, figure, most=None, known=known))
    several = any(len(record.source_images) > 1 for record in records)
    return _document(articles, records, [record.label for record in records], several=several)


def comparison(sides: Sequence[Side], figure: PaperFigure) -> str:
    """One self-contained page of several explanations side by side, with their figure for print."""
    records: list[Record] = []
    names: list[str] = []
    for side in sides:
        records.append(side.record)
        names.append(side.name)
    return _document([_beside(sides, figure, most=None)], records, names, several=True)


def comparison_fragment(sides: Sequence[Side], *, live: str = "") -> str:
    """The same as a light piece of HTML for a notebook; `live` as in `fragment`."""
    return _output(_beside(sides, None, most=_MOST_IN_NOTEBOOK, live=live), several=True)


def _output(article: Html, *, several: bool) -> str:
    holds = element("p", embedding.holds("output", several=several), class_="quiet")
    return escape.fragment(STYLE + assets.style(), element("div", article, holds), program=assets.program())


def _document(
    articles: Sequence[Html], records: Sequence[Record], names: Sequence[str], *, several: bool
) -> str:
    """A page of articles under a title, which is about what their maps show."""
    title, sentences = _opening(records)
    named = ", ".join(dict.fromkeys(filter(None, names)))
    if named:
        title = f"{named}: {title[:1].lower()}{title[1:]}"
    intro = element("header", element("h1", title), *(element("p", one) for one in sentences))
    outro = element("footer", element("p", embedding.holds("page", several=several), class_="quiet"))
    body = [intro, element("main", *articles), outro]
    return escape.document(title, STYLE + assets.style(), body, program=assets.program())


def _opening(records: Sequence[Record]) -> tuple[str, list[str]]:
    """A title for a page about these records, and what its maps show, in sentences."""
    shown = list(chain.from_iterable(record.heatmaps for record in records))
    attention = [one for one in shown if captions.of_attention([one])]
    sentences: list[str] = []
    if attention:
        sentences.append(captions.NOT_WHY)
    # Beside attention, too, other methods claim nothing of where the model looked.
    if len(attention) < len(shown):
        sentences.append(_OTHERS)
    if shown and not attention:
        return _DEPENDS, sentences
    return _LOOKED, sentences


def fragment(record: Record, *, known: Sequence[Outline] = (), live: str = "") -> str:
    """The same as a light piece of HTML for a notebook, without the figure and with the first tokens only.

    Args:
        record: What was asked and answered.
        known: Outlines known from elsewhere on its images.
        live: Name of a live widget that this is a snapshot of; it hides behind that while it is there.
    """
    article = _article(record, None, most=_MOST_IN_NOTEBOOK, known=known, live=live)
    return _output(article, several=len(record.source_images) > 1)


def _article(
    record: Record,
    figure: PaperFigure | None,
    *,
    most: int | None,
    known: Sequence[Outline] = (),
    live: str = "",
) -> Html:
    record = embedding.embedded(record)
    payload = pack.pack(record, known=known, sizes=_sizes(most))
    parts = [escape.interactive(_still(record), payload, live), *_below(record, most), *_figure(figure)]
    return element("article", *parts, _made_with(record))


def _beside(sides: Sequence[Side], figure: PaperFigure | None, *, most: int | None, live: str = "") -> Html:
    shown: list[Side] = []
    still: list[Html] = []
    below: list[Html] = []
    for side in sides:
        record = embedding.embedded(side.record)
        shown.append(replace(side, record=record))
        still += [element("h2", side.name), *_still(record)]
        below += [element("h3", side.name), *_below(record, most), _made_with(record)]
    parts = escape.interactive(still, side_by_side(shown, sizes=_sizes(most)), live)
    return element("article", parts, *below, *_figure(figure))


def _sizes(most: int | None) -> pack.Sizes:
    """A page holds images in full; a notebook, which keeps every output, holds less."""
    return "all" if most is None else "first"


def _still(record: Record) -> list[Html]:
    """What stands where no script runs."""
    parts: list[Html] = []
    if record.label:
        parts.append(element("p", record.label, class_="label"))
    parts.append(tables.evidence(record))
    parts.append(element("h2", *escape.lines(record.prompt.question)))
    for one in captions.before(record.prompt):
        parts.append(element("p", one, class_="quiet"))
    parts.append(_answer(record.answer, record.targets))
    return [*parts, *_beware(record), *_views(record)]


def _beware(record: Record) -> Iterator[Html]:
    """What is not whole or not to be relied on, where nobody overlooks it; an answer says so itself."""
    if undone := (*captions.incomplete(record), *captions.cautions(record.heatmaps)):
        yield element("ul", *(element("li", one) for one in undone), class_="beware")


def _below(record: Record, most: int | None) -> list[Html]:
    tokens = element("details", element("summary", "Token by token"), *_tokens(record, most))
    return [tokens, *_notes(record.source_images), *tables.checks(record), *tables.scores(record)]


def _answer(answer: Answer, targets: Sequence[Target]) -> Html:
    """The answer as prose, the explained parts strong, with its probability."""
    runs: list[Html | str] = []
    for text, explained in captions.emphasis(answer, targets):
        runs.append(element("strong" if explained else "span", *escape.lines(text)))
    cut = captions.cut_off(answer)
    if cut:
        # Marked as ours: the sign stands apart from the model's text and looks different.
        runs += [" ", element("span", f"{captions.CUT} {cut}", class_="warn")]
    source = "generated by the model" if answer.source == "generated" else "given to the model"
    sure = f"Probability of this answer: {captions.percent(answer.confidence)}; {source}."
    return element("div", element("p", *runs, class_="answer"), element("p", sure, class_="quiet"))


def _views(record: Record) -> Iterator[Html]:
    """Each image, and beside it each method's maps of what was explained."""
    maps = list(_explained(record))
    images = stacks.drawn(record)
    for image in images:
        source_image = record.source_images[image]
        name = which(image, record.source_images).capitalize()
        # A single image has no number.
        says = "The image that was asked about." if name == "Image" else f"{name}."
        bare = _image(source_image, _VIEW, says)
        views = [_view(record, one, scale) for one, scale in maps if one.grid.image == image]
        yield element("div", element("figure", bare, element("figcaption", name)), *views, class_="views")
    yield from (element("p", one, class_="quiet") for one in captions.left_out(record, images))
    shown, asked = len(_viewed(record)), len(record.targets)
    if shown < asked:
        says = f"These are the first {shown:,} of the {asked:,} parts of the answer that were asked for."
        yield element("p", says, class_="quiet")


def _explained(record: Record) -> Iterator[tuple[Heatmap, Scale | None]]:
    """Each method's maps of what was explained, all of a unit on one scale."""
    heatmaps: list[Heatmap] = []
    for maps in _by_method(record):
        for target in _viewed(record):
            heatmaps += [one.at(target) for one in maps]
    on = [briefly(one.grid.image, record.source_images) for one in heatmaps]
    yield from zip(heatmaps, scales(heatmaps, on=on), strict=True)


def _viewed(record: Record) -> Sequence[Target]:
    """Those parts that were asked for which have images of their own beside the image."""
    return record.targets[: max(1, _MOST_VIEWS // max(1, len(record.heatmaps)))]


def _by_method(record: Record) -> list[list[Heatmaps]]:
    """What is drawn of each method."""
    methods: dict[str, list[Heatmaps]] = {}
    for maps in record.heatmaps:
        methods.setdefault(maps.method, []).append(maps)
    images = stacks.drawn(record)
    return [[one for one in drawn(maps) if one.grid.image in images] for maps in methods.values()]


def _view(record: Record, heatmap: Heatmap, scale: Scale | None) -> Html:
    maps = captions.maps_of(record, heatmap.method)
    target = heatmap.target
    details = [
        captions.claim(heatmap),
        captions.aggregation(maps, heatmap),
        captions.uncertainty(heatmap, maps),
    ]
    # The answer's only part is in bold above.
    if len(record.targets) > 1 or target.foil or target.in_question:
        details.insert(0, captions.quoted(target))
    # The image needs no name: the map stands beside it.
    strong = element("strong", captions.titled(heatmap, ()))
    name = element("p", strong, *_interrupted(heatmap), " ", *escape.lines(", ".join(filter(None, details))))
    key = element("ul", element("li", *_key(scale)), class_="scales")
    return element("figure", _map(record, _VIEW, heatmap, scale), element("figcaption", name, key))


def _interrupted(heatmap: Heatmap) -> list[Html | str]:
    steps = captions.interrupted(heatmap)
    if not steps:
        return []
    return [" ", element("span", f"interrupted: {steps}", class_="warn")]


def _tokens(record: Record, most: int | None) -> Iterator[Html]:
    """Every token with its probability and one small map per method, or per method, image and tile."""
    count = len(record.answer.tokens)
    shown = list(range(min(count, _most_tokens(record, most))))
    targets = [find(record.answer, index) for index in shown]
    cells: dict[int, list[Html]] = {index: [] for index in shown}
    keys: list[Html] = []
    heatmaps: list[Heatmap] = []
    for maps in _by_method(record):
        for target in targets:
            heatmaps += [one.at(target) for one in maps if one.has(target)]
    # A method that measured none of the tokens alone has no key either.
    its_scales: dict[str, Scale | None] = {}
    for heatmap, scale in zip(heatmaps, scales(heatmaps), strict=True):
        cells[heatmap.target.tokens[0]].append(_small(record, heatmap, scale))
        its_scales[heatmap.method] = its_scales.get(heatmap.method) or scale
    for method, scale in its_scales.items():
        keys.append(element("li", element("strong", captions.method_name(method)), *_key(scale)))
    yield element("ul", *keys, class_="scales")
    yield element("ol", *(_token(record.answer, *cell) for cell in cells.items()), class_="tokens")
    if len(shown) < count:
        says = f"These are the first {len(shown):,} of {count:,} tokens."
        yield element("p", says, class_="quiet")
    yield element("p", " ".join(_legend(record)), class_="quiet")


def _most_tokens(record: Record, most: int | None) -> int:
    """How many tokens have images of their own: `most`, or fewer where each has many."""
    images = sum(map(len, _by_method(record)))
    fit = max(1, _MOST_SMALL // max(1, images))
    if most is None:
        return fit
    return min(fit, most)


def _legend(record: Record) -> list[str]:
    heatmaps = [one.at(record.target) for one in chain.from_iterable(_by_method(record))]
    return [*captions.legend(record.source_images, heatmaps), *captions.undrawn(record, heatmaps)]


def _small(record: Record, heatmap: Heatmap, scale: Scale | None) -> Html:
    name = element("figcaption", captions.titled(heatmap, record.source_images), *_interrupted(heatmap))
    return element("figure", _map(record, _SMALL, heatmap, scale), name)


def _token(answer: Answer, index: int, maps: Sequence[Html]) -> Html:
    sure = captions.percent(captions.probability(answer, find(answer, index)))
    name = element(
        "p",
        element("bdi", answer.tokens[index].strip(" ") or "\N{SYMBOL FOR SPACE}"),
        element("span", sure, class_="quiet"),
        class_="token",
    )
    return element("li", name, element("div", *maps, class_="maps"))


def _image(
    source_image: SourceImage,
    longest: int,
    says: str,
    heatmap: Heatmap | None = None,
    scale: Scale | None = None,
) -> Html:
    """An image `longest` CSS pixels long, somewhat sharper than that, bare or under a map."""
    shape = overlay.fitting(source_image, longest)
    content = overlay.jpeg(
        source_image, overlay.fitting(source_image, round(longest * _SHARP)), heatmap, scale
    )
    return escape.image(content, says, width=shape[1], height=shape[0])


def _map(record: Record, longest: int, heatmap: Heatmap, scale: Scale | None) -> Html:
    if scale is None:
        return element("p", captions.no_evidence(heatmap), class_="none")
    says = captions.describe(heatmap, record.source_images)
    return _image(record.source_images[heatmap.grid.image], longest, says, heatmap, scale)


def _key(scale: Scale | None) -> list[Html]:
    """A scale as a bar between its ends, with its unit and its rule."""
    if scale is None:
        return [element("span", captions.NO_EVIDENCE)]
    low, high = scale.ends
    if scale.signed:
        low, high = f"against {low}", f"for {high}"
    drawn = escape.image(overlay.png(bar(scale, 10, 120)), "Colour scale.", width=120, height=10)
    ends = element("span", element("span", low), drawn, element("span", high), class_="bar")
    words = f"{scale.rule}; {scale.summit}"
    return [ends, element("span", scale.unit), element("span", words, class_="quiet")]


def _notes(source_images: Sequence[SourceImage]) -> Iterator[Html]:
    for name, told in notes_on(source_images, range(len(source_images))):
        yield element("h3", f"About {'the image' if name == 'image' else name}")
        yield element("ul", *(element("li", note) for note in told))


def _figure(figure: PaperFigure | None) -> Iterator[Html]:
    if figure is not None:
        content = figure.preview()
        with Image.open(io.BytesIO(content)) as preview:
            width, height = preview.size
        drawn = escape.image(content, figure.caption, width=width, height=height)
        caption = element("figcaption", figure.caption)
        yield element("details", element("summary", "Figure for print"), element("figure", drawn, caption))


def _made_with(record: Record) -> Html:
    """Everything that is known of how the record came about, name by name."""
    pairs: list[Html] = []
    for name, value in [*provenance.facts(record), *_errors(record)]:
        pairs += [element("dt", name), element("dd", value)]
    return element("details", element("summary", "How this was made"), element("dl", *pairs))


def _errors(record: Record) -> Iterator[tuple[str, str]]:
    """The standard error of each map of what was explained."""
    for maps in record.heatmaps:
        for target in _viewed(record):
            if maps.has(target) and (error := captions.uncertainty(maps.at(target), maps)):
                name = captions.titled(maps.at(target), record.source_images)
                yield f"error of {name}, {captions.quoted(target)}", error
