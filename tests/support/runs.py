"""Small runs of the demo model on phantoms, and all that must be the same in two of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from groundviz.evaluation import Run, evaluate

SMALL: dict[str, Any] = {
    "methods": "attention",
    "limit": 4,
    "shard_size": 2,
    "controls": (),
    "progress": False,
}
# What says when, by whom and how fast.
_OWN = {"manifest.json"}
# What a killed writer leaves half-done: nobody reads it, and it is removed when nobody can be at it any more.
_UNFINISHED = ".groundviz-*.part"


def small(out: Path, *, dataset: Any = "phantoms", **settings: Any) -> Run:
    """A run of four samples in two shards."""
    return evaluate("demo", dataset, out=out, **{**SMALL, **settings})


def tables_of(path: Path) -> dict[str, bytes]:
    """Every file of a run that must be the same to the byte, by its name."""
    found = {}
    for place in sorted(path.rglob("*")):
        name = place.relative_to(path).as_posix()
        own = name in _OWN or name.startswith(("timings/", "leases/"))
        if place.is_file() and not own and not place.match(_UNFINISHED):
            found[name] = place.read_bytes()
    return found
