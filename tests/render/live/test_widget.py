"""The live viewer holds what is chosen, sends heads when asked, and leaves a snapshot behind."""

import base64
import re
import zlib

import numpy as np
import pytest

from groundviz.explanation import Explanation
from groundviz.render.viewer import assets, pack
from tests.support import records

pytest.importorskip("anywidget", reason="not installed: anywidget")

RECORD = records.record(48, 48, cells=4)


def test_it_starts_with_the_first_method_and_what_is_asked_for():
    live = Explanation(RECORD).view(layer=1, selected=[2, 3])
    assert (live.method, live.layer, live.selected) == ("attention", 1, [2, 3])
    assert live._pack == pack.pack(RECORD)
    assert live._esm == assets.module()


def test_every_state_of_the_viewer_is_a_trait_with_the_same_start():
    live = Explanation(RECORD).view()
    block = re.search(r"const STATE=\{(.*?)\};", assets.module(), re.DOTALL)[1]
    starts = dict(re.findall(r"(\w+):(\[[^\]]*\]|[^,\s]+)", block))
    values = {"true": True, "false": False}
    assert len(starts) > 20
    for name, start in starts.items():
        told = values.get(start, start)
        if name != "method":
            assert getattr(live, name) == (told if isinstance(told, bool) else eval(told))  # noqa: S307
    kept = {name for name in live.trait_names(sync=True) if not name.startswith("_")}
    assert kept - set(starts) <= {"layout", "tooltip", "tabbable"}


def test_it_refuses_what_the_viewer_does_not_know():
    with pytest.raises(Exception, match="norm"):
        Explanation(RECORD).view(norm="best")


def test_heads_of_one_layer_are_sent_when_asked_for(monkeypatch):
    live = Explanation(RECORD).view()
    sent = []
    monkeypatch.setattr(live, "send", lambda content, buffers: sent.append((content, buffers)))
    live._handle_custom_msg({"need": "heads", "map": 1, "layer": 1}, [])
    live._handle_custom_msg({"something": "else"}, [])
    [(content, [blob])] = sent
    assert content == {"heads": 1, "layer": 1}
    assert len(zlib.decompress(blob)) == 7 * 2 * (16 + 16)


def test_a_notebook_gets_the_widget_and_a_snapshot_that_knows_it(monkeypatch):
    from groundviz.render.live import widget

    shown = []
    monkeypatch.setattr(widget, "display", lambda bundle, raw: shown.append(bundle))
    live = Explanation(RECORD).view()
    live._ipython_display_()
    first, second = shown
    assert "application/vnd.jupyter.widget-view+json" in first
    assert set(second) == {"text/html", "text/plain"}
    assert first["text/plain"] == second["text/plain"] == ""
    assert f'data-gv="{live._live}"' in second["text/html"]
    payload = re.search(r"data-gv-pack>([^<]*)<", second["text/html"])[1]
    assert base64.b64decode(payload) == live._pack


def test_two_viewers_of_one_explanation_are_told_apart():
    one, other = Explanation(RECORD).view(), Explanation(RECORD).view()
    assert one._live != other._live
    one.layer = 1
    assert (one.layer, other.layer) == (1, -1)
    assert np.isclose(one.opacity, 0.85)
