"""The transfer matrix: every model on every domain's test rows, as plain functions of arrays.

Where a model's labels aren't those of the domain, the labels that both have are compared: rows with
another label are left out, and the model chooses among the shared ones. So is the domain's own
model that it is held against. Rows that a model was trained on are left out for it, too, and those
that its weights and temperature were chosen by. Label sets promise something about all of a model's
labels, so they are measured where the domain has the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sentilora.conformal import Conformal
from sentilora.evaluation.abstaining import SetFigures, measure_sets
from sentilora.evaluation.calibration import calibration_error
from sentilora.evaluation.metrics import Metrics, score_metrics
from sentilora.evaluation.paired import Difference, accuracy_difference
from sentilora.scoring import Scores


@dataclass(frozen=True)
class DomainRows:
    """A domain's N test rows: class ids of `labels`, and the hashes of their texts."""

    name: str
    labels: tuple[str, ...]
    gold: tuple[int, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """What a model says of a domain's N test rows.

    labels, scores
        The model's own labels, and their scores, [N, K].
    seen
        The hashes of the rows that it was trained or validated on.
    conformal
        What its label sets are made from; None where it holds nothing of the kind.
    """

    labels: tuple[str, ...]
    scores: Scores
    seen: frozenset[str]
    conformal: Conformal | None = None


@dataclass(frozen=True)
class Cell:
    """A model on a domain.

    labels, compared
        The model's labels, and those of them that the domain has, too.
    seen, other_label
        Rows left out: those that the model was trained or validated on, and those of a label that
        it lacks.
    raw_calibration_error
        Before its temperature; `metrics.calibration_error` is after it.
    against
        Its accuracy less that of the domain's own model on the same rows and labels; None where it
        is that model itself.
    untuned
        The base's figures on the same rows and labels.
    label_sets
        Of the coverage that `evaluate` measures; None where the domain hasn't just the model's
        labels, or there are no sets.
    """

    model: str
    domain: str
    labels: tuple[str, ...]
    compared: tuple[str, ...]
    seen: int
    other_label: int
    metrics: Metrics
    raw_calibration_error: float
    against: Difference | None
    untuned: Metrics
    label_sets: SetFigures | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        gap = self.against
        return {
            "model": self.model,
            "domain": self.domain,
            "labels": list(self.labels),
            "compared": list(self.compared),
            "seen": self.seen,
            "other_label": self.other_label,
            "metrics": self.metrics.to_dict(),
            "raw_calibration_error": self.raw_calibration_error,
            "against": gap and {"difference": gap.value, "interval": [gap.low, gap.high]},
            "untuned": self.untuned.to_dict(),
            "label_sets": self.label_sets and self.label_sets.to_dict(),
        }


def transfer_cells(
    domains: Sequence[DomainRows],
    models: Mapping[str, Mapping[str, Answers]],
    untuned: Mapping[str, Answers],
) -> tuple[list[Cell], list[str]]:
    """The cells of the matrix, and what is to be said of those that can't be.

    `models` has for each model its answers by domain; the model of a domain's name is its own.
    """
    cells, notes = [], []
    for name, answers in models.items():
        for domain in domains:
            cell = _cell(name, domain, answers[domain.name], models, untuned[domain.name])
            if isinstance(cell, Cell):
                cells.append(cell)
            else:
                notes.append(cell)
    return cells, notes


def _cell(
    name: str,
    domain: DomainRows,
    answers: Answers,
    models: Mapping[str, Mapping[str, Answers]],
    untuned: Answers,
) -> Cell | str:
    """The cell, or why there is none."""
    compared = tuple(label for label in answers.labels if label in domain.labels)
    if len(compared) < 2:
        return (
            f"{name} can't be measured on {domain.name}: they have "
            f"{'one label' if compared else 'no label'} in common."
        )
    seen = np.array([key in answers.seen for key in domain.keys])
    shared = np.array([domain.labels[gold] in compared for gold in domain.gold])
    kept = np.flatnonzero(shared & ~seen)
    if not len(kept):
        return (
            f"{name} can't be measured on {domain.name}: it was trained or validated on all of "
            "its rows that have a label which it knows."
        )
    gold = [compared.index(domain.labels[domain.gold[row]]) for row in kept]
    scores = _among(answers, compared, kept)
    own = models[domain.name][domain.name] if domain.name in models else None
    against = None
    if own is not None and name != domain.name and set(compared) <= set(own.labels):
        other = _among(own, compared, kept)
        against = accuracy_difference(scores.predicted == gold, other.predicted == gold)
    return Cell(
        model=name,
        domain=domain.name,
        labels=answers.labels,
        compared=compared,
        seen=int((seen & shared).sum()),
        other_label=int((~shared).sum()),
        metrics=score_metrics(scores, gold, compared),
        raw_calibration_error=calibration_error(scores.before_temperature.probabilities, gold),
        against=against,
        untuned=score_metrics(_among(untuned, compared, kept), gold, compared),
        label_sets=(
            measure_sets(answers.conformal, scores.probabilities, gold)
            if answers.conformal is not None and set(answers.labels) == set(domain.labels)
            else None
        ),
    )


def _among(answers: Answers, compared: Sequence[str], rows: npt.NDArray[np.intp]) -> Scores:
    """The scores of some rows, for some of the labels alone."""
    columns = [answers.labels.index(label) for label in compared]
    shares = answers.scores.correction.label_shares
    correction = replace(
        answers.scores.correction, label_shares=shares and tuple(shares[k] for k in columns)
    )
    log_probs = answers.scores.log_probs[rows][:, columns]
    return Scores(log_probs, answers.scores.greedy[rows], correction)
