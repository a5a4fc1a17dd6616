"""Is the evidence to be believed? `python scripts/calibrate_evidence.py`, on cases whose truth is known.

Prints the tables of docs/evidence.md: how often the demo's right answers need the image, and those of a
model that cannot see do not; how often right maps are shown, and wrong ones; whether the cheat is found out;
and what each method's maps come to. All phantoms are of seeds that no training has used.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.report import machine, publish
from groundviz.demo.cheat import marked
from groundviz.demo.findings import FINDINGS
from groundviz.demo.phantoms import phantom, with_finding
from groundviz.demo.questions import ask
from groundviz.explain import challenge, explain
from groundviz.methods import METHODS
from groundviz.metrics import METRICS
from groundviz.models import VLM, load
from groundviz.record.types import Bools
from scripts.demo_exact_match import fresh_phantoms
from scripts.planted_cases import Share, answered, blind_twin, coverage, kind_of, with_planted, wrong_maps

PAGE = Path(__file__).parents[1] / "docs" / "evidence.md"
Tables = dict[str, list[tuple[str, ...]]]


def needs_image(vlm: VLM, seeds: Iterable[int]) -> list[tuple[str, ...]]:
    """How often answers need the image: right ones of the demo about what is there, and a blind twin's."""
    blind = blind_twin(vlm)
    counts: dict[str, list[bool]] = defaultdict(list)
    for seed in _slowly(list(seeds), "needs the image"):
        for finding in FINDINGS:
            drawn = with_finding(seed, finding)
            kinds = ("presence",) if finding == "cardiomegaly" else ("presence", "where")
            for kind in kinds:
                asked = ask(drawn, kind, finding)
                found = explain(vlm, drawn.pixels, asked.text, methods="attention")
                if found.answer.text == asked.answer:
                    counts["right answers need the image"].append(found.evidence.needs_image is True)
                other = explain(blind, drawn.pixels, asked.text, methods="attention", certify=False)
                counts["the blind twin's do not"].append(other.evidence.needs_image is False)
    return [(name, str(Share(sum(found), len(found)))) for name, found in counts.items()]


def marked_place(vlm: VLM, seeds: Iterable[int], copies: int) -> list[tuple[str, ...]]:
    """How often right maps and wrong ones are shown, on right answers to "where is the nodule?"."""
    shown: dict[str, list[bool]] = defaultdict(list)
    depends: dict[str, list[bool]] = defaultdict(list)
    for seed in _slowly(list(seeds), "right and wrong maps"):
        drawn = phantom(seed, findings=["nodule"])
        found = answered(vlm, drawn, ("gradient_attention", "attention"), evidence=None)
        if found is None:
            continue
        lesion = coverage(found, drawn.mask("nodule"))
        wrong = wrong_maps(lesion, found.heatmap().values, np.random.default_rng([seed, 7]))
        put = challenge(
            with_planted(found, dict(wrong)),
            vlm,
            checks="marked_place",
            copies=copies,
            places={"the lesion itself": drawn.mask("nodule")},
        )
        marks = {**put.evidence.places, **put.evidence.marked_place}
        for name, verdict in marks.items():
            shown[kind_of(name)].append(verdict == "shown")
            depends[kind_of(name)].append(verdict == "depends")
    wrong_kinds = ("lesion moved", "map moved", "blob", "noise")
    rows = [(name, _of(shown[name]), _of(depends[name])) for name in shown]
    every = [[one for kind in wrong_kinds for one in of[kind]] for of in (shown, depends)]
    return [*rows, ("all wrong maps", _of(every[0]), _of(every[1]))]


def cheat(vlm: VLM, seeds: Iterable[int], copies: int) -> list[tuple[str, ...]]:
    """What the evidence says of the cheat's right answers: of lesion, ring and its own maps."""
    counts: dict[str, list[bool]] = defaultdict(list)
    for seed in _slowly(list(seeds), "the cheat"):
        image = marked(seed)
        found = answered(vlm, image.phantom, ("gradient_attention",))
        counts["right where a ring is beside the nodule"].append(found is not None)
        counts["right where there is no ring"].append(
            answered(vlm, marked(seed, ring=False).phantom, ("attention",), evidence=None) is not None
        )
        if found is None:
            continue
        places = {"lesion": image.phantom.mask("nodule"), "ring": image.ring}
        put = challenge(found, vlm, checks="marked_place", copies=copies, places=places)
        marks, ring = {**put.evidence.places, **put.evidence.marked_place}, coverage(found, image.ring)
        counts["right answers need the image"].append(found.evidence.needs_image is True)
        counts["map of the lesion: shown"].append(marks["lesion"] == "shown")
        counts["map of the ring: shown"].append(marks["ring"] == "shown")
        counts["its own gradient_attention: shown"].append(marks["gradient_attention"] == "shown")
        counts["its own gradient_attention points at the ring"].append(
            METRICS["hit_cell"](found.heatmap().values, ring) > 0
        )
    return [(name, str(Share(sum(found), len(found)))) for name, found in counts.items()]


