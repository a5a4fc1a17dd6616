"""The program and the style sheet of the reading screen."""

from __future__ import annotations

from functools import cache

from groundviz.render.viewer import programs
from groundviz.render.viewer.themes import themed


@cache
def module() -> str:
    """The screen as an ES module whose default export holds `render`."""
    return f"{programs.joined('reading/static/main.js')}{programs.EXPORT}\n"


@cache
def style() -> str:
    """Its style sheet, every rule of which stays inside the screen."""
    return themed(programs.read("reading/static/reading.css"))
