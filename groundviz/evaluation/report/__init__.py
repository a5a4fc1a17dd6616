"""From a run to what a paper needs: tables, charts, answers to reviewers, and a page of cases."""

from groundviz.evaluation.report.gallery import gallery as gallery
from groundviz.evaluation.report.writing import report as report

__all__ = ["gallery", "report"]
