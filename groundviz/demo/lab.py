"""What `groundviz lab` starts: JupyterLab on the reader's own copy of the quickstart notebook."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from groundviz.errors import MissingExtra
from groundviz.record import files

NOTEBOOK = "quickstart.ipynb"
ALLOW_ROOT = "--allow-root"
ROOT_SAYS = "JupyterLab runs as root: whoever reaches its address and token can do anything on this machine"


def server() -> Any:
    """JupyterLab's application, whose `launch_instance` takes what `jupyter lab` takes.

    Raises:
        MissingExtra: JupyterLab is not installed.
    """
    try:
        from jupyterlab.labapp import LabApp
    except ImportError:
        raise MissingExtra(
            "JupyterLab could not be started: it is not installed. "
            "Install it: pip install 'groundviz[jupyter]'."
        ) from None
    return LabApp


def arguments(notebook: Path, given: Sequence[str]) -> list[str]:
    """What JupyterLab is started with, so that its window, and the address it prints, show the notebook.

    Args:
        notebook: The reader's quickstart.
        given: What the reader typed for JupyterLab; it comes last, and so wins.
    """
    own = [str(notebook), f"--LabApp.default_url=/lab/tree/{notebook.name}"]
    # JupyterLab refuses to run as root without this option, and containers often run as root.
    if _is_root() and ALLOW_ROOT not in given:
        own.append(ALLOW_ROOT)
    return [*own, *given]


def quickstart(folder: Path) -> Path:
    """The quickstart in `folder`: copied there, or the copy that is there already, with all changes.

    Raises:
        StoreError: It cannot be written there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     quickstart(Path(name)).name
    'quickstart.ipynb'
    """
    path = folder / NOTEBOOK
    shipped = resources.files("groundviz.demo") / NOTEBOOK
    if path.is_file():
        return path
    return files.write(path, shipped.read_bytes(), overwrite=False)


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