def methods(
    vlm: VLM, images: list[tuple[int, Bools]], names: Iterable[str], rings: bool
) -> list[tuple[str, ...]]:
    """Each method's maps of right answers, those that are shown most often first.

    Args:
        vlm: The demo, or the cheat.
        images: Seeds, and the place that the answer depends on.
        names: Of methods.
        rings: Whether the images have a ring.

    Returns:
        For each method its name, how often it is shown and points at the place, the median of its stability,
        and of its seconds per image.
    """
    rows = []
    for name in _slowly(list(names), "methods"):
        tried = [_tried(vlm, seed, place, name, rings=rings) for seed, place in images]
        known = [one for one in tried if one is not None]
        shown = Share(sum(one.shown for one in known), len(known))
        points = Share(sum(one.points for one in known), len(known))
        stable = [one.stability for one in known if one.stability is not None]
        median = f"{np.median(stable):.2f}" if stable else "-"
        seconds = f"{np.median([one.seconds for one in known]):.2f}" if known else "-"
        rows.append((shown.share or 0.0, (name, str(shown), str(points), median, seconds)))
    return [row for _, row in sorted(rows, key=lambda one: -one[0])]


@dataclass(frozen=True, slots=True)
class _Tried:
    """What came of one method on one image."""

    shown: bool
    points: bool
    stability: float | None
    seconds: float


def _tried(vlm: VLM, seed: int, place: Bools, method: str, *, rings: bool) -> _Tried | None:
    """None where the answer is wrong."""
    began = time.perf_counter()
    found = answered(vlm, marked(seed, ring=rings).phantom, (method,), evidence=None)
    seconds = time.perf_counter() - began
    if found is None:
        return None
    put = challenge(found, vlm, checks=["marked_place", "stability"])
    return _Tried(
        shown=put.evidence.marked_place[method] == "shown",
        points=METRICS["hit_cell"](found.heatmap().values, coverage(found, place)) > 0,
        stability=next((one.value for one in put.record.checks if one.name == "stability"), None),
        seconds=seconds,
    )


def calibrate(
    seed: int, count: int, few: int, names: Iterable[str], copies: int, *, workers: int = 1
) -> Tables:
    """All tables, as rows of cells, the first row of each its head.

    Args:
        seed: Chooses the phantoms.
        count: How many phantoms; six wrong maps and more come from each.
        few: How many for each method.
        names: Of methods.
        copies: How many moved copies a map is compared with.
        workers: How many tables are made at a time, each in a process of its own with one thread.
    """
    seeds, names = list(fresh_phantoms(seed, count)), list(names)
    some = seeds[: max(2, few)]
    lesions = [(one, marked(one, ring=False).phantom.mask("nodule")) for one in some]
    rings = [(one, marked(one).ring) for one in some]
    of_methods = ("method", "shown", "points at the place", "stability", "seconds")
    heads = {
        "Needs the image": ("answers", "share"),
        "Needs the marked place": ("maps", "shown", "depends"),
        "The cheat": ("", "share"),
        "Methods on the demo": of_methods,
        "Methods on the cheat": of_methods,
    }
    work = {
        "Needs the marked place": (marked_place, "demo", seeds, copies),
        "Methods on the demo": (methods, "demo", lesions, names, False),
        "Methods on the cheat": (methods, "cheat", rings, names, True),
        "The cheat": (cheat, "cheat", seeds, copies),
        "Needs the image": (needs_image, "demo", seeds[: max(2, count // 3)]),
    }
    if workers == 1:
        rows = {title: _rows(*job) for title, job in work.items()}
    else:
        with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            made = {title: pool.submit(_rows, *job) for title, job in work.items()}
            rows = {title: one.result() for title, one in made.items()}
    return {title: [head, *rows[title]] for title, head in heads.items()}


def _rows(table: Callable[..., list[tuple[str, ...]]], model: str, *args: object) -> list[tuple[str, ...]]:
    return table(load(model), *args)


def markdown(tables: Tables) -> str:
    """The tables as docs/evidence.md has them."""
    return "\n".join(line for title, rows in tables.items() for line in _table(title, rows)) + "\n"


def _table(title: str, rows: list[tuple[str, ...]]) -> Iterator[str]:
    head, *body = rows
    yield f"### {title}\n"
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in body)
    yield ""


def _of(found: list[bool]) -> str:
    return str(Share(sum(found), len(found)))


def _slowly(items: list, label: str) -> Iterable:
    return tqdm(items, desc=label, delay=2, disable=None)


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Calibrate the evidence on cases whose truth is known.")
    parser.add_argument("--seed", type=int, default=31, help="which fresh phantoms (default 31)")
    parser.add_argument("--phantoms", type=int, default=60, help="how many, at least 2 (default 60)")
    parser.add_argument("--few", type=int, default=10, help="how many for each method (default 10)")
    parser.add_argument("--copies", type=int, default=19, help="moved copies of each map (default 19)")
    parser.add_argument("--methods", nargs="+", default=METHODS.ours_first(), help="default: all")
    parser.add_argument("--workers", type=int, default=1, help="tables made at a time (default 1)")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/evidence.md")
    chosen = parser.parse_args(argv)
    if chosen.seed < 0 or chosen.phantoms < 2:
        parser.error("--seed must be 0 or more, and --phantoms 2 or more.")
    tables = calibrate(
        chosen.seed, chosen.phantoms, chosen.few, chosen.methods, chosen.copies, workers=chosen.workers
    )
    how = f"{chosen.phantoms} phantoms of seed {chosen.seed}, {chosen.few} for each method, {machine()}"
    publish("calibration", f"{how}\n\n{markdown(tables)}", write=chosen.write, on=PAGE)


if __name__ == "__main__":
    main()
