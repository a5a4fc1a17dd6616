"""Every method, asked for so little that it runs in a moment: for tests of all else but its maps."""

from __future__ import annotations

from typing import Any

from groundviz.methods import METHODS
from groundviz.methods.running.choose import choose

_FEW = {"samples": 4, "masks": 8, "steps": 4, "iterations": 4, "cells": 4}


def quick(method: str) -> dict[str, dict[str, Any]]:
    """A recipe for one method, with as few samples and steps as it can do with.

    >>> quick("attention")
    {'attention': {}}
    """
    own = choose(method)[method]
    return {method: {option: few for option, few in _FEW.items() if option in own}}


def quick_all() -> dict[str, dict[str, Any]]:
    """A recipe for every registered method, as `quick` gives it."""
    return {name: options for method in METHODS for name, options in quick(method).items()}
