"""Records that are shown in notebooks; a test and the kernel it talks to make the same ones."""

from __future__ import annotations

from dataclasses import replace

from groundviz.record.types import Record
from tests.support import records

# In a window this high, a pixel of the image is one of the screen.
SIDE = 560
SCREEN = {"width": 1600, "height": SIDE * 100 // 64}
LAYERS = 6
HOSTILE = (
    "<img src=x onerror=window.pwned=1>",
    " </script><script>window.pwned=1</script>",
    " javascript:window.pwned=1",
    " [link](javascript:window.pwned=1)",
    " ${window.pwned=1}",
    " \u202etac",
    " ok",
)


def case() -> Record:
    """A square image under maps of two methods, several layers and two heads, that cover all of it."""
    base = records.record(SIDE, SIDE)
    grid, shape = base.prompt.grids[0], base.source_image.shape
    maps = (records.heatmaps(one, grid, base.answer, shape, layers=LAYERS) for one in records.UNITS)
    return replace(base, heatmaps=tuple(maps))


def large() -> Record:
    """One of so many values that a page holds its layers, and single heads are asked for."""
    base = records.record(SIDE, SIDE, cells=70)
    maps = records.heatmaps(
        "attention", base.prompt.grids[0], base.answer, base.source_image.shape, layers=24
    )
    return replace(base, heatmaps=(maps,))


def hostile() -> Record:
    """A record whose question, words, notes, methods, units and labels would all be code if they could."""
    base = records.record(60, 48, question="<svg onload=window.pwned=1>", words=HOSTILE, notes=HOSTILE[:2])
    label = replace(base.heatmaps[0].grid, label=HOSTILE[0])
    maps = replace(base.heatmaps[0], method=HOSTILE[0], unit=HOSTILE[1], grid=label)
    made = replace(base.provenance, adapters={HOSTILE[0]: HOSTILE[1]}, generation={HOSTILE[1]: HOSTILE[0]})
    return replace(
        base,
        answer=replace(base.answer, finished=False),
        heatmaps=(maps, replace(maps, method=HOSTILE[1], unit=HOSTILE[2])),
        provenance=made,
        label=HOSTILE[0],
        unmeasured=HOSTILE[:2],
    )
