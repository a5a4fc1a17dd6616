"""The page of methods and families says what runs; so does the page of models."""

from pathlib import Path

import pytest

from benchmarks.families import HEAD, outcomes, page_of
from groundviz import cli
from groundviz.methods import METHODS
from groundviz.testing.families import TINY
from scripts.model_types import BEGIN, COMMAND
from tests.support.pages import assert_up_to_date

DOCS = Path(__file__).parents[2] / "docs"
FOUND: dict[str, dict[str, str]] = {}


# A random model may have an empty map, and a warning says so.
@pytest.mark.filterwarnings("ignore:.*found no evidence:RuntimeWarning")
@pytest.mark.wide
@pytest.mark.parametrize("family", list(TINY))
def test_every_method_explains_the_family_or_says_why_not(family):
    FOUND[family] = outcomes(family, METHODS)
    assert set(FOUND[family]) == set(METHODS)


@pytest.mark.wide
def test_the_page_of_families_is_what_ran():
    if set(FOUND) != set(TINY):
        pytest.skip("only some families ran")
    page, command = DOCS / "families.md", "python benchmarks/families.py --write"
    assert_up_to_date(page.read_text("utf-8"), page_of(FOUND), page=page, command=command)
    assert page_of(FOUND).startswith(HEAD)


def test_the_page_of_models_is_what_the_command_prints(capsys):
    assert cli.main(["models", "--markdown"]) == 0
    page, command = DOCS / "models.md", f"{COMMAND} --families"
    made = capsys.readouterr().out
    # Behind it stand the types, which another test reads.
    kept, begin, _ = page.read_text("utf-8").partition(BEGIN)
    assert begin
    assert_up_to_date(kept, made, page=page, command=command)
