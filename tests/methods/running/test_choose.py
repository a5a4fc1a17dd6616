"""From the names of methods to all their options."""

import pytest

from groundviz.errors import OptionError, UnknownName
from groundviz.methods.running.choose import choose


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rise": {"masks": "a"}}, "rise cannot take masks='a': it is of type str, expected int"),
        ({"rise": {"masks": 64.5}}, "expected int"),
        ({"rise": {"masks": True}}, "it is of type bool"),
        ({"rise": {"keep": [0.5]}}, "expected float"),
        ({"smooth_grad": {"samples": None}}, "expected int"),
    ],
)
def test_a_value_of_another_kind_is_refused(given, says):
    with pytest.raises(OptionError, match=says):
        choose(given)


def test_whole_numbers_are_numbers():
    assert choose({"rise": {"keep": 1}})["rise"]["keep"] == 1


def test_an_option_that_is_not_there_is_refused():
    with pytest.raises(UnknownName, match="rise has no option 'mask'"):
        choose({"rise": {"mask": 3}})
