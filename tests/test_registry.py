"""Names resolve to what was registered; a wrong name is answered with the right one."""

from importlib.metadata import EntryPoint

import pytest

from groundviz import registry
from groundviz.errors import UnknownName
from groundviz.registry import Registry


@pytest.fixture
def animals() -> Registry[str]:
    found = Registry[str]("animal", "groundviz.test_animals")
    found.add("cat", "meow")
    found.add("dog", "woof")
    return found


def test_names_come_sorted_and_entries_by_name(animals):
    assert list(animals) == ["cat", "dog"]
    assert animals["dog"] == "woof"


def test_a_near_miss_is_answered_with_the_closest_name(animals):
    with pytest.raises(UnknownName, match=r"no animal called 'dgo'\. Did you mean 'dog'\? Known: cat, dog\."):
        animals["dgo"]


def test_a_far_miss_is_answered_with_the_list_alone(animals):
    with pytest.raises(UnknownName, match="Known: cat, dog") as caught:
        animals["zebra"]
    assert "Did you mean" not in str(caught.value)


def test_a_name_is_given_once(animals):
    with pytest.raises(ValueError, match="'cat' is already registered"):
        animals.add("cat", "purr")
    assert animals["cat"] == "meow"


def test_register_decorates_and_returns_the_object(animals):
    @animals.register("cow")
    def cow():
        return "moo"

    assert animals["cow"] is cow


def test_resolve_keeps_the_order_asked_for_and_takes_one_name(animals):
    assert list(animals.resolve(["dog", "cat"])) == ["dog", "cat"]
    assert animals.resolve("cat") == {"cat": "meow"}
    with pytest.raises(UnknownName):
        animals.resolve(["cat", "unicorn"])


def test_other_packages_add_entries_but_never_replace_ours(animals, monkeypatch):
    points = [
        EntryPoint("owl", "os.path:sep", animals.group),
        EntryPoint("cat", "os.path:pardir", animals.group),
    ]
    asked = []
    monkeypatch.setattr(registry, "entry_points", lambda group: asked.append(group) or points)
    assert animals["owl"] == "/"
    assert animals["cat"] == "meow"
    assert list(animals) == ["cat", "dog", "owl"]
    assert asked == [animals.group]
