"""Servers of notebooks, each with settings, kernels and secrets of its own, for this machine alone."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUIET = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
}


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server listens, what it asks for, and the folder it shows."""

    address: str
    token: str
    folder: Path

    def url(self, path: str) -> str:
        return f"{self.address}/{path}?token={self.token}"


@contextmanager
def jupyterlab(home: Path) -> Iterator[Server]:
    for name, chosen in QUIET.items():
        place = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(chosen))
    options = (
        "--ServerApp.port={port} --ServerApp.port_retries=0 --ServerApp.root_dir={folder} --no-browser "
        "--ip=127.0.0.1 --allow-root --LabApp.expose_app_in_browser=True --LabApp.extension_manager=readonly"
    )
    with _running("jupyterlab", options.split(), home, ready="api/status") as server:
        yield server


@contextmanager
def voila(home: Path) -> Iterator[Server]:
    options = "{folder} --port={port} --Voila.port_retries=0 --no-browser --Voila.ip=127.0.0.1"
    with _running("voila", options.split(), home, ready="") as server:
        yield server


@contextmanager
def _running(module: str, options: Sequence[str], home: Path, *, ready: str) -> Iterator[Server]:
    folder = home / "notebooks"
    folder.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}", secrets.token_hex(8), folder)
    with (home / "log").open("w") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", module, *(one.format(port=port, folder=folder) for one in options)],
            env={**os.environ, **_places(home), "JUPYTER_TOKEN": server.token, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(running, server.url(ready), home / "log")
        yield server
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(60)


def _places(home: Path) -> dict[str, str]:
    """Nothing of the user's own Jupyter is read or written."""
    names = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    return {name: str(home / place) for name, place in names.items()}


def _wait(running: subprocess.Popen[bytes], address: str, log: Path) -> None:
    for _ in range(240):
        try:
            with urllib.request.urlopen(address):  # noqa: S310
                return
        except urllib.error.URLError:
            if running.poll() is not None:
                break
            time.sleep(0.25)
    raise RuntimeError(f"The server did not start:\n{log.read_text()[-3000:]}")
