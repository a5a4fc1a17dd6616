"""Synthetic records in numpy: a chest-like image, an answer and maps that know where the nodule is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from groundviz.record.geometry import scale_shift
from groundviz.record.targets import each_asked, find
from groundviz.record.types import (
    Answer,
    Check,
    Floats,
    Grid,
    Heatmaps,
    Prompt,
    Provenance,
    Record,
    Samples,
    Score,
    Slice,
    SourceImage,
    Span,
)

QUESTION = "Where is the nodule?"
WORDS = ("nodule", " in", " the", " left", " upper", " zone", ".")
NODULE = (0.34, 0.68)
UNITS = {
    "attention": ("share of attention", False),
    "occlusion": ("Δ log-prob", True),
}


def chest(rows: int = 96, cols: int = 96) -> Floats:
    """Two dark lungs with ribs, a heart, a nodule at NODULE and an R marker, float32 in [0, 1]."""
    row = ((np.arange(rows) + 0.5) / rows)[:, None]
    col = ((np.arange(cols) + 0.5) / cols)[None, :]
    shown = 0.62 * _blob(row, col, (0.55, 0.5), (0.52, 0.44), 8)
    for side in (0.31, 0.69):
        lung = _blob(row, col, (0.48, side), (0.33, 0.15), 14)
        ribs = 0.05 * np.sin(26 * (row + 0.25 * np.abs(col - 0.5))) ** 8
        shown = shown - lung * (0.42 - ribs)
    shown = shown + 0.16 * _blob(row, col, (0.62, 0.55), (0.16, 0.15), 8)
    shown = shown + 0.1 * np.exp(-(((col - 0.5) / 0.03) ** 2))
    shown = shown + 0.3 * _blob(row, col, NODULE, (0.035, 0.035), 3)
    grain = 0.012 * np.random.default_rng(7).standard_normal((rows, cols))
    return np.clip(_marked(shown + grain), 0.0, 1.0).astype(np.float32)


def source_image(
    rows: int = 96, cols: int = 96, *, colour: bool = False, notes: Sequence[str] = ()
) -> SourceImage:
    pixels = chest(rows, cols)
    if colour:
        pixels = np.stack([pixels, pixels**1.2, pixels**1.4], axis=2).astype(np.float32)
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    return SourceImage(pixels=pixels, source="array", raw_range=(0.0, 1.0), sha256=digest, notes=tuple(notes))


def cropped_grid(rows: int, cols: int, cells: int = 14, first: int = 5) -> Grid:
    """A square grid over the middle square of the image, as a centre crop leaves it."""
    side = min(rows, cols)
    scale = (side / cells, side / cells)
    shift = ((rows - side) / 2, (cols - side) / 2)
    return Grid(
        rows=cells,
        cols=cells,
        positions=np.arange(first, first + cells * cells, dtype=np.int64),
        to_source=scale_shift(scale, shift),
        valid=np.ones((cells, cells), dtype=bool),
        stage="language",
    )


def answer(words: Sequence[str] = WORDS, *, end: str | None = "</s>") -> Answer:
    stops = np.cumsum([len(word) for word in words])
    offsets = [(int(stop) - len(word), int(stop)) for word, stop in zip(words, stops, strict=True)]
    tokens = tuple(words)
    if end is not None:
        tokens, offsets = (*tokens, end), [*offsets, (offsets[-1][1], offsets[-1][1])]
    count = len(tokens)
    return Answer(
        text="".join(words),
        token_ids=np.arange(100, 100 + count, dtype=np.int64),
        tokens=tokens,
        offsets=np.array(offsets, dtype=np.int64),
        logprobs=np.log(np.linspace(0.98, 0.71, count)).astype(np.float32),
        source="generated",
    )


def heatmaps(method: str, grid: Grid, given: Answer, shape: tuple[int, int], *, layers: int = 2) -> Heatmaps:
    """A hot cell where the nodule is, a sink in a corner, noise elsewhere; one map per spoken token."""
    unit, signed = UNITS[method]
    tokens = given.spoken
    at = np.array([NODULE[0] * shape[0], NODULE[1] * shape[1]])
    row, col = (at - grid.to_source[:, 2]) / np.diag(grid.to_source)
    distance = np.hypot(
        np.arange(grid.rows)[:, None] + 0.5 - row,
        np.arange(grid.cols)[None, :] + 0.5 - col,
    )
    rng = np.random.default_rng(11 + signed)
    values = 0.002 * rng.random((len(tokens), layers, 2, grid.rows, grid.cols))
    focus = 0.5 + 0.5 * np.cos(np.arange(len(tokens)))
    values += 0.03 * focus[:, None, None, None, None] * np.exp(-((distance / 1.4) ** 2))
    values[..., 0, 0] += 0.02
    if signed:
        values -= 0.008 * np.exp(-(((np.arange(grid.cols) - 3.5) / 1.5) ** 2))
    values[..., ~grid.valid] = np.nan
    return Heatmaps(
        values=values.astype(np.float32),
        targets=tuple(find(given, index) for index in tokens),
        layers=tuple(range(layers)),
        reduce=("sum", "mean", "mean") if signed else ("mean", "mean", "mean"),
        method=method,
        unit=unit,
        signed=signed,
        grid=grid,
        params={"rows": "prefill", "epsilon": 1e-6},
    )


def record(
    rows: int = 96,
    cols: int = 96,
    *,
    cells: int = 14,
    question: str = QUESTION,
    words: Sequence[str] = WORDS,
    notes: Sequence[str] = (),
) -> Record:
    one = source_image(rows, cols, notes=notes)
    return record_of([one], [cropped_grid(rows, cols, cells)], question=question, words=words)


def grid_over(
    box: tuple[float, float, float, float], cells: tuple[int, int], *, image: int = 0, label: str = ""
) -> Grid:
    """A grid of (rows, cols) of cells over the part (top, left, bottom, right) of an image."""
    (rows, cols), (top, left, bottom, right) = cells, box
    return Grid(
        rows=rows,
        cols=cols,
        positions=np.arange(5, 5 + rows * cols, dtype=np.int64),
        to_source=scale_shift(((bottom - top) / rows, (right - left) / cols), (top, left)),
        valid=np.ones(cells, dtype=bool),
        stage="language",
        image=image,
        label=label,
    )


def record_of(
    source_images: Sequence[SourceImage],
    grids: Sequence[Grid],
    *,
    question: str = QUESTION,
    words: Sequence[str] = WORDS,
) -> Record:
    """A record of several images, or several grids on one, whose tokens follow each other in the prompt."""
    given = answer(words)
    sizes = [grid.rows * grid.cols for grid in grids]
    starts = [5 + sum(sizes[:number]) for number in range(len(grids))]
    count = 5 + sum(sizes)
    placed = tuple(
        replace(grid, positions=np.arange(start, start + size, dtype=np.int64))
        for grid, start, size in zip(grids, starts, sizes, strict=True)
    )
    prompt = Prompt(
        text=f"USER: {'<image>' * len(source_images)}\n{question} ASSISTANT:",
        question=question,
        token_ids=np.arange(count + 2, dtype=np.int64),
        tokens=("<s>", "USER", ":", " ", "\n", *["<image>"] * sum(sizes), question, "ASSISTANT:"),
        spans=(Span(kind="image", start=5, stop=count), Span(kind="question", start=count, stop=count + 1)),
        grids=placed,
    )
    return Record(
        source_images=tuple(source_images),
        prompt=prompt,
        answer=given,
        targets=(find(given),),
        heatmaps=tuple(
            heatmaps(method, grid, given, source_images[grid.image].shape)
            for method in UNITS
            for grid in placed
        ),
        provenance=PROVENANCE,
        checks=(CHECK,),
        scores=(SCORE,),
    )


def checked(one: Record, needs: str = "yes", **marked: str) -> Record:
    """The record with these outcomes: whether it needs the image, and by method whether the marked place."""
    image = Check(
        name="needs_image",
        value=3.0 if needs == "yes" else 0.05,
        reference=0.693,
        verdict=needs,
        says="The image was blurred.",
        unit="nats",
        cost="3 forwards",
        source="a paper",
        numbers={"blurred": 3.0 if needs == "yes" else 0.05, "local mean": 4.0},
    )
    places: list[Check] = []
    for method, verdict in marked.items():
        place = Check(
            name="marked_place",
            value=0.05,
            reference=0.05,
            verdict=verdict,
            says="The place was covered.",
            unit="p",
            method=method,
            numbers={"copies": 19.0, "beats": 19.0},
        )
        places.append(place)
    return replace(one, checks=(image, *places))


def asked(one: Record, words: Sequence[str] = ("Where", " is", " the", " nodule", "?")) -> Record:
    """The record with a map of attention for each of these words of its question, too."""
    given, prompt = answer(words, end=None), one.prompt
    start, count = prompt.spans[-1].start, len(words)
    names = (
        *prompt.tokens[:start],
        *(f"\u2581{word.strip()}" for word in words),
        *prompt.tokens[start + 1 :],
    )
    offsets = np.zeros((len(names), 2), dtype=np.int64)
    offsets[start : start + count] = given.offsets
    prompt = replace(
        prompt,
        question=given.text,
        tokens=names,
        token_ids=np.arange(len(names), dtype=np.int64),
        spans=(*prompt.spans[:-1], Span(kind="question", start=start, stop=start + count)),
        offsets=offsets,
    )
    plain, *others = one.heatmaps
    further = plain.values[:1] * np.arange(1, count + 1, dtype=np.float32)[:, None, None, None, None]
    maps = replace(
        plain,
        values=np.concatenate([plain.values, further]),
        targets=(*plain.targets, *each_asked(prompt)),
    )
    return replace(one, prompt=prompt, heatmaps=(maps, *others))


def pair() -> Record:
    """Two images of different proportions, the second with a note."""
    source_images = [source_image(96, 96), source_image(60, 120, notes=("shown inverted (MONOCHROME1).",))]
    grids = [cropped_grid(96, 96), grid_over((0, 0, 60, 120), (7, 14), image=1)]
    return record_of(source_images, grids)


def stack(weights: Sequence[float] = (1.0, 3.0, 2.0, 1.0, 0.2), *, side: int = 96) -> Record:
    """Slices 11 and on of a stack of 20, 5 mm apart, each darker; their maps are one map times a weight."""
    one, count = source_image(side, side), len(weights)
    slices: list[SourceImage] = []
    for number in range(10, 10 + count):
        place = Slice(stack=0, number=number, of=20)
        pixels = one.pixels * np.float32(1.0 - 0.05 * (number - 10))
        slices.append(replace(one, pixels=pixels, slice=place, position_mm=5.0 * number, towards="H"))
    return weighted(
        record_of(slices, [grid_over((0, 0, side, side), (8, 8), image=at) for at in range(count)]), weights
    )


def weighted(one: Record, weights: Sequence[float]) -> Record:
    """The record with the maps on each image times that image's weight."""
    maps = tuple(
        replace(each, values=each.values * np.float32(weights[each.grid.image])) for each in one.heatmaps
    )
    return replace(one, heatmaps=maps)


