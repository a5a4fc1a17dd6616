"""What is known of an attribution method, as data: stated once, at its registration."""

from __future__ import annotations

from dataclasses import dataclass, fields

NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a method's registration states. Tables, the live viewer, refusals and `check_method` read it here.

    A method of another package may state nothing: then it is taken to explain contrasts, but no words
    of the question.

    Attributes:
        shows: What its maps show, in a sentence.
        unit: What a value of its maps counts, word for word as it stands beside them.
        cost: Its passes through the model, forward and backward.
        source: Where it was published.
        known_failure: When it is not to be believed, in one or more sentences.
        caution: The part of the known failure that must stand beside every map; a sentence, or empty.
        contrasts: Whether it explains why the model preferred one text to another.
        question: Whether it measures words of the question, too.
        gradients: Whether the model must be differentiated.
        any_model: Whether it runs on a model whose modules nobody described.
        random: Whether it draws at random.
        shares: Whether each of its maps adds up to 1, so that a model that hardly minds has no weaker map.
        either_way: Whether its maps leave open if a place speaks for the answer or against it.
        pass_per_target: Whether each target costs forward passes of its own.

    Raises:
        TypeError: A sentence is no text, or a yes-or-no is neither.

    >>> Facts(unit="nats").cost
    'not stated'
    """

    shows: str = NOT_STATED
    unit: str = NOT_STATED
    cost: str = NOT_STATED
    source: str = NOT_STATED
    known_failure: str = NOT_STATED
    caution: str = ""
    contrasts: bool = True
    question: bool = False
    gradients: bool = False
    any_model: bool = False
    random: bool = False
    shares: bool = False
    either_way: bool = False
    pass_per_target: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            stated, expected = getattr(self, field.name), type(field.default)
            if type(stated) is not expected:
                raise TypeError(
                    f"A method's registration states {field.name}={stated!r}: expected a {expected.__name__}."
                )

    @property
    def fails(self) -> str:
        """All that is known against it."""
        return f"{self.caution} {self.known_failure}".strip()
