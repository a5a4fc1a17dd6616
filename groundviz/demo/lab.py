"""What `groundviz lab` starts: JupyterLab on the reader's own copy of the quickstart notebook."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from groundviz import files
from groundviz.errors import MissingExtra

NOTEBOOK = "quickstart.ipynb"


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
    return path if path.is_file() else files.write(path, shipped.read_bytes())
