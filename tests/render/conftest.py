"""One Chromium for each file that looks at pages."""

import pytest

from benchmarks.browser import launched


@pytest.fixture(scope="module")
def browser():
    with launched() as running:
        yield running
