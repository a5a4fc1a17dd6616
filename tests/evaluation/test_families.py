"""What is compared with what is written down before anything is scored."""

from __future__ import annotations

from pathlib import Path

from groundviz import datasets
from groundviz.evaluation import families
from groundviz.evaluation.cases.covered import KINDS
from groundviz.metrics import priors
from tests.support.runs import small


def test_a_planned_run_declares_what_its_report_will_test(tmp_path: Path) -> None:
    phantoms = datasets.load("phantoms", kinds="presence", limit=6)
    run = small(
        tmp_path / "run",
        executor="shards",
        workers=0,
        dataset=phantoms,
        limit=6,
        methods=["attention", "gradient_attention"],
        controls=["shuffled"],
        metrics=["ap", "energy"],
        curves=["mean"],
    )
    assert run.status().explained == 0
    stated = run.manifest["comparisons"]
    assert (stated["primary"], stated["correction"]) == ("energy", "holm")
    of = stated["families"]
    methods = ["attention", "gradient_attention"]
    assert of["headline"] == [[method, prior] for method in methods for prior in families.PRIORS]
    assert [one for one, _ in of["grounding"]] == [*methods, *(f"shuffled:{method}" for method in methods)]
    # Findings that are asked for and absent have no place that a map could mark.
    placed = sorted({sample.finding or "" for sample in phantoms.samples if sample.regions})
    assert sorted({finding for _, _, finding in of["findings"]}) == placed
    pairs = [[method, "mean", kind] for method in methods for kind in KINDS]
    assert of["curves"] == [
        [method, other, cover, kind]
        for method, cover, kind in pairs
        for other in (priors.RANDOM, priors.CENTRE)
    ]
    # What a run is of does not depend on what is compared.
    other = small(tmp_path / "run", executor="shards", workers=0, dataset=phantoms, limit=6,
                  methods=methods, controls=["shuffled"], metrics=["auroc"])  # fmt: skip
    assert other.manifest["comparisons"] == stated