def flawed(one: Record | None = None) -> Record:
    """A labelled record whose answer was cut off, whose second method was interrupted, and one never ran."""
    one = record() if one is None else one
    plain, sampled = one.heatmaps
    # As a method measures that draws at random: the whole target by itself, no layers, no heads.
    each = sampled.values.mean(axis=(1, 2), keepdims=True)
    values = np.concatenate([each.sum(axis=0, keepdims=True), each])
    largest = np.nanmax(np.abs(values), axis=(1, 2, 3, 4), keepdims=True)
    error = np.broadcast_to(0.12 * largest, values.shape).copy()
    error[..., 1:] /= 4
    sampled = replace(
        sampled,
        values=values,
        targets=(one.target, *sampled.targets),
        layers=(),
        standard_error=error,
        samples=Samples(done=112, asked=480),
    )
    made = replace(
        one.provenance,
        adapters={"lung": "9f86d081884c7d65"},
        generation={"max_new_tokens": 7, "do_sample": False},
    )
    return replace(
        one,
        answer=replace(one.answer, finished=False),
        heatmaps=(plain, sampled),
        provenance=made,
        label="checkpoint A",
        unmeasured=("shapley",),
    )


def tiled() -> Record:
    """One image seen twice: squashed to an overview, and as a mosaic of two by three tiles."""
    box = (0, 0, 96, 144)
    grids = [grid_over(box, (7, 7), label="overview"), grid_over(box, (14, 21), label="tiles")]
    return record_of([source_image(96, 144)], grids)


