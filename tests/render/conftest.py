"""One Chromium for each file that looks at pages."""

import pytest

from benchmarks.browser import chromium


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running
