"""How a contrast is taken apart; the passes themselves are tested with the methods that use them."""

from groundviz.record.types import Foil, Target
from groundviz.runtime.passes.relevancy_passes import Branch, Term, branches

ANSWER = (10, 11, 12, 13)


def contrast(tokens, *foil):
    return Target(tokens=tokens, text="", foil=Foil(text="", token_ids=foil))


def test_a_target_without_a_foil_is_read_where_each_token_is_predicted():
    (branch,) = branches(Target(tokens=(1, 3), text=""), ANSWER)
    assert branch == Branch(ANSWER, (Term(1, 11, 1.0), Term(3, 13, 1.0)))


def test_a_foil_of_one_token_is_read_in_the_answers_own_pass():
    (branch,) = branches(contrast((1, 2), 20), ANSWER)
    assert branch == Branch(ANSWER, (Term(1, 11, 1.0), Term(2, 12, 1.0), Term(1, 20, -1.0)))


def test_shared_tokens_cancel_and_what_comes_after_the_parting_has_its_own_pass():
    own, other = branches(contrast((1, 2), 11, 20, 21), ANSWER)
    assert own == Branch(ANSWER, (Term(2, 12, 1.0), Term(2, 20, -1.0)))
    assert other == Branch((10, 11, 20, 21), (Term(3, 21, -1.0),))


def test_a_foil_that_goes_on_is_read_behind_the_target():
    (own,) = branches(contrast((2, 3), 12, 13, 20), ANSWER)
    assert own == Branch(ANSWER, (Term(4, 20, -1.0),))


def test_a_foil_that_stops_early_leaves_the_rest_of_the_target():
    (own,) = branches(contrast((2, 3), 12), ANSWER)
    assert own == Branch(ANSWER, (Term(3, 13, 1.0),))
    assert branches(contrast((2, 3), 12, 13), ANSWER) == []
