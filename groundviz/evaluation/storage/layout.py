"""Where everything of a run lies.

::

    RUN/ manifest.json                        what was run on what; written once
         plan.parquet                         which sample belongs to which shard; written once
         leases/                              who computes which shard right now
         answers/part-00000.parquet           a row for each sample
         explain/part-00000.safetensors       maps at the model's own cells
         explain/part-00000.parquet           a row for each map, where its cells lie; written last
         explain/again-00000.parquet          the same, while samples that failed are computed again
         timings/part-00000.parquet           seconds, which differ from run to run
         scores/HASH/spec.json                how was scored
         scores/HASH/part-00000.parquet       a row for each number
         curves/HASH/spec.json                how the image is covered, where that was asked for
         curves/HASH/part-00000.parquet       a row for each curve
         report/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from groundviz.evaluation.storage import specs

_PART = re.compile(r"part-(\d{5,})\.parquet")


@dataclass(frozen=True, slots=True)
class Layout:
    """The places in the folder of a run.

    Attributes:
        root: The folder.
    """

    root: Path

    @property
    def manifest(self) -> Path:
        """What was run on what."""
        return self.root / "manifest.json"

    @property
    def plan(self) -> Path:
        """Which sample belongs to which shard."""
        return self.root / "plan.parquet"

    @property
    def leases(self) -> Path:
        """The folder of who computes what right now."""
        return self.root / "leases"

    @property
    def report(self) -> Path:
        """The folder of what was written for readers."""
        return self.root / "report"

    def answers(self, shard: int) -> Path:
        """The answers of a shard."""
        return self.root / "answers" / _part(shard)

    def index(self, shard: int) -> Path:
        """The table of a shard's maps; it is written last."""
        return self.root / "explain" / _part(shard)

    def maps(self, shard: int) -> Path:
        """The maps of a shard."""
        return self.index(shard).with_suffix(".safetensors")

    def aside(self, shard: int) -> Path:
        """The table of a shard's maps while the samples that failed are computed again."""
        return self.root / "explain" / f"again-{shard:05d}.parquet"

    def timings(self, shard: int) -> Path:
        """How long the cases of a shard took."""
        return self.root / "timings" / _part(shard)

    def scoring(self, eval_hash: str) -> Path:
        """The folder of how was scored, and of the scores."""
        return self.root / "scores" / eval_hash

    def covering(self, name: str) -> Path:
        """The folder of how the image is covered, and of the curves."""
        return self.root / "curves" / name

    def curves(self, name: str, shard: int) -> Path:
        """The deletion and insertion curves of a shard."""
        return self.covering(name) / _part(shard)

    def scores(self, eval_hash: str, shard: int) -> Path:
        """The scores of a shard's maps and answers."""
        return self.scoring(eval_hash) / _part(shard)

    def answer_scores(self, eval_hash: str, shard: int) -> Path:
        """The scores of a shard's answers."""
        return self.scoring(eval_hash) / "answers" / _part(shard)

    def explained(self) -> set[int]:
        """The shards whose maps have been written, by the names of the files alone."""
        return _numbers(self.root / "explain")

    def scored(self, eval_hash: str) -> set[int]:
        """The shards that have been scored, by the names of the files alone."""
        return _numbers(self.scoring(eval_hash))

    def covered(self, name: str) -> set[int]:
        """The shards whose curves have been written, by the names of the files alone."""
        return _numbers(self.covering(name))

    def evaluations(self) -> list[str]:
        """The hashes of the ways in which the run was scored, the oldest first."""
        return specs.names(self.root / "scores")

    def coverings(self) -> list[str]:
        """The hashes of the ways in which curves were asked for, the oldest first."""
        return specs.names(self.root / "curves")


def _part(shard: int) -> str:
    return f"part-{shard:05d}.parquet"


def _numbers(folder: Path) -> set[int]:
    if not folder.is_dir():
        return set()
    matches = (_PART.fullmatch(path.name) for path in folder.iterdir())
    return {int(match[1]) for match in matches if match}
