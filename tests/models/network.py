"""A machine without a network, and a list of what was asked of it all the same."""

import socket

import pytest


@pytest.fixture
def no_network(monkeypatch):
    asked = []

    def refuse(*given, **options):
        asked.append(given[:1])
        raise OSError("no network")

    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    return asked
