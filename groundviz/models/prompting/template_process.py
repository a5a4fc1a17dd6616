"""Fills chat templates in a separate process with bounds on memory and time. It is run, never imported.

A template is a program that comes with a model. Jinja's sandbox keeps it from files and from Python. It does
not stop an endless loop, or a text that fills the memory. So the template runs in a process of its own.
Its parent is `template_filling`, which sends JSON and receives JSON. The environment is the one of
transformers' `apply_chat_template`; a test compares the two.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping
from typing import Any


def main() -> None:
    """Read what to fill from stdin, and write the texts, or why there are none, to stdout."""
    wanted = json.load(sys.stdin)
    # Only the folders of the libraries that the parent imported.
    sys.path += wanted["paths"]
    _limit(wanted["seconds"], wanted["bytes"])
    try:
        answer: dict[str, Any] = {"texts": _filled(wanted)}
    except MemoryError:
        answer = {"stopped": "memory"}
    except OverflowError as error:
        answer = {"stopped": "length", "says": str(error)}
    except Exception as error:
        # A template may fail in any way: jinja passes on what its filters and calls raise.
        answer = {"failed": f"{type(error).__name__}: {error}"[:300]}
    json.dump(answer, sys.stdout)


def _limit(seconds: int, size: int) -> None:
    """Bound the time and memory of this process; on systems without such bounds only the parent's clock."""
    try:
        import resource
    except ImportError:
        return
    for kind, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, size)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


def _filled(wanted: Mapping[str, Any]) -> list[str]:
    template = _environment().from_string(wanted["template"])
    return [_written(template, one, wanted["characters"]) for one in wanted["fillings"]]


def _written(template: Any, variables: Mapping[str, Any], most: int) -> str:
    pieces, length = [], 0
    for piece in template.generate(**variables):
        pieces.append(piece)
        length += len(piece)
        if length > most:
            raise OverflowError(f"more than {most} characters")
    return "".join(pieces)


def _environment() -> Any:
    """Jinja as transformers sets it up for chat templates."""
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """The tag around the assistant's answer; it writes its content."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.Scope(body).set_lineno(line)

    def raise_exception(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value: Any, **options: Any) -> str:
        return json.dumps(value, **{"ensure_ascii": False, **options})

    def strftime_now(shape: str) -> str:
        from datetime import datetime

        return datetime.now().strftime(shape)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals |= {"raise_exception": raise_exception, "strftime_now": strftime_now}
    return environment


if __name__ == "__main__":
    main()
