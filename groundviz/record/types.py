"""The facts that travel through groundviz: frozen, keyword-only, numpy alone.

Nothing here knows torch, so a saved record opens on a machine without it.
Coordinates are always (row, col). Pixel r covers [r, r + 1), so its centre is r + 0.5;
token cells follow the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass

from groundviz.record.parts import brief
from groundviz.record.parts.arrays import Bools as Bools
from groundviz.record.parts.arrays import Doubles as Doubles
from groundviz.record.parts.arrays import Floats as Floats
from groundviz.record.parts.arrays import Ints as Ints
from groundviz.record.parts.arrays import Shorts as Shorts
from groundviz.record.parts.goal import Foil as Foil
from groundviz.record.parts.goal import Target as Target
from groundviz.record.parts.image import Grid as Grid
from groundviz.record.parts.image import Slice as Slice
from groundviz.record.parts.image import SourceImage as SourceImage
from groundviz.record.parts.image import Stage as Stage
from groundviz.record.parts.image import StoredValues as StoredValues
from groundviz.record.parts.maps import ROUNDING as ROUNDING
from groundviz.record.parts.maps import Heatmap as Heatmap
from groundviz.record.parts.maps import Heatmaps as Heatmaps
from groundviz.record.parts.maps import Reduction as Reduction
from groundviz.record.parts.messages import Message as Message
from groundviz.record.parts.provenance import Check as Check
from groundviz.record.parts.provenance import Provenance as Provenance
from groundviz.record.parts.provenance import Samples as Samples
from groundviz.record.parts.provenance import Score as Score
from groundviz.record.parts.text import Answer as Answer
from groundviz.record.parts.text import Prompt as Prompt
from groundviz.record.parts.text import Span as Span
from groundviz.record.parts.text import SpanKind as SpanKind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """One question, one answer and every map made of it; what a .gvz file holds.

    Attributes:
        source_images: The images that were asked about, at least one; `Grid.image` counts them from 0.
        prompt: What the model was given.
        answer: What it answered.
        targets: The parts of the answer, or of the question, that were asked for, at least one.
        heatmaps: What each method measured, one entry for each grid of cells.
        provenance: What made all this.
        checks: What is known about whether to believe the maps.
        scores: The maps against the truth.
        label: The user's own name for the model or the run, such as "checkpoint A".
        unmeasured: Methods that were asked for and never ran, because the work was interrupted.
    """

    source_images: tuple[SourceImage, ...]
    prompt: Prompt
    answer: Answer
    targets: tuple[Target, ...]
    heatmaps: tuple[Heatmaps, ...]
    provenance: Provenance
    checks: tuple[Check, ...] = ()
    scores: tuple[Score, ...] = ()
    label: str = ""
    unmeasured: tuple[str, ...] = ()

    @property
    def source_image(self) -> SourceImage:
        """The image, the first where there are several."""
        return self.source_images[0]

    @property
    def target(self) -> Target:
        """What was asked for first: what is shown unless another target is named."""
        return self.targets[0]

    def __repr__(self) -> str:
        methods = tuple(dict.fromkeys(maps.method for maps in self.heatmaps))
        asked, answered = brief.quoted(self.prompt.question), brief.quoted(self.answer.text)
        label = ""
        if self.label:
            label = brief.quoted(self.label)
        images = brief.counted(len(self.source_images), "image")
        shown = brief.listed(methods) or "no maps"
        return brief.line("Record", label, f"{asked} answered with {answered}", images, shown)
