"""Raised inside the measurement where a model cannot be measured."""

from __future__ import annotations


class Unmeasurable(Exception):
    """Why a model's geometry cannot be measured, as the end of a sentence."""
