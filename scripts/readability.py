"""How a code base reads, in numbers: `python scripts/readability.py FOLDER [FOLDER ...]`.

One row for each folder of Python files, so that code bases can be held side by side. Functions are counted
by the lines of their body without its docstring; comprehensions, conditional expressions ("inline-ifs") and
comment lines per 1,000 lines that are neither blank nor part of a docstring.
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
# Two places are duplicates where so many lines in a row are the same.
WINDOW = 6
COLUMNS = (
    "files",
    "lines",
    "fn median",
    "fn p90",
    "fn max",
    "comprehensions",
    "inline-ifs",
    "comments",
    "longest file",
    "public documented",
    "duplicates",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def measure(folder: Path) -> dict[str, float]:
    """The numbers of one folder, by the names of `COLUMNS`."""
    sources = [path.read_text("utf-8") for path in sorted(folder.rglob("*.py"))]
    trees = [ast.parse(source) for source in sources]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    lengths = sorted(lines for node in nodes if isinstance(node, Function) and (lines := body_lines(node)))
    code = [line for source, tree in zip(sources, trees, strict=True) for line in code_lines(source, tree)]
    documented = [ast.get_docstring(node) is not None for tree in trees for node in public(tree)]
    per_thousand = 1000 / max(1, len(code))
    return {
        "files": len(sources),
        "lines": len(code),
        "fn median": statistics.median(lengths),
        "fn p90": lengths[int(0.9 * len(lengths))],
        "fn max": lengths[-1],
        "comprehensions": per_thousand * sum(isinstance(node, COMPREHENSIONS) for node in nodes),
        "inline-ifs": per_thousand * sum(isinstance(node, ast.IfExp) for node in nodes),
        "comments": per_thousand * sum(map(comment_lines, sources)),
        "longest file": max(source.count("\n") for source in sources),
        "public documented": 100 * statistics.mean(documented) if documented else 0.0,
        "duplicates": duplicates(sources),
    }


def body_lines(function: Function) -> int:
    """Lines from the first statement behind the docstring to the last."""
    body = function.body[ast.get_docstring(function) is not None :]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def code_lines(source: str, tree: ast.Module) -> Iterator[str]:
    """The lines that are neither blank nor part of a docstring."""
    hidden: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            hidden |= set(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    for number, line in enumerate(source.splitlines(), start=1):
        if line.strip() and number not in hidden:
            yield line


def comment_lines(source: str) -> int:
    """How many comments a file has; each line of a longer one counts."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return sum(token.type == tokenize.COMMENT for token in tokens)


def public(tree: ast.Module) -> Iterator[Function | ast.ClassDef]:
    """Functions, classes and methods whose names begin with no underscore."""
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                members = (member for member in node.body if isinstance(member, Function))
                yield from (member for member in members if not member.name.startswith("_"))


def duplicates(sources: Sequence[str]) -> int:
    """How many windows of `WINDOW` lines stand in the code more than once; imports do not count."""
    seen: Counter[tuple[str, ...]] = Counter()
    for source in sources:
        lines = [line.strip() for line in source.splitlines()]
        lines = [line for line in lines if line and not line.startswith(("import ", "from ", "#"))]
        seen.update(zip(*(lines[start:] for start in range(WINDOW)), strict=False))
    return sum(count - 1 for count in seen.values() if count > 1)


def table(rows: dict[str, dict[str, float]]) -> str:
    """The numbers as a table in Markdown."""
    lines = [" | ".join(["", "code", *COLUMNS, ""]).strip(), "|" + "---|" * (len(COLUMNS) + 1)]
    for name, numbers in rows.items():
        cells = [f"{numbers[column]:.0f}" for column in COLUMNS]
        lines.append(" | ".join(["", name, *cells, ""]).strip())
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How code bases read, side by side.")
    parser.add_argument("folders", nargs="+", type=Path, help="folders of Python files")
    chosen = parser.parse_args(argv)
    sys.stdout.write(table({str(folder): measure(folder) for folder in chosen.folders}))


if __name__ == "__main__":
    main()
