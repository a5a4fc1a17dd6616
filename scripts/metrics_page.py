"""The tables of docs/metrics.md, from the registrations: `python scripts/metrics_page.py --write`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from groundviz.metrics import DEFAULT, METRICS, RULES, SPACES
from groundviz.metrics.answers import SCORERS
from groundviz.metrics.boxes import BOX_METRICS
from groundviz.metrics.published import VQA_ROWS

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"


def tables() -> dict[str, str]:
    """The tables by the names of their places in the page."""
    asked = {name.partition("@")[0] for name in DEFAULT}
    metrics = []
    for name in METRICS.ours_first():
        facts = METRICS.facts(name)
        shown = f"`{name}`"
        if facts.rule:
            shown = f"`{name}@{facts.rule}`"
        better = "higher" if facts.higher_is_better else "lower"
        default = "yes" if name in asked or facts.against == "density" else ""
        told = (facts.shows, facts.unit, facts.chance, better, default, facts.known_failure, facts.source)
        metrics.append((shown, *told))
    head = ("metric", "what it tells", "unit", "by chance", "better", "default", "what it misses", "source")
    rules = [(f"`{name}`", shows) for name, (shows, _) in RULES.items()]
    boxes = [(f"`{name}`", shows) for name, shows in BOX_METRICS.items()]
    scorers = [(f"`{way.name}`", way.shows, way.known_failure, way.source) for way in SCORERS.values()]
    return {
        "metrics": _table(head, metrics),
        "spaces": _table(("space", "what it is"), [(f"`{name}`", told) for name, told in SPACES.items()]),
        "rules": _table(("rule", "what it selects"), rules),
        "boxes": _table(("number", "what it is"), boxes),
        "scorers": _table(("scorer", "what it counts", "what it gets wrong", "source"), scorers),
        "published": _table(("model", "setting", "VQA-RAD", "SLAKE", "PathVQA", "average"), _published()),
    }


def _published() -> list[tuple[str, ...]]:
    rows = []
    for row in VQA_ROWS:
        pairs = [row.numbers.get(name) for name in ("vqa_rad", "slake", "pathvqa")]
        told = [f"{pair[0]:.2f} / {pair[1]:.2f}" if pair else "-" for pair in pairs]
        rows.append((row.model, row.setting, *told, f"{row.average:.2f}"))
    return rows


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def filled(page: str) -> str:
    """The page with each table in its place.

    Raises:
        ValueError: A table has no place in the page.
    """
    for name, table in tables().items():
        start, end = f"<!-- table: {name} -->\n", f"<!-- end: {name} -->"
        if page.count(start) != 1 or page.count(end) != 1:
            raise ValueError(f"The page has no place for the table of {name}.")
        before, _, rest = page.partition(start)
        _, _, after = rest.partition(end)
        # A table that touches a comment is taken for a part of it.
        page = f"{before}{start}\n{table}\n\n{end}{after}"
    return page


def main(argv: list[str] | None = None) -> None:
    """Print the page as it should be, or write it."""
    parser = argparse.ArgumentParser(description="The tables of docs/metrics.md.")
    parser.add_argument("--write", action="store_true", help="into the page")
    page = filled(PAGE.read_text("utf-8"))
    if parser.parse_args(argv).write:
        PAGE.write_text(page, "utf-8")
    else:
        sys.stdout.write(page)


if __name__ == "__main__":
    main()
