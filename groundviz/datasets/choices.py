"""What several data sets have in common: options, identities of samples, samples of findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from groundviz.datasets.sample import Region, Sample, sample_id_of
from groundviz.errors import OptionError


def require_choice(option: str, value: object, known: Collection[object]) -> None:
    """Stop an option that has none of its values.

    Raises:
        OptionError: Naming the values it can have.

    >>> require_choice("language", "de", ("en", "zh"))
    Traceback (most recent call last):
    groundviz.errors.OptionError: language is 'de': expected one of 'en', 'zh'.
    """
    if value not in known:
        raise OptionError(f"{option} is {value!r}: expected one of {', '.join(map(repr, known))}.")


def several(option: str, value: object, known: Sequence[str]) -> tuple[str, ...]:
    """One or several of the values that an option can have; all of them for None.

    Raises:
        OptionError: One of them is none of these.

    >>> several("split", "test", ("train", "test")), several("split", None, ("train", "test"))
    (('test',), ('train', 'test'))
    """
    if value is None:
        return tuple(known)
    chosen = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    # The command line reads a number as one.
    chosen = [str(one) for one in chosen]
    for one in chosen:
        require_choice(option, one, known)
    return tuple(one for one in known if one in chosen)


class Identities:
    """Gives each sample of a data set its identity; rows that are alike are counted.

    >>> ids = Identities("phantoms", "1")
    >>> ids("3", question="Is there a nodule?") == ids("3", question="Is there a nodule?")
    False
    """

    def __init__(self, dataset: str, version: str) -> None:
        self._dataset, self._version = dataset, version
        self._seen: Counter[str] = Counter()

    def __call__(
        self,
        image: str,
        *,
        question: str | None = None,
        phrase: str | None = None,
        finding: str | None = None,
        language: str = "en",
    ) -> str:
        """The identity of the next sample of these."""
        of = partial(
            sample_id_of,
            self._dataset,
            self._version,
            image,
            question=question,
            phrase=phrase,
            finding=finding,
            language=language,
        )
        # Counted by what they are alike in when joined: "a|" before "b" is "a" before "|b".
        first = of()
        self._seen[first] += 1
        return of(occurrence=self._seen[first] - 1)


def of_split(samples: Iterable[Sample], splits: Collection[str] | None) -> tuple[Sample, ...]:
    """The samples of some splits; all of them for None."""
    return tuple(sample for sample in samples if splits is None or sample.split in splits)


def of_findings(
    dataset: str,
    version: str,
    marked: Mapping[tuple[str, str], Sequence[Region]],
    *,
    patient: Callable[[str], str] | None = None,
) -> tuple[Sample, ...]:
    """A sample for each image and finding, of a data set without splits and without questions.

    Args:
        dataset: Its registered name.
        version: The publisher's version of its annotations.
        marked: The regions by image and finding.
        patient: The publisher's code of the patient, from the image's name; None where there is none.
    """
    identities = Identities(dataset, version)
    samples = []
    for (image, finding), regions in marked.items():
        samples.append(
            Sample(
                sample_id=identities(image, finding=finding),
                dataset=dataset,
                version=version,
                split="",
                image=image,
                patient=patient(image) if patient else None,
                finding=finding,
                regions=tuple(regions),
            )
        )
    return tuple(samples)
