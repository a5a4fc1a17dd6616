"""The page of data set cards is what its command makes."""

from __future__ import annotations

from groundviz.datasets import DATASETS, catalogue
from tests.support import pages


def test_the_page_of_cards_is_up_to_date() -> None:
    page = pages.DOCS / "dataset_cards.md"
    made = "".join(f"{line}\n" for line in catalogue.markdown())
    command = "groundviz data --markdown > docs/dataset_cards.md"
    pages.assert_up_to_date(page.read_text("utf-8"), made, page=page, command=command)


def test_every_data_set_has_a_card() -> None:
    page = (pages.DOCS / "dataset_cards.md").read_text("utf-8")
    for name in DATASETS:
        assert f"\n## {name}\n" in page
