"""What a method's registration may state."""

from __future__ import annotations

import pytest

from groundviz.methods.toolkit.facts import NOT_STATED, Facts


def test_a_registration_may_leave_facts_out() -> None:
    assert Facts(unit="nats").source == NOT_STATED


@pytest.mark.parametrize("wrong", [{"unit": None}, {"cost": 3}, {"gradients": "no"}, {"random": 1}])
def test_a_fact_of_another_kind_is_refused(wrong: dict[str, object]) -> None:
    [name] = wrong
    with pytest.raises(TypeError, match=f"states {name}="):
        Facts(**wrong)  # type: ignore[arg-type]
