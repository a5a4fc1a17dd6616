"""Tables in Markdown, and their places in docs/benchmarks.md."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
import transformers

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def machine(device: str = "cpu") -> str:
    """Where and with what a table was made, in one line."""
    name = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()} CPU"
    threads = "" if device == "cuda" else f", {torch.get_num_threads()} thread(s)"
    return f"{name}{threads}, torch {torch.__version__}, transformers {transformers.__version__}"


def publish(name: str, text: str, *, write: bool, on: Path | None = None) -> None:
    """Print a table; with `write`, also put it between its two markers on a page of the docs."""
    sys.stdout.write(f"{text}\n")
    if not write:
        return
    place = on or PAGE
    page = place.read_text("utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, rest = page.split(begin)
    place.write_text(f"{before}{begin}{text}{end}{rest.split(end)[1]}", "utf-8")
