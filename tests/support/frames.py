"""Frames of notebooks that keep outputs apart from themselves, as VS Code and Colab do, in the smallest form.

Each has an address of its own, rules for what may run, a way to show an output, and a height that follows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

NOTEBOOK, FRAME = "https://notebook.test/", "https://output.test/"
SCREEN = {"width": 1180, "height": 875}
# What a host shows of an output: the first of these kinds that it has.
ORDER = ("text/html", "image/png", "text/plain")
_NOTEBOOK = """<!DOCTYPE html><title>Notebook</title>
<style>body { margin: 0 } iframe { display: block; border: 0; width: 100%; height: 150px }</style>
<p>A cell</p><iframe title="Outputs" sandbox="SANDBOX" src="FRAME"></iframe>
<script>
  const frame = document.querySelector("iframe");
  window.keys = [];
  window.heights = [];
  addEventListener("message", ({ data }) => {
    if (data.key) keys.push(data.key);
    if (!data.height) return;
    heights.push(data.height);
    frame.style.height = `${GROWN}px`;
  });
</script>"""
_OUTPUTS = """<!DOCTYPE html><html THEME><meta charset="utf-8">RULES<title>Outputs</title>
<style>STYLE</style><body class="CLASS"><div id="outputs"></div>
<script>
  const place = document.getElementById("outputs"), notebook = parent;
  OPENING
  // Scripts that come with HTML do not run: each is made anew, runs, and is gone.
  window.show = (html) => {
    const output = Object.assign(document.createElement("div"), { className: "output", tabIndex: 0 });
    const inner = document.createElement("div");
    inner.innerHTML = html;
    output.append(inner);
    place.append(output);
    for (const old of [...inner.querySelectorAll("script")]) {
      const script = document.createElement("script");
      script.text = old.innerText;
      if (old.type) script.type = old.type;
      AGAIN
    }
  };
  new ResizeObserver(() => notebook.postMessage({ height: place.scrollHeight }, "*")).observe(place);
  addEventListener("keydown", ({ key }) => notebook.postMessage({ key }, "*"));
</script>"""


@dataclass(frozen=True, slots=True)
class Host:
    """What tells one host's frame from another's.

    Attributes:
        name: What to call it.
        sandbox: What its frame may do.
        rules: Its content security policy.
        style: Rules of its own for what stands in the frame.
        light: Attributes of the root and classes of the body while its theme is light.
        dark: The same while it is dark.
        grown: Pixels that the frame takes where its content takes `data.height`.
        again: What it does with a script that was made anew.
        opening: What it does to a frame before it shows anything.
        trusted: Kinds of output that it shows where nothing is trusted.
    """

    name: str
    sandbox: str
    rules: str
    style: str
    light: tuple[str, str]
    dark: tuple[str, str]
    grown: str
    again: str
    opening: str = ""
    trusted: Sequence[str] = ORDER[1:]


# The frame is as high as the notebook and ten thousand pixels more, and takes itself for the whole page.
VSCODE = Host(
    name="VS Code",
    sandbox="allow-same-origin allow-pointer-lock allow-scripts allow-downloads allow-forms",
    rules=(
        "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' https: http: data:; font-src 'self' https:; "
        "connect-src https:; child-src https: data:"
    ),
    style="""
      body { margin: 0; overflow: hidden; font: 13px sans-serif; height: 100%; }
      body.vscode-dark { background: #1f1f1f; color: #ccc; }
      img, video { max-width: 100%; max-height: 100%; }
      #outputs { position: absolute; width: 100%; top: 0; }
      .output { box-sizing: border-box; padding: 4px 8px 4px 0; margin-left: 44px; width: calc(100% - 44px); }
      .output > div { overflow-x: auto; box-sizing: border-box; border: 1px solid transparent; }
      table, thead, tr, th, td, tbody { border: none !important; border-spacing: 0; }
      table { border-collapse: collapse; }
      table, th, tr { vertical-align: middle; text-align: right; }
      th, td { padding: 4px 8px; }
      tr:nth-child(even) { background: rgba(130, 130, 130, .08); }
    """,
    light=("", "vscode-light"),
    dark=("", "vscode-dark"),
    grown="data.height + 10000",
    again="inner.appendChild(script).remove();",
    opening="window.parent = window; window.top = window; window.frameElement = null;",
)
# The frame is as high as its content, up to a thousand pixels.
COLAB = Host(
    name="Colab",
    sandbox="allow-same-origin allow-scripts allow-downloads allow-forms allow-popups allow-modals",
    rules="",
    style="""
      body { margin: 0; font: 14px Roboto, sans-serif; }
      html[theme="dark"] body { background: #383838; color: #d5d5d5; }
      .output { padding: 4px 0; }
    """,
    light=("", ""),
    dark=('theme="dark"', ""),
    grown="Math.min(data.height, 1000)",
    again="old.replaceWith(script);",
)
HOSTS = {one.name: one for one in (VSCODE, COLAB)}


@contextmanager
def framed(browser: Any, host: Host, *, dark: bool = False, **options: Any) -> Iterator[Any]:
    """The frame of a notebook without outputs, in a page that reaches nothing else and raises nothing.

    Args:
        browser: Where it opens.
        host: Whose frame it is.
        dark: Whether the host's theme is dark.
        options: Those of a browser context.
    """
    context = browser.new_context(**{"viewport": SCREEN, **options})
    pages = {NOTEBOOK: _notebook(host), FRAME: _outputs(host, dark)}
    asked: list[str] = []
    raised: list[str] = []

    def answer(route: Any) -> None:
        address = route.request.url
        if address in pages:
            return route.fulfill(body=pages[address], content_type="text/html")
        asked.append(address)
        return route.abort()

    context.route("**/*", answer)
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: raised.append(str(error)))
    # A browser tells of a full screen that was refused, which is to be expected.
    page.on(
        "console",
        lambda line: (
            raised.append(line.text)
            if line.type == "error" and "fullscreen" not in line.text.lower()
            else None
        ),
    )
    page.goto(NOTEBOOK)
    yield next(one for one in page.frames if one.url == FRAME)
    assert [one for one in asked if one not in pages and not one.startswith(("data:", f"blob:{FRAME}"))] == []
    assert raised == []
    context.close()


def _notebook(host: Host) -> str:
    return _NOTEBOOK.replace("SANDBOX", host.sandbox).replace("FRAME", FRAME).replace("GROWN", host.grown)


def _outputs(host: Host, dark: bool) -> str:
    root, body = host.dark if dark else host.light
    rules = f'<meta http-equiv="Content-Security-Policy" content="{host.rules}">' if host.rules else ""
    made = _OUTPUTS
    for name, text in {
        "THEME": root,
        "RULES": rules,
        "STYLE": host.style,
        "CLASS": body,
        "OPENING": host.opening,
        "AGAIN": host.again,
    }.items():
        made = made.replace(name, text)
    return made


def put(frame: Any, output: Mapping[str, str], *, kinds: Sequence[str] = ORDER) -> str:
    """Show an output as its host does, in the first of the kinds that it has; which one that is."""
    kind = next(one for one in kinds if one in output)
    shown = {
        "text/html": lambda text: text,
        "image/png": lambda text: f'<img alt="" src="data:image/png;base64,{text.strip()}">',
        "text/plain": lambda text: f"<pre>{text}</pre>",
    }[kind](output[kind])
    frame.evaluate("html => show(html)", shown)
    return kind
