"""Every case of a run on one page, each with its reference, opening in the viewer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from groundviz.errors import GroundvizError, StoreError
from groundviz.evaluation.report import drawn
from groundviz.evaluation.report.results import Results, name_of, title_of
from groundviz.evaluation.report.writing import subject
from groundviz.evaluation.run import Run
from groundviz.record import arguments, files
from groundviz.record.targets import find
from groundviz.record.types import (
    Answer,
    Check,
    Heatmap,
    Heatmaps,
    Prompt,
    Provenance,
    Record,
    SourceImage,
    Span,
    Target,
)
from groundviz.render.base.contours import outlines
from groundviz.render.gallery import page as pages
from groundviz.render.gallery.page import Column, Entry

Counted = Callable[[Sequence[int]], Iterator[int]]


def gallery(
    run: str | os.PathLike[str] | Run,
    *,
    out: str | os.PathLike[str] | None = None,
    most: int = 1000,
    counted: Counted = iter,
) -> Path:
    """Write a page of the cases of a run: a sheet with filters and a scatter, each in the viewer.

    Of more cases than `most`, those at even steps of the order are kept, and the page says so. The page holds
    images, at no more than 320 pixels; it stays where the images may be.

    Args:
        run: The run, or its folder.
        out: The page; "gallery.html" in the run's folder "report" when None.
        most: The largest number of cases.
        counted: Goes through the cases, perhaps with a progress bar.

    Raises:
        StoreError: There is no run, it was not scored, its data set lies elsewhere, or the disk refused.
        OptionError: `most` is no whole number above 0.

    Cost:
        None through a model; about 50 ms and 25 kB a case.
    """
    arguments.check_count("most", most)
    run = run if isinstance(run, Run) else Run(run)
    results = Results(run, repeats=1)
    place = Path(out) if out is not None else files.folder_for_writing(run.path / "report") / "gallery.html"
    # Opened once, so that it is known before the first image is drawn that it is not there.
    whole = len(run.dataset.samples)
    done = [at for at, status in enumerate(results.answers["status"]) if status == "ok"]
    if not done:
        raise StoreError(f"None of the {whole} samples of this run is done, so there is nothing to show.")
    kept = [
        done[place] for place in np.unique(np.linspace(0, len(done) - 1, min(most, len(done))).astype(int))
    ]
    says = [
        f"{len(kept)} of {len(results.rows)} samples of run {run.manifest['run_id']}. The small images show "
        f"{name_of(results.methods[0])}, each on its own scale, below whose floor a map looks empty; the "
        "outline is the reference.",
        *([f"An answer is wrong where the scorer {results.scorer!r} says so."] if results.scorer else []),
        "This page contains images, at no more than 320 pixels.",
    ]
    title = f"Gallery: {subject(run.manifest)}"
    # What is left out is known when all cases are made; the page tells it at its top all the same.
    text = pages.page(_entries(results, counted(kept), says), columns(results), title=title, says=says)
    return files.write(place, text.encode())


def _entries(results: Results, kept: Iterable[int], says: list[str]) -> Iterator[Entry]:
    """The cases that can be shown, one by one; in the end a sentence is added if some cannot."""
    lost: list[GroundvizError] = []
    for at in kept:
        try:
            yield _entry(results, at)
        except GroundvizError as error:
            lost.append(error)
    says.extend(filter(None, [drawn.left_out(lost)]))


def columns(results: Results) -> list[Column]:
    """What cases are sorted and filtered by: the metric of each method, image reliance, confidence."""
    compared = results.methods if results.localised else ()
    found = [
        Column(key=f"score {method}", title=f"{title_of(results.primary)}, {name_of(method)}")
        for method in compared
    ]
    found += [
        Column(key="reliance", title="image reliance (nats)"),
        Column(key="confidence", title="confidence"),
        Column(key="area", title="share of the region", digits=3),
        Column(key="finding", title="Finding", number=False),
        Column(key="correct", title="Answer", number=False),
        Column(key="needs", title="Needs the image", number=False),
    ]
    found += [
        Column(key=f"grounded {method}", title=f"Grounded, {name_of(method)}", number=False)
        for method in compared
    ]
    return found


def _facts(results: Results, at: int) -> dict[str, float | str | None]:
    answers = results.answers
    facts: dict[str, float | str | None] = {
        "reliance": answers["vr_blurred"][at],
        "confidence": answers["confidence"][at],
        "area": float(results.areas[at]),
        "finding": results.findings[at],
        "correct": results.judged[at],
        "needs": results.needs_image[at],
    }
    for method in results.methods:
        grounded = results.grounded(method)[at]
        facts[f"score {method}"] = float(results.values(method, results.primary)[at])
        facts[f"grounded {method}"] = "no reference" if np.isnan(grounded) else ("yes" if grounded else "no")
    return facts


def _entry(results: Results, at: int) -> Entry:
    image, reference = drawn.image_and_reference(results, at)
    maps: list[Heatmap] = []
    for method in results.methods:
        heatmap = drawn.heatmap_of(results, results.explain_keys.get((at, method)))
        if heatmap is not None:
            maps.append(heatmap)
    record = record_of(results, at, image, maps)
    known = outlines({"reference": reference}, [image]) if reference.any() else ()
    name = " · ".join(filter(None, [results.findings[at], drawn.answer_of(results, at)]))
    first = maps[0] if maps else None
    return Entry(record=record, heatmap=first, known=known, name=name, facts=_facts(results, at))


def record_of(results: Results, at: int, image: SourceImage, maps: Sequence[Heatmap]) -> Record:
    """A sample of a run as a record: its answer as one part, for a run keeps no tokens as words."""
    answers = results.answers
    text = answers["text"][at] or ""
    # The log-probability of an answer whose probability is too small for a number is minus infinity.
    with np.errstate(divide="ignore"):
        logprobs = np.log(np.array([answers["confidence"][at]], dtype=np.float32))
    answer = Answer(
        text=text,
        token_ids=np.zeros(1, dtype=np.int64),
        tokens=(text,),
        offsets=np.array([[0, len(text)]], dtype=np.int64),
        logprobs=logprobs,
        source="generated" if answers["source"][at] == "generated" else "given",
        finished=answers["finished"][at],
    )
    target = find(answer, 0) if text else Target(tokens=(0,), text="")
    question = answers["question"][at] or ""
    prompt = Prompt(
        text=question,
        question=question,
        token_ids=np.zeros(1, dtype=np.int64),
        tokens=(question,),
        spans=(Span(kind="question", start=0, stop=1),),
        grids=tuple(one.grid for one in maps[:1]),
    )
    return Record(
        source_images=(image,),
        prompt=prompt,
        answer=answer,
        targets=(target,),
        heatmaps=tuple(_whole(one, target) for one in maps),
        provenance=_provenance(results),
        checks=tuple(_checks(results, at)),
    )


def _whole(heatmap: Heatmap, target: Target) -> Heatmaps:
    """A map that was stored as one, as a method's maps of one target."""
    return Heatmaps(
        values=heatmap.values[None, None, None],
        targets=(target,),
        layers=(),
        reduce=("mean", "mean", "mean"),
        method=heatmap.method,
        unit=heatmap.unit,
        signed=heatmap.signed,
        grid=heatmap.grid,
        params=heatmap.params,
    )


def _provenance(results: Results) -> Provenance:
    manifest = results.run.manifest
    model = manifest["model"]
    return Provenance(
        model=str(model["name"]),
        family=str(model["family"]),
        weights=str(model["weights"]),
        dtype=str(model["dtype"]),
        device=str(model["device"]),
        attention=str(model["attention"]),
        seed=int(manifest["asked"]["seed"]),
        seconds=0.0,
        versions=manifest["versions"],
        revision=model.get("revision"),
        certificate=model.get("certificate"),
    )


def _checks(results: Results, at: int) -> Iterator[Check]:
    """What the run knows of whether the answer needs its image."""
    answers = results.answers
    verdict, loss = answers["needs_image"][at], answers["vr_blurred"][at]
    if verdict in ("yes", "no") and loss is not None:
        numbers = {"blurred": loss, "local mean": answers["vr_local_mean"][at]}
        yield Check(
            name="needs_image",
            value=loss,
            reference=float(np.log(2.0)),
            verdict=verdict,
            says="The image was blurred, and replaced by its local mean.",
            unit="nats",
            numbers={name: value for name, value in numbers.items() if value is not None},
        )
