"""What a change must pass, session by session: `nox -s lint`, `nox -s tests -- tests/record`, `nox --list`.

Sessions run in the environment in which nox runs, because an environment for each would install torch again
and again. `.ci/run` makes a fresh environment, and calls them in it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "tests"]

OLDEST_TRANSFORMERS = "transformers==5.17.0"
# What depends on the inside of transformers.
ON_TRANSFORMERS = (
    "tests/cli",
    "tests/demo",
    "tests/explain",
    "tests/methods",
    "tests/models",
    "tests/package/test_quiet.py",
    "tests/runtime",
    "tests/testing/test_check_model.py",
)
# Quick tests that reach most of what is left; together they measure line coverage.
BESIDES = ("tests/images", "tests/record", "tests/render/base", "tests/render/figures")


def install(session: nox.Session, *packages: str) -> None:
    """Install into the environment in which nox runs."""
    session.run(sys.executable, "-m", "pip", "install", "--quiet", *packages)


@nox.session
def lint(session: nox.Session) -> None:
    """Linters and types."""
    install(session, ".[test]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def js(session: nox.Session) -> None:
    """The viewer's JavaScript: eslint, and unit tests under node."""
    session.run("npm", "ci")
    session.run("npm", "run", "lint")
    session.run("npm", "test")


@nox.session
def tests(session: nox.Session) -> None:
    """The fast suite, or what is named behind "--"."""
    session.run("pytest", *session.posargs)


@nox.session
def wide(session: nox.Session) -> None:
    """Hostile input, every family, and every page, notebook and benchmark."""
    install(session, ".[test]")
    session.run("pytest", "-m", "wide and not slow")


@nox.session
def jupyter(session: nox.Session) -> None:
    """JupyterLab, nbconvert and Voila in a browser."""
    # The hosts bring requirements of their own, which must not change what was tested before.
    frozen = session.run(sys.executable, "-m", "pip", "freeze", silent=True) or ""
    fixed = ("torch==", "transformers==")
    same = [line for line in str(frozen).splitlines() if line.lower().startswith(fixed)]
    constraints = Path(session.create_tmp(), "same.txt").resolve()
    constraints.write_text("\n".join(same) + "\n", "utf-8")
    install(session, "--constraint", str(constraints), ".[test,browser]")
    session.run("pytest", "-m", "jupyter", "tests/jupyter")


@nox.session
def demo(session: nox.Session) -> None:
    """What is installed does its main job, away from its source."""
    install(session, ".")
    elsewhere = session.create_tmp()
    with session.chdir(elsewhere):
        session.run("groundviz", "demo", "--out", os.fspath(Path("demo")))


@nox.session
def site(session: nox.Session) -> None:
    """The documentation, every warning an error."""
    install(session, ".[test,docs]")
    session.run("pytest", "tests/docs/test_site.py")


@nox.session
def oldest(session: nox.Session) -> None:
    """The oldest supported transformers, which stays in the environment afterwards."""
    install(session, ".[test]")
    install(session, OLDEST_TRANSFORMERS)
    session.run("pytest", "-n", "2", "--dist", "loadfile", *(session.posargs or ON_TRANSFORMERS))


@nox.session
def coverage(session: nox.Session) -> None:
    """Line coverage of a part of the tests; fails below the floor in pyproject.toml."""
    install(session, ".[test]")
    surroundings = {}
    if sys.version_info >= (3, 12):
        # Python's own monitoring costs far less than a trace function.
        surroundings["COVERAGE_CORE"] = "sysmon"
    chosen = session.posargs or (*ON_TRANSFORMERS, *BESIDES)
    session.run("pytest", "-n", "2", "--dist", "loadfile", "--cov=groundviz", *chosen, env=surroundings)
