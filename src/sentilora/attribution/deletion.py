"""Is an attribution borne out? The words that it names most are taken out of the text.

Where they carry the label, its probability must fall, and further than when as many other words
are taken out at random (comprehensiveness: DeYoung et al. 2020, "ERASER"). This fails where an
attribution names words that the model doesn't go by. Occlusion has taken out one word already when
it named it, so that a text from which one word alone is taken out can't speak against it; such
texts are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sentilora.attribution.asking import ask
from sentilora.attribution.reading import read_by
from sentilora.attribution.result import Attribution
from sentilora.errors import UserError
from sentilora.evaluation.paired import Difference, mean_difference

if TYPE_CHECKING:
    from sentilora.classifier import Classifier

SHARE = 0.2  # of a text's words are taken out, one at least
DRAWS = 5  # of random words, whose mean is taken


@dataclass(frozen=True)
class Deletion:
    """What became of the label's probability when words were taken out of one text.

    named
        The words taken out, those that speak most for the label first.
    probability
        The label's, of the whole text.
    without_named, without_others
        Without the words named; and without as many others, the mean over `DRAWS` draws.
    """

    named: tuple[int, ...]
    probability: float
    without_named: float
    without_others: float

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "named": list(self.named)}


@dataclass(frozen=True)
class DeletionCheck:
    """How far the label's probability falls, on the average over texts.

    rows, skipped
        Texts that words were taken out of, and texts of too few words for that.
    single_words
        From how many of the texts one word alone was taken out.
    named, others
        The mean fall without the words named, and without as many others.
    difference
        The first less the second, text by text, with its 95 % bootstrap interval.
    """

    rows: int
    skipped: int
    single_words: int
    named: float
    others: float
    difference: Difference

    @property
    def passed(self) -> bool:
        """Whether the words named tell more than others, chance put aside."""
        return self.difference.low > 0

    @classmethod
    def of(cls, deletions: Sequence[Deletion | None]) -> DeletionCheck:
        """The check over texts; None stands for one of too few words.

        Raises `UserError` where all are such.
        """
        there = [deletion for deletion in deletions if deletion is not None]
        if not there:
            raise UserError(
                "No text has words enough for a check by deletion; it takes two. Give longer texts."
            )
        named = [deletion.probability - deletion.without_named for deletion in there]
        others = [deletion.probability - deletion.without_others for deletion in there]
        return cls(
            rows=len(there),
            skipped=len(deletions) - len(there),
            single_words=sum(len(deletion.named) == 1 for deletion in there),
            named=float(np.mean(named)),
            others=float(np.mean(others)),
            difference=mean_difference(named, others),
        )

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


def deleted(
    classifier: Classifier, attribution: Attribution, generator: np.random.Generator
) -> Deletion | None:
    """Takes words out of a text, the named ones and others drawn with `generator`.

    None where the model reads fewer than two words of the text, so that there are no others.
    """
    ranked = [word for word, _ in attribution.ranked()]
    count = max(1, round(SHARE * len(ranked)))
    named, others = ranked[:count], ranked[count:]
    if not others:
        return None
    reading = read_by(classifier.scorer.encoder, attribution.text)
    draws = [generator.choice(others, size=count, replace=False) for _ in range(DRAWS)]
    scores = ask(classifier, [reading.shown, reading.without(named), *map(reading.without, draws)])
    label = classifier.task.labels.index(attribution.label)
    whole, without_named, *without_others = scores.probabilities[:, label].tolist()
    return Deletion(tuple(named), whole, without_named, float(np.mean(without_others)))
