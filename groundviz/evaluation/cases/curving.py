"""From a run's answers and maps to deletion and insertion curves: it takes the model, and no method again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from groundviz.errors import GroundvizError, ModelBusy, ModelChanged, UnsupportedModel
from groundviz.evaluation.cases import case, commits
from groundviz.evaluation.cases.covered import DELETION, INSERTION, Covering
from groundviz.evaluation.cases.explained import Explained, explained
from groundviz.evaluation.cases.outcome import OK, SKIPPED, Row, control_of
from groundviz.evaluation.cases.reopened import image_of
from groundviz.evaluation.cases.session import Session, Tell
from groundviz.evaluation.storage import specs, tables
from groundviz.evaluation.storage.layout import Layout
from groundviz.evaluation.storage.schemas import CURVES
from groundviz.evidence import curves
from groundviz.evidence.toolkit import covering
from groundviz.metrics import priors
from groundviz.record import files
from groundviz.record.types import Heatmap, Ints, Target
from groundviz.runtime import Live, borrow

_NO_ORDER = "All cells of the map are alike, so that it gives no order."
Orders = list[tuple[Row, Ints]]


@dataclass(frozen=True, slots=True)
class Curving:
    """What the curves of a run are made with.

    Attributes:
        layout: The run.
        session: The model and the data set.
        asked: How images are covered.
    """

    layout: Layout
    session: Session
    asked: Covering

    @classmethod
    def begun(cls, layout: Layout, session: Session, asked: Covering) -> Curving:
        """The curves of a run; how they are made stands in a file first.

        Raises:
            StoreError: The disk refused.
        """
        specs.keep(layout.covering(asked.hash), asked.facts())
        return cls(layout, session, asked)

    def commit(self, shard: int, tell: Tell) -> None:
        """Make the curves of a shard and write them; `tell` is called with the status of each sample.

        Raises:
            StoreError: Its maps or answers are damaged, or the disk refused.
            UnsupportedModel: The weights are not those that the run began with.
            KeyboardInterrupt: Ctrl-C; nothing of the shard is written.
        """
        answers, _ = tables.read(self.layout.answers(shard))
        maps = explained(self.layout, shard, lambda row: not control_of(row["method"]))
        found: list[Row] = []
        for answer in answers:
            if answer["status"] != OK:
                tell(answer["status"])
                continue
            made = list(self._of_sample(answer, maps.get(answer["sample_id"], {})))
            found += made
            tell(next((row["status"] for row in made if row["status"] not in (OK, SKIPPED)), OK))
        place = self.layout.curves(self.asked.hash, shard)
        files.folder_for_writing(place.parent)
        state = commits.state_of(self.layout, [shard])
        tables.write(place, found, CURVES, commits.made_of(state))

    def is_whole(self, shard: int) -> bool:
        """Whether the curves of a shard are there, whole, and of what has been explained."""
        place = self.layout.curves(self.asked.hash, shard)
        return commits.is_of(place, commits.state_of(self.layout, [shard]))

    def _of_sample(self, answer: Row, maps: Mapping[str, Explained]) -> Iterator[Row]:
        """The rows of all curves of a sample; a map without a curve has one row that says why."""
        known = {name: answer[name] for name in ("sample_id", "cluster_id")}
        told: list[Row] = []
        ordered: dict[str, list[Heatmap]] = {}
        for name, made in maps.items():
            if any(one.has_evidence for one in made.heatmaps):
                ordered[name] = made.heatmaps
            else:
                told.append({"method": name, "status": SKIPPED, "reason": _NO_ORDER})
        try:
            if ordered:
                told += self._measured(answer, ordered)
        except (ModelChanged, ModelBusy, UnsupportedModel, KeyboardInterrupt):
            raise
        except (Exception, MemoryError) as error:
            status, reason = case.failure(error)
            told += [{"method": name, "status": status, "reason": reason} for name in ordered]
        for row in told:
            key = maps[row["method"]].key if row["method"] in maps else ""
            yield {"status": OK, "reason": "", **known, "explain_key": key, **row}

    def _measured(self, answer: Row, heatmaps: dict[str, list[Heatmap]]) -> list[Row]:
        sample = self.session.dataset.samples[answer["order"]]
        image = image_of(self.session.dataset, answer)
        vlm, asked = self.session.vlm, self.session.asked
        with borrow(vlm, seed=asked.seed, tell=case.unheard) as live:

            def measured() -> list[Row]:
                live.encode((image,), asked.asking(sample))
                live.answer(live.prompt, given=answer["token_ids"])
                self.session.require_weights(live.provenance.weights)
                target = Target(tokens=tuple(answer["target_tokens"]), text=answer["target"])
                return self._curves(live, target, heatmaps, answer["order"])

            found = live.steadily(measured)
            if live.interrupted:
                raise KeyboardInterrupt
        return found

    def _curves(
        self, live: Live, target: Target, heatmaps: dict[str, list[Heatmap]], order: int
    ) -> list[Row]:
        # All maps lie on the same cells, so that the steps of all cover as much, and random orders serve all.
        every = [one for found in heatmaps.values() for one in found]
        told: list[Row] = []
        orders: Orders = []
        parts: tuple[covering.Lattice, ...] = ()
        for name, found in heatmaps.items():
            try:
                parts = covering.lattices(live, found, beside=every)
            except GroundvizError as error:
                told.append({"method": name, "status": SKIPPED, "reason": str(error)})
                continue
            orders.append(({"method": name}, covering.strongest_first(parts)))
        if not orders:
            return told
        rng = np.random.default_rng([self.session.asked.seed, order])
        orders.append(({"method": priors.CENTRE}, curves.from_the_centre(parts, rng)))
        for draw in range(self.asked.draws):
            orders.append(({"method": priors.RANDOM, "draw": draw}, curves.at_random(parts, rng)))
        for cover in self.asked.covers:
            told += self._covered(live, target, parts, orders, cover)
        return told

    def _covered(
        self,
        live: Live,
        target: Target,
        parts: Sequence[covering.Lattice],
        orders: Orders,
        cover: str,
    ) -> Iterator[Row]:
        ranked = [order for _, order in orders]
        made = curves.curves(live, target, parts, ranked, cover=cover, steps=self.asked.steps)
        for (known, _), curve in zip(orders, made, strict=True):
            for kind, values in ((DELETION, curve.deletion), (INSERTION, curve.insertion)):
                yield {**known, "cover": cover, "kind": kind, "values": values.tolist()}
