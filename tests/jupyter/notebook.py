"""A notebook in JupyterLab as its reader meets it: run, pointed at, asked in Python, saved."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from PIL import Image

from tests.support.browser import TWO_FRAMES

PANEL = "window.panel"
LIVE = ".gv-root[data-live]:not([data-live=''])"
STILL = ".gv-root:not([data-live])"
# From a notebook's own kernel: what was printed.
ASK = """async code => {
  const { kernel } = window.panel.sessionContext.session, printed = [];
  const asked = kernel.requestExecute({ code, store_history: false });
  asked.onIOPub = ({ header, content }) => {
    if (header.msg_type === "stream") printed.push(content.text);
    if (header.msg_type === "error") printed.push(...content.traceback);
  };
  const reply = await asked.done;
  if (reply.content.status !== "ok") throw new Error(printed.join("\\n"));
  return printed.join("");
}"""


def write(place: Path, *sources: str) -> Path:
    """A notebook of code cells that was never run."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), place)
    return place


class Viewer:
    """One viewer on a page."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.page = root.page

    def wait(self) -> Viewer:
        """Once it is drawn."""
        self.page.locator(".gv-root[data-drawn]").and_(self.root).wait_for(state="attached")
        return self

    def token(self, name: str) -> Any:
        answer = self.root.get_by_role("listbox", name="Tokens of the answer")
        return answer.get_by_role("option", name=name, exact=True)

    def chosen(self) -> list[str]:
        return self.root.locator('[role=option][aria-selected="true"]').all_inner_texts()

    @contextmanager
    def redrawn(self) -> Iterator[None]:
        """Wait until something that is done here has been drawn."""
        node = self.root.element_handle()
        # What was done before is drawn first.
        self.page.evaluate(TWO_FRAMES)
        before = int(node.get_attribute("data-seq"))
        yield
        self.page.wait_for_function("([node, before]) => +node.dataset.seq > before", arg=[node, before])

    def shows(self, drawn: str) -> None:
        """Wait until it has drawn this method, these tokens, this layer and this head."""
        node = self.root.element_handle()
        self.page.wait_for_function("([node, drawn]) => node.dataset.drawn === drawn", arg=[node, drawn])

    def pixels(self) -> np.ndarray:
        """Of the first pane, float (rows, cols, 3) in 0 to 255."""
        url = self.root.locator(".gv-frame canvas").first.evaluate("node => node.toDataURL('image/png')")
        with Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) as image:
            return np.asarray(image.convert("RGB"), dtype=np.float64)

    def away(self) -> None:
        """Point at nothing."""
        self.page.mouse.move(2, 2)


class Notebook:
    """A notebook that is open in JupyterLab."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.context?.isReady")
        page.evaluate(f"() => {{ {PANEL} = window.jupyterapp.shell.currentWidget; }}")

    @property
    def live(self) -> Viewer:
        """The viewer of `view()`."""
        return Viewer(self.page.locator(LIVE).first)

    @property
    def kept(self) -> Viewer:
        """The viewer of an explanation itself."""
        return Viewer(self.page.locator(STILL).first)

    def run(self) -> None:
        """Run every cell to its end."""
        self.page.wait_for_function(f"() => {PANEL}.sessionContext.session?.kernel?.status === 'idle'")
        self.page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        self.page.wait_for_function(
            f"() => [...{PANEL}.content.model.cells].every(cell => cell.executionCount)"
        )

    def python(self, code: str) -> str:
        """What the notebook's kernel prints."""
        return self.page.evaluate(ASK, code)

    def value(self, expression: str) -> Any:
        return json.loads(self.python(f"import json; print(json.dumps({expression}))"))

    def becomes(self, expression: str, expected: Any) -> None:
        """Wait until Python knows; the browser tells it a moment after the last change."""
        until = time.monotonic() + 20
        while (found := self.value(expression)) != expected and time.monotonic() < until:
            self.page.wait_for_timeout(50)
        assert found == expected

    def cells(self) -> list[str]:
        """The source of each cell."""
        return self.page.evaluate(f"[...{PANEL}.content.model.cells].map(cell => cell.sharedModel.source)")

    def save(self) -> None:
        self.page.evaluate("jupyterapp.commands.execute('docmanager:save')")
        self.page.wait_for_function(f"() => !{PANEL}.context.model.dirty")

    def shut_down(self) -> None:
        self.page.evaluate(f"{PANEL}.sessionContext.shutdown()")
