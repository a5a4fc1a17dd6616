"""The tables of the page on scores are what the registrations state."""

from __future__ import annotations

from groundviz.metrics import METRICS
from scripts.metrics_page import PAGE, filled
from tests.support import pages


def test_the_page_of_metrics_is_up_to_date() -> None:
    page = PAGE.read_text("utf-8")
    pages.assert_up_to_date(page, filled(page), page=PAGE, command="python scripts/metrics_page.py --write")


def test_every_metric_has_a_row() -> None:
    page = PAGE.read_text("utf-8")
    for name in METRICS.ours_first():
        assert f"\n| `{name}" in page
