"""Names resolve to what was registered; a wrong name is answered with the right one."""

from importlib.metadata import EntryPoint

import pytest

import groundviz
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


def test_it_has_a_length_knows_its_names_and_is_one_line(animals):
    assert len(animals) == 2
    assert "cat" in animals
    assert "cow" not in animals
    assert 3 not in animals
    assert repr(animals) == "<2 animals: cat, dog>"
    assert repr(Registry("model family", "groundviz.none")) == "<0 model families: >"


def test_the_methods_are_a_table_of_python():
    assert "rise" in groundviz.METHODS
    assert len(groundviz.METHODS) == len(list(groundviz.METHODS)) > 20
    assert groundviz.METHODS["rise"].__name__ == "rise"
    assert repr(groundviz.METHODS).startswith(f"<{len(groundviz.METHODS)} methods: attention, ")
    assert "\n" not in repr(groundviz.METHODS)


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


def test_what_is_registered_on_import_and_by_its_entry_point_is_added_once(animals, monkeypatch):
    class Point:
        name, value, dist = "owl", "theirs:owl", None

        def load(self):
            return animals.register("owl")(self)

    point = Point()
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    assert animals["owl"] is point
    assert list(animals) == ["cat", "dog", "owl"]
    assert animals.ours_first() == ["cat", "dog", "owl"]


def test_a_broken_entry_point_is_named_in_one_warning_and_left_out(animals, monkeypatch):
    points = [EntryPoint("ant", "a_package_that_nobody_has:ant", animals.group)]
    points += [EntryPoint("bee", "os.path:sep", animals.group)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    with pytest.warns(
        RuntimeWarning, match=r"'ant' \(a_package.*left out: loading it raises Module"
    ) as warned:
        assert list(animals) == ["bee", "cat", "dog"]
    assert len(warned) == 1
    assert animals["bee"] == "/"
    assert animals.ours_first() == ["cat", "dog", "bee"]


def test_an_entry_of_another_kind_is_left_out(monkeypatch):
    found = Registry[str](
        "animal", "groundviz.test_animals", lambda entry: "" if entry == "woof" else "is mute"
    )
    points = [EntryPoint("ant", "os.path:sep", found.group)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    with pytest.warns(RuntimeWarning, match="left out: 'ant' is mute"):
        assert list(found) == []


def test_what_a_bridge_leads_to_is_in_the_registry():
    from groundviz.methods import METHODS

    assert "captum:Saliency" in METHODS
    assert "captum:DeepLift" not in METHODS
    assert "captum:nothing" not in METHODS
