"""Methods that are asked for in JupyterLab: the kernel measures them in a thread, and their maps appear.

pip install ".[test,browser]" && pytest -m jupyter
"""

from __future__ import annotations

import re

import pytest

from tests.jupyter import notebook

pytestmark = pytest.mark.jupyter

CELLS = (
    "import groundviz\n"
    "from groundviz.demo.phantoms import phantom\n"
    "model = groundviz.load('demo')\n"
    "image = phantom(3, findings=['nodule']).pixels\n"
    "asked = groundviz.explain(model, image, 'Is there a nodule?', methods='attention', certify=False)",
    "live = asked.view(model)\nlive",
    "order = []\nlive.observe(lambda change: order.append(change['new'].methods[-1]), 'explanation')",
)


@pytest.fixture(scope="module")
def page(lab, opened):
    notebook.write(lab.folder / "on_demand.ipynb", *CELLS)
    with opened("on_demand.ipynb") as page:
        page.run()
        page.live.wait()
        yield page


def ask(page, method):
    page.live.root.get_by_label("Also").select_option(method)
    page.live.root.get_by_role("button", name="Measure").click()


def test_a_method_is_measured_and_its_maps_appear(page):
    status = page.live.root.locator(".gv-busy [role=status]")
    ask(page, "token_ablation")
    status.filter(has_text="of 49").wait_for()
    page.live.root.locator(".gv-pane").nth(1).wait_for()
    page.becomes("live.explanation.methods", ["attention", "token_ablation"])
    assert page.value("order") == ["token_ablation"]
    status.wait_for(state="hidden")
    ask(page, "image_attention")
    page.becomes("live.explanation.methods[-1]", "image_attention")
    page.becomes("live.compare", ["token_ablation", "image_attention"])


def test_stop_keeps_what_is_there(page):
    root = page.live.root
    ask(page, "rise")
    root.locator(".gv-busy [role=status]").filter(has_text=re.compile(r"[1-9]\d* of 1920")).wait_for()
    root.get_by_role("button", name="Stop").click()
    page.becomes("live.explanation.methods[-1]", "rise")
    done = page.value("live.explanation.record.heatmaps[-1].params['masks_done']")
    assert 16 <= done < 1920
    page.becomes("live._busy", {})


def test_the_maps_are_challenged_and_the_first_line_follows(lab, opened):
    notebook.write(lab.folder / "challenge.ipynb", *CELLS[:2])
    with opened("challenge.ipynb") as page:
        page.run()
        root = page.live.wait().root
        facts = root.locator(".gv-facts")
        facts.filter(has_text="needs the marked place: not measured").wait_for()
        root.get_by_role("button", name="Challenge the map").click()
        root.locator(".gv-busy [role=status]").filter(has_text="of 120").wait_for()
        page.becomes("live.explanation.evidence.marked_place['attention'] is not None", True)
        facts.filter(has_text=re.compile("needs the marked place: (shown|not shown|depends)$")).wait_for()
        root.get_by_role("button", name="Challenge the map").wait_for(state="hidden")
