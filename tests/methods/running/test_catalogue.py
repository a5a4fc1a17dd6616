"""What methods state of themselves is read from their docstrings."""

from groundviz.methods import METHODS
from groundviz.methods.running.catalogue import documentation, explains_contrasts, lines, stated

TEXT = "Look.\n\nUnit: nats.\n    Cost: two passes. Known failure: none."


def test_a_method_that_states_nothing_is_said_to():
    assert [stated(field, TEXT) for field in ("Unit", "Cost", "Price")] == [
        "nats",
        "two passes",
        "not stated",
    ]


def test_every_method_states_what_it_costs_and_whether_it_knows_contrasts():
    texts = {name: documentation(name) for name in METHODS}
    assert all(stated("Cost", text) != "not stated" for text in texts.values())
    assert not explains_contrasts(texts["attention"])
    assert explains_contrasts(texts["occlusion"])


def test_default_methods_are_marked_in_the_list():
    marked = [line for line in lines(("attention",)) if "(default)" in line]
    assert marked == ["attention (default)"]


def test_the_list_says_where_a_method_is_known_to_fail():
    text = "\n".join(lines(()))
    assert text.count("  known failure: ") == len(list(METHODS))
    assert "known failure: on a real Gemma 3 it found a planted object in none of 3 places" in text
