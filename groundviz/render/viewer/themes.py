"""How each host of outputs tells that its theme is light or dark, whatever the system prefers."""

from __future__ import annotations

import re

# JupyterLab, VS Code with its themes of high contrast, and Colab.
THEMES = {
    "light": (
        'body[data-jp-theme-light="true"]',
        "body.vscode-light",
        "body.vscode-high-contrast-light",
        'html[theme="light"]',
    ),
    "dark": (
        'body[data-jp-theme-light="false"]',
        "body.vscode-dark",
        "body.vscode-high-contrast:not(.vscode-high-contrast-light)",
        'html[theme="dark"]',
    ),
}


def themed(style: str) -> str:
    """A style sheet whose rules `:theme(dark) .part {` hold in every host of that theme.

    >>> print(themed(":theme(light) .part { color: black; }"))
    body[data-jp-theme-light="true"] .part,
    body.vscode-light .part,
    body.vscode-high-contrast-light .part,
    html[theme="light"] .part { color: black; }
    """

    def selectors(rule: re.Match[str]) -> str:
        return ",\n".join(f"{host} {rule[2]}" for host in THEMES[rule[1]])

    return re.sub(r":theme\((light|dark)\) (\S+)", selectors, style)
