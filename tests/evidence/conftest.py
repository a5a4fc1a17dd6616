"""The demo model, a chest with a nodule, and what the model says of it."""

import pytest

import groundviz
from groundviz import models
from groundviz.demo.phantoms import phantom


@pytest.fixture(scope="session")
def demo():
    return models.load("demo")


@pytest.fixture(scope="session")
def chest():
    return phantom(1_000_000_003, findings=["nodule"])


@pytest.fixture(scope="session")
def explained(demo, chest):
    return groundviz.explain(demo, chest.pixels, "Where is the nodule?", methods="gradient_attention")
