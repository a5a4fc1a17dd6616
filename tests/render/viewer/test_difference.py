"""Panes side by side: what their difference looks like, and that their captions are whole."""

from dataclasses import replace

import numpy as np

from tests.support.browser import bare, canvas, drawn, needs_browser, page_of, shown, whole


@needs_browser
def test_a_difference_from_nothing_has_the_colours_of_the_map(browser, tmp_path):
    record = whole()
    attention, occlusion = record.heatmaps
    alone = np.zeros_like(occlusion.values)
    alone[..., 0, 0] = 1.0
    record = replace(record, heatmaps=(attention, replace(occlusion, values=alone)))
    with shown(browser, tmp_path, page_of(record)) as page:
        bare(page)
        with drawn(page):
            page.get_by_label("Beside it").select_option("occlusion")
        with drawn(page):
            page.get_by_label("Difference of the first two").check()
        one, _, difference = (canvas(page, at) for at in range(3))
        cell = one.shape[0] // 14 + 2
        assert np.abs(one - difference)[cell:].max() <= 4
        # It is not all grey.
        assert np.ptp(difference, axis=2)[cell:].max() > 60


@needs_browser
def test_no_caption_is_cut_and_images_stay_while_words_are_pointed_at(browser, tmp_path):
    size = {"width": 1100, "height": 800}
    with shown(browser, tmp_path, page_of(whole()), viewport=size) as page:
        with drawn(page):
            page.get_by_label("Beside it").select_option("occlusion")
        with drawn(page):
            page.get_by_label("Difference of the first two").check()
        tops = set()
        for word in ("nodule", "in", "nodule"):
            with drawn(page):
                page.get_by_role("option", name=word, exact=True).first.hover()
            cut = "all => all.filter(one => one.scrollHeight > one.clientHeight + 1).length"
            assert page.locator(".gv-pane figcaption, .gv-detail").evaluate_all(cut) == 0
            assert "…" not in "".join(page.locator(".gv-detail").all_inner_texts())
            tops.add(page.locator(".gv-frame").first.bounding_box()["y"])
        assert len(tops) == 1
