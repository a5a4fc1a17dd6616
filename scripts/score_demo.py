"""Score the demo model on phantoms it never saw: `python scripts/score_demo.py --seed S --images N`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from groundviz.demo.phantoms import phantom
from groundviz.methods import DEFAULT, METHODS
from groundviz.models import load
from scripts.demo_exact_match import exact_match, fresh_phantoms
from scripts.demo_pointing import each_method, pointing

PHANTOMS_PER_FINDING = 3  # One pointing phantom per finding for every so many images.


def score(seed: int, images: int, *, model: str = "demo", methods: Sequence[str] = DEFAULT) -> dict[str, Any]:
    """Exact match and pointing on fresh phantoms.

    Args:
        seed: Chooses the phantoms; none of them was ever used in training.
        images: Number of phantoms for the questions; a third as many per finding for pointing.
        model: "demo", or the folder of a retrained one.
        methods: Which methods to try on nodules, where pointing tells most.

    Returns:
        {"exact_match": {row: {"true", "shuffled", "constant", "n"}},
        "pointing": {finding: {method or baseline: hit rate, "n"}},
        "pointing_wrong_answers": the same for wrong answers, "nodules": {method or baseline: {"hit",
        "random_weights", "seconds", "n"}}, "n", "seed"}.
    """
    vlm = load(model)
    matched = exact_match(vlm, [phantom(s) for s in fresh_phantoms(seed, images)])
    pointed_at = list(fresh_phantoms(seed, max(1, images // PHANTOMS_PER_FINDING)))
    right, wrong = pointing(vlm, pointed_at, DEFAULT)
    return {
        "n": images,
        "seed": seed,
        "exact_match": {row: asdict(result) for row, result in matched.items()},
        "pointing": right,
        "pointing_wrong_answers": wrong,
        "nodules": each_method(vlm, pointed_at, methods),
    }


def table(result: dict[str, Any]) -> str:
    """The scores as plain-text tables."""
    lines = [f"{result['n']} fresh phantoms, seed {result['seed']}", ""]
    lines += _rows("exact match", result["exact_match"], ("true", "shuffled", "constant", "n"))
    columns = [*DEFAULT, "prior_type_answer", "random_weights", "centre", "random", "n"]
    lines += ["", *_rows("pointing hit, right answers", result["pointing"], columns)]
    columns = [*DEFAULT, "n"]
    lines += ["", *_rows("pointing hit, wrong answers", result["pointing_wrong_answers"], columns)]
    columns = ["hit", "random_weights", "seconds", "n"]
    lines += ["", *_rows("nodules, right answers", result["nodules"], columns)]
    return "\n".join(lines) + "\n"


def _rows(title: str, rows: dict[str, dict[str, Any]], columns: Any) -> list[str]:
    widths = [max(len(column), 6) for column in columns]
    head = f"{title:<28}" + "".join(f"  {c:>{w}}" for c, w in zip(columns, widths, strict=True))
    body = [
        f"{name:<28}" + "".join(f"  {_cell(row, c):>{w}}" for c, w in zip(columns, widths, strict=True))
        for name, row in rows.items()
    ]
    return [head, *body]


def _cell(row: dict[str, Any], column: str) -> str:
    if row.get(column) is None:
        return "-"
    return str(int(row[column])) if column == "n" else f"{row[column]:.3f}"


def main(argv: list[str] | None = None) -> None:
    """Print the tables, or one JSON object."""
    parser = argparse.ArgumentParser(description="Score the groundviz demo model on fresh phantoms.")
    parser.add_argument("--seed", type=int, required=True, help="which fresh phantoms; 0 or more")
    parser.add_argument("--images", type=int, default=300, help="how many, at least 2 (default 300)")
    parser.add_argument("--model", default="demo", help="'demo' or a folder of a retrained model")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), help="on nodules (default: all)")
    chosen = parser.parse_args(argv)
    if chosen.seed < 0 or chosen.images < 2:
        parser.error("--seed must be 0 or more, and --images 2 or more.")
    result = score(chosen.seed, chosen.images, model=chosen.model, methods=chosen.methods)
    sys.stdout.write(json.dumps(result, allow_nan=False) + "\n" if chosen.json else table(result))


if __name__ == "__main__":
    main()
