"""What an audit finds: `AuditResult`, and how it follows from the probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from sentilora.audit.confident import confident_joint, likely_errors, normalised_margins
from sentilora.audit.duplicates import DuplicateGroup, NearDuplicates
from sentilora.data import DataSet, Example


@dataclass(frozen=True)
class Noise:
    """Rows that are given one label and are likely of another."""

    given: str
    likely: str
    counted: int  # rows that the rule counts so, which are the suspicious ones
    estimated: float  # the calibrated count: what they come to among all rows given the label
    share: float  # of all rows given the label


@dataclass(frozen=True)
class Suspect:
    """A row whose label is likely wrong; probabilities are of a model that never saw it."""

    index: int  # among all rows of the audit
    given: str
    suggested: str
    p_given: float
    p_suggested: float
    margin: float  # p_given less the largest of the others


@dataclass(frozen=True)
class Leak:
    """Rows of an evaluation split that are near-duplicates of rows in another."""

    split: str
    of: str
    rows: int
    share: float  # of the split's rows


@dataclass(frozen=True)
class AuditResult:
    """An audit of N rows with K labels.

    method
        What the probabilities are from, in words.
    agreement
        The share of rows whose likeliest label is the given one.
    thresholds
        By label how sure the model is of it, on average, where it is given.
    noise, suspects
        By pairs of labels and row by row, the largest and the most suspicious first.
    probabilities, fold_of
        [N, K] and [N], in the order of `examples`.
    """

    data: str
    labels: tuple[str, ...]
    method: str
    folds: int
    agreement: float
    thresholds: dict[str, float]
    noise: tuple[Noise, ...]
    suspects: tuple[Suspect, ...]
    wanted_similarity: float
    near: NearDuplicates
    leaks: tuple[Leak, ...]
    examples: tuple[Example, ...]
    probabilities: npt.NDArray[np.float64]
    fold_of: npt.NDArray[np.int64]

    @property
    def estimated_errors(self) -> float:
        """How many rows have a wrong label, by the calibrated counts."""
        return sum(noise.estimated for noise in self.noise)

    def labels_differ(self, group: DuplicateGroup) -> bool:
        return len({self.examples[row].label for row in group.rows}) > 1

    def crosses_splits(self, group: DuplicateGroup) -> bool:
        return len({self.examples[row].split for row in group.rows}) > 1

    def to_dict(self) -> dict[str, Any]:
        """All but the single rows' probabilities, as JSON has it."""
        return {
            "data": self.data,
            "rows": len(self.examples),
            "labels": list(self.labels),
            "method": self.method,
            "folds": self.folds,
            "agreement": self.agreement,
            "thresholds": self.thresholds,
            "estimated_errors": self.estimated_errors,
            "noise": [asdict(noise) for noise in self.noise],
            "suspects": [
                {**self._row(one.index), **asdict(one)} | {"index": one.index}
                for one in self.suspects
            ],
            "near_duplicates": {
                "similarity": self.wanted_similarity,
                "groups": [
                    {
                        "similarity": group.similarity,
                        "labels_differ": self.labels_differ(group),
                        "crosses_splits": self.crosses_splits(group),
                        "rows": [
                            {**self._row(row), "label": self.labels[self.examples[row].label]}
                            for row in group.rows
                        ],
                    }
                    for group in self.near.groups
                ],
                "leaks": [asdict(leak) for leak in self.leaks],
            },
        }

    def _row(self, index: int) -> dict[str, Any]:
        example = self.examples[index]
        return {"split": example.split, "row": example.row, "text": example.text}


def audited(
    dataset: DataSet,
    fold_of: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float64],
    method: str,
    near: NearDuplicates,
    wanted_similarity: float,
) -> AuditResult:
    """What follows from held-out `probabilities` [N, K] of all rows of `dataset`, in its order."""
    examples, labels = dataset.all_rows(), dataset.labels
    gold = [row.label for row in examples]
    confident = confident_joint(probabilities, gold)
    margins = normalised_margins(probabilities, gold)
    suspects = tuple(
        Suspect(
            index=int(row),
            given=labels[gold[row]],
            suggested=labels[confident.counted_as[row]],
            p_given=float(probabilities[row, gold[row]]),
            p_suggested=float(probabilities[row, confident.counted_as[row]]),
            margin=float(margins[row]),
        )
        for row in likely_errors(confident, margins, gold)
    )
    return AuditResult(
        data=dataset.name,
        labels=labels,
        method=method,
        folds=int(fold_of.max()) + 1,
        agreement=float(np.mean(probabilities.argmax(axis=1) == gold)),
        thresholds=dict(zip(labels, confident.thresholds.tolist(), strict=True)),
        noise=_noise(confident.joint, confident.calibrated, labels),
        suspects=suspects,
        wanted_similarity=wanted_similarity,
        near=near,
        leaks=_leaks(near, examples, list(dataset.splits)),
        examples=examples,
        probabilities=probabilities,
        fold_of=fold_of,
    )


def _noise(
    joint: npt.NDArray[np.int64], calibrated: npt.NDArray[np.float64], labels: Sequence[str]
) -> tuple[Noise, ...]:
    found = [
        Noise(
            given,
            likely,
            counted=int(joint[i, j]),
            estimated=float(calibrated[i, j]),
            share=float(calibrated[i, j] / calibrated[i].sum()),
        )
        for i, given in enumerate(labels)
        for j, likely in enumerate(labels)
        if i != j and joint[i, j]
    ]
    return tuple(sorted(found, key=lambda noise: -noise.estimated))


def _leaks(
    near: NearDuplicates, examples: Sequence[Example], splits: Sequence[str]
) -> tuple[Leak, ...]:
    """For each two splits the rows of the later that an earlier one's group holds."""
    found = []
    for earlier, later in combinations(splits, 2):
        count = 0
        for group in near.groups:
            of = [examples[row].split for row in group.rows]
            count += of.count(later) if earlier in of else 0
        if count:
            size = sum(row.split == later for row in examples)
            found.append(Leak(later, earlier, count, count / size))
    return tuple(found)
