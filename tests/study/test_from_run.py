"""A study of a run: its cases by rule, every arm in each, a prior among them."""

from collections import Counter

import pytest

from groundviz import study
from groundviz.errors import OptionError
from groundviz.evaluation.report.results import Results
from groundviz.study.from_run import chosen
from tests.evaluation.report.conftest import MadeRun


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return MadeRun(tmp_path_factory.mktemp("run"))


def test_cases_come_evenly_from_findings_sizes_and_answers(run):
    results = Results(run, repeats=1)
    order = chosen(results, seed=2)
    assert sorted(order) == [at for at, one in enumerate(run.answers()["status"]) if one == "ok"]
    assert order == chosen(results, seed=2) != chosen(results, seed=3)
    first = Counter(results.findings[at] for at in order[: len(set(results.findings))])
    assert len(first) > 3


def test_a_study_is_made_of_a_run_with_a_prior_and_its_key_names_them(run, tmp_path):
    cases = list(study.cases_of(run, arms=("good", "blind", "prior:centre"), limit=6, seed=1))
    assert len(cases) == 6
    assert all(set(case.maps) == {"good", "blind", "prior:centre"} for case in cases)
    made = study.make(cases, tmp_path / "study", run_id=run.manifest["run_id"])
    assert (len(made.arms), len(made.priors), made.run_id) == (2, 1, "abc123")
    assert {one.part for one in made.session("r1").trials} == {"compare"}


def test_an_arm_that_is_not_there_is_refused_before_anything_is_written(run, tmp_path):
    with pytest.raises(OptionError, match=r"not in the run: \['occlusion'\]"):
        study.make(study.cases_of(run, arms=("occlusion",)), tmp_path / "study")
    assert not (tmp_path / "study").exists()
