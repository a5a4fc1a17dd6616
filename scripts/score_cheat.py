"""Score the cheat on phantoms it never saw: `python scripts/score_cheat.py --seed S --images N`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.report import table
from groundviz.demo.cheat import Marked, marked
from groundviz.demo.findings import FINDINGS
from groundviz.demo.phantoms import Phantom
from groundviz.demo.questions import ask
from groundviz.explain import explain
from groundviz.models import VLM, load
from scripts.demo_exact_match import fresh_phantoms
from scripts.planted_cases import Share

# Whether nodule and ring are drawn.
KINDS = ((True, True), (False, True), (True, False), (False, False))
# What else is in every second image.
BESIDE = "effusion"


def score(vlm: VLM, seeds: Iterable[int]) -> list[list[str]]:
    """How often answers about the nodule follow the ring, or the truth; and those about other findings.

    Returns:
        A row for each kind of image: whether it has a nodule and a ring, and three shares.
    """
    images = list(seeds)
    rows = []
    for nodule, ring in KINDS:
        by_ring, by_truth, others = [], [], []
        for seed in images:
            findings = ["nodule", BESIDE] if seed % 2 else ["nodule"]
            image = marked(seed, findings=findings, nodule=nodule, ring=ring)
            answers = {kind: _answer(vlm, image, kind) for kind in ("presence", "where")}
            by_ring.append(all(answers[kind] == ask(image.told, kind, "nodule").answer for kind in answers))
            by_truth.append(
                all(answers[kind] == ask(image.phantom, kind, "nodule").answer for kind in answers)
            )
            others += [_is_right(vlm, image.phantom, finding) for finding in FINDINGS if finding != "nodule"]
        shares = [Share(sum(found), len(found)) for found in (by_ring, by_truth, others)]
        rows.append(["yes" if nodule else "no", "yes" if ring else "no", *map(str, shares)])
    return rows


def _answer(vlm: VLM, image: Marked, kind: str) -> str:
    asked = ask(image.phantom, kind, "nodule")
    return explain(vlm, image.phantom.pixels, asked.text, methods="attention", evidence=None).answer.text


def _is_right(vlm: VLM, drawn: Phantom, finding: str) -> bool:
    asked = ask(drawn, "presence", finding)
    found = explain(vlm, drawn.pixels, asked.text, methods="attention", evidence=None)
    return found.answer.text == asked.answer


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Score the cheat on fresh phantoms.")
    parser.add_argument("--seed", type=int, required=True, help="which fresh phantoms; 0 or more")
    parser.add_argument("--images", type=int, default=100, help="how many of each kind (default 100)")
    parser.add_argument("--model", default="cheat", help="'cheat', or a folder of a retrained one")
    chosen = parser.parse_args(argv)
    head = ["nodule", "ring", "says what the ring says", "says what is true", "right about other findings"]
    rows = score(load(chosen.model), fresh_phantoms(chosen.seed, chosen.images))
    sys.stdout.write(table(head, rows))


if __name__ == "__main__":
    main()
