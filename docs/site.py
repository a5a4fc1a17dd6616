"""What the site shows that is not a page of docs/: notebooks, SECURITY, CONTRIBUTING and others.

Each is read where it lies, so that nothing is written twice. Their links become links of the site.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# From paths in the repository to pages of the site.
PAGES = {
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CODE_OF_CONDUCT.md": "code_of_conduct.md",
    "CHANGELOG.md": "changelog.md",
    "groundviz/demo/weights/README.md": "demo_model.md",
    "groundviz/demo/cheat_weights/README.md": "cheat_model.md",
}
PLAIN = ("LICENSE", "CITATION.cff")
LINK = re.compile(r"(?<=\]\()([^)#:]+)(?=[)#])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made of other files of the repository."""
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    made = {page: at_home(path, read(path)) for path, page in PAGES.items()}
    made |= {f"notebooks/{path.stem}.md": of_notebook(path) for path in notebooks}
    made |= {f"notebooks/{path.name}": read(path) for path in notebooks}
    made |= {name: read(name) for name in PLAIN}
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Turn the links of the pages that lie in docs/."""
    written = page.file.generated_by is None
    return at_home(f"docs/{page.file.src_uri}", markdown) if written else markdown


def read(path: str | Path) -> str:
    """The text of a file of the repository."""
    return (ROOT / path).read_text("utf-8")


def at_home(path: str, text: str) -> str:
    """Links of a file of the repository, as links of the site's own pages."""
    folder = (ROOT / path).parent

    def turned(found: re.Match[str]) -> str:
        target = (folder / found[1]).resolve().relative_to(ROOT).as_posix()
        page = PAGES.get(target, target.removeprefix("docs/"))
        return re.sub(r"^(notebooks/.*)\.ipynb$", r"\1.md", page)

    parts = re.split(r"(^```.*?^```)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else LINK.sub(turned, part) for part in parts)


def of_notebook(path: Path) -> str:
    """A notebook as a page: what it says and what it runs, with the notebook itself to take along."""
    cells = json.loads(read(path))["cells"]
    title, *told = [as_markdown(cell) for cell in cells]
    heading, _, rest = title.partition("\n")
    along = f"[Take this notebook along]({path.name}){{ download }}, or read it here without its images."
    text = "\n\n".join([heading, along, rest, *told])
    text = text.replace("](../docs/", "](../")
    for card, page in PAGES.items():
        text = text.replace(f"](../{card})", f"](../{page})")
    return text


def as_markdown(cell: dict[str, Any]) -> str:
    """One cell of a notebook."""
    source = "".join(cell["source"])
    return source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```"