def shattered() -> Record:
    """Two images, the first with an overview and a grid for each of twelve tiles."""
    tiles = [
        grid_over((row, col, row + 32, col + 32), (4, 4), label=f"tile {number} of 12")
        for number, (row, col) in enumerate(((r, c) for r in (0, 32, 64) for c in (0, 32, 64, 96)), start=1)
    ]
    overview = grid_over((0, 0, 96, 128), (4, 4), label="overview")
    other = grid_over((0, 0, 48, 48), (4, 4), image=1)
    return record_of([source_image(96, 128), source_image(48, 48)], [other, overview, *tiles])


CHECK = Check(
    name="blank image",
    value=0.12,
    reference=0.97,
    verdict="passed",
    says="Without the image the answer loses almost all of its probability.",
)
SCORE = Score(metric="pointing hit", value=1.0, low=0.8, high=1.0, n=20, prior=0.2)
PROVENANCE = Provenance(
    model="groundviz/demo",
    family="llava",
    weights="sha256:0f3a",
    dtype="float32",
    device="cpu",
    attention="sdpa",
    seed=0,
    seconds=1.25,
    versions={"groundviz": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
    revision="a1b2c3",
)


def _blob(
    row: Floats, col: Floats, centre: tuple[float, float], size: tuple[float, float], edge: float
) -> Floats:
    """1 inside an ellipse, 0 outside, with a soft rim."""
    radius = np.hypot((row - centre[0]) / size[0], (col - centre[1]) / size[1])
    return 1.0 / (1.0 + np.exp(edge * 2 * (radius - 1.0)))


def _marked(shown: Floats) -> Floats:
    """A bright R in the upper left corner: the patient's right is on the viewer's left."""
    stamp = np.array([[1, 1, 1, 0], [1, 0, 0, 1], [1, 1, 1, 0], [1, 0, 1, 0], [1, 0, 0, 1]], dtype=float)
    size = max(1, min(shown.shape) // 60)
    stamp = np.kron(stamp, np.ones((size, size)))
    rows, cols = stamp.shape
    top = left = 3 * size
    marked = shown.copy()
    region = marked[top : top + rows, left : left + cols]
    region[stamp > 0] = 0.95
    return marked
