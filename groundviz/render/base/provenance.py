"""How a record was made: one sentence for a caption, and everything there is for a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields

from groundviz.record.types import Heatmaps, Provenance, Record

_LONGEST_VALUE, _KEPT_OF_VALUE = 200, 120


def made_with(made: Provenance) -> str:
    """Where an image came from, in one sentence that lets a reader make it again."""
    model = f"Model {made.model}"
    if made.revision:
        model += f" revision {made.revision}"
    details = [made.family, f"weights {made.weights}"]
    details += [f"adapter {name} {mark}" for name, mark in sorted(made.adapters.items())]
    details += [f"{made.dtype} on {made.device}", f"{made.attention} attention kernel"]
    if made.certificate:
        details.append(made.certificate)
    versions = ", ".join(f"{name} {version}" for name, version in sorted(made.versions.items()))
    text = f"{model} ({', '.join(details)}), seed {made.seed}; {versions}."
    if made.generation:
        text += f" Generated with {listed(made.generation)}."
    return text


def shortened(value: object) -> str:
    """A value as text; of a long one its beginning, and how long it is.

    >>> shortened(0.5), shortened("x" * 300)[-19:]
    ('0.5', 'x… (300 characters)')
    """
    text = str(value)
    if len(text) <= _LONGEST_VALUE:
        return text
    return f"{text[:_KEPT_OF_VALUE]}… ({len(text):,} characters)"


def facts(record: Record) -> Iterator[tuple[str, str]]:
    """Everything that is known of how a record came about: name by name, in text that is not escaped yet."""
    if record.label:
        yield "label", record.label
    made = record.provenance
    for field in fields(made):
        value = getattr(made, field.name)
        name = field.name.replace("_", " ")
        if isinstance(value, Mapping):
            if value:
                yield name, listed(value)
        elif value is not None:
            yield name, shortened(value)
    # Maps of one method on several images and tiles were mostly made in the same way.
    alike = Counter((maps.method, "; ".join(_measured(maps))) for maps in record.heatmaps)
    for (method, how), count in alike.items():
        yield f"method {method}", how if count == 1 else f"{how}; on {count} grids of cells"
    if record.unmeasured:
        yield "never ran", ", ".join(record.unmeasured)


def listed(table: Mapping[str, object]) -> str:
    """A table in one line: every entry, long values shortened.

    >>> listed({"masks": 480, "seed": 0})
    'masks 480, seed 0'
    """
    return ", ".join(f"{name} {shortened(value)}" for name, value in sorted(table.items()))


def _measured(maps: Heatmaps) -> Iterator[str]:
    """What a method counts, what it was run with, and what its maps rest on."""
    yield maps.unit
    yield listed(maps.params) or "no options"
    yield f"tokens, layers and heads by {', '.join(maps.reduce)}"
    if maps.samples is not None:
        yield f"{maps.samples.done:,} of {maps.samples.asked:,} steps"
