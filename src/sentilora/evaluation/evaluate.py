"""Puts an evaluation together: the tuned model, and what it has to beat, on the same rows.

A model comes in as a function from texts to `Scores`, so that this room needs no tensors and a test
needs no model; the untuned base is the same function with the adapter switched off, which asks it
under the very same prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentilora.evaluation.abstaining import (
    Kept,
    SetFigures,
    measure_sets,
    selective_accuracy,
)
from sentilora.evaluation.baselines import majority_class, tfidf_logistic_regression
from sentilora.evaluation.metrics import (
    Metrics,
    classification_metrics,
    probability_metrics,
    score_metrics,
)
from sentilora.evaluation.recalibration import Recalibration, recalibration
from sentilora.evaluation.zero_shot import (
    CONTENT_FREE,
    WITHOUT_TEXT,
    contextual_calibration,
    domain_conditional_pmi,
)

if TYPE_CHECKING:
    from sentilora.conformal import Conformal
    from sentilora.evaluation.selection import BaselineRows, Selection
    from sentilora.scoring import Scores

ScoreFunction = Callable[[Sequence[str]], "Scores"]

# The keys of `Evaluation.results`, which are those of the JSON.
TUNED = "tuned"
UNTUNED = "untuned"
CONTEXTUAL = "untuned_contextual_calibration"
PMI = "untuned_pmi"
TFIDF = "tfidf_logistic_regression"
MAJORITY = "majority_class"


@dataclass(frozen=True)
class Evaluation:
    """A tuned model and its baselines, measured on the same rows.

    calibration
        The tuned model's probabilities before and after its temperature, with the data of the
        reliability diagrams.
    label_sets
        The tuned model's label sets of 90 % coverage; None where it holds no conformal scores.
    selective_accuracy
        What abstaining below a probability keeps, for a few thresholds from the lowest.
    """

    data: str  # the data set's name
    split: str
    rows: int
    left_out: int  # rows that were trained or validated on, so not measured
    baseline_rows: int  # rows that the majority class and TF-IDF learned from
    notes: tuple[str, ...]
    # TUNED, UNTUNED, the untuned base's CONTEXTUAL and PMI, and where there are rows for them the
    # other baselines
    results: dict[str, Metrics]
    calibration: Recalibration
    label_sets: SetFigures | None = None
    selective_accuracy: tuple[Kept, ...] = ()
    texts_cut: int = 0  # rows too long to be read in whole

    @property
    def tuned(self) -> Metrics:
        """The figures that all this is about."""
        return self.results[TUNED]

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it: dicts, lists, numbers, strings and None."""
        return {
            "data": self.data,
            "split": self.split,
            "rows": self.rows,
            "left_out": self.left_out,
            "texts_cut": self.texts_cut,
            "baseline_rows": self.baseline_rows,
            "labels": list(self.tuned.labels),
            "notes": list(self.notes),
            "results": {name: metrics.to_dict() for name, metrics in self.results.items()},
            "calibration": self.calibration.to_dict(),
            "label_sets": self.label_sets and self.label_sets.to_dict(),
            "selective_accuracy": [kept.to_dict() for kept in self.selective_accuracy],
        }


def compare(
    *,
    tuned: ScoreFunction,
    untuned: ScoreFunction,
    data: str,
    labels: Sequence[str],
    selection: Selection,
    baselines: BaselineRows,
    content_free: Scores | None = None,
    conformal: Conformal | None = None,
) -> Evaluation:
    """Measures the tuned model, the untuned base and both baselines on the selected rows.

    Parameters
    ----------
    tuned, untuned
        From texts to `Scores`, under the same prompt.
    data, labels
        The data set's name; the task's labels in the order of their class ids.
    selection, baselines
        From `select_rows` and `baseline_rows`.
    content_free
        The untuned base's scores of the texts in `CONTENT_FREE`; None leaves out the two ways of
        asking it that need them.
    conformal
        The scores that the tuned model's label sets are made from.
    """
    examples = selection.examples
    texts = [example.text for example in examples]
    true = [example.label for example in examples]
    scores = tuned(texts)
    results = {
        TUNED: score_metrics(scores, true, labels),
        **_untuned(untuned(texts), content_free, true, labels),
    }
    notes = [selection.note] if selection.note else []
    notes.append(baselines.note)
    if len({example.label for example in baselines.train}) > 1:
        predicted = tfidf_logistic_regression(baselines.train, baselines.validation, texts)
        results[TFIDF] = classification_metrics(true, predicted, labels)
    elif baselines.train:
        notes.append("No TF-IDF beside them: the rows to train it on have one label only.")
    if baselines.train:
        predicted = majority_class(baselines.train, texts)
        results[MAJORITY] = classification_metrics(true, predicted, labels)
    return Evaluation(
        data=data,
        split=selection.split,
        rows=len(examples),
        left_out=selection.left_out,
        baseline_rows=len(baselines.train),
        notes=tuple(notes),
        results=results,
        calibration=recalibration(scores, true),
        label_sets=(
            None if conformal is None else measure_sets(conformal, scores.probabilities, true)
        ),
        selective_accuracy=selective_accuracy(scores.probabilities, scores.predicted, true),
        texts_cut=scores.texts_cut,
    )


def _untuned(
    scores: Scores, content_free: Scores | None, true: Sequence[int], labels: Sequence[str]
) -> dict[str, Metrics]:
    """The untuned base's figures: as it is, and asked in the ways of `zero_shot`."""
    results = {UNTUNED: score_metrics(scores, true, labels)}
    if content_free is None:
        return results
    without_text = content_free.log_probs[CONTENT_FREE.index(WITHOUT_TEXT)]
    fairer = {
        CONTEXTUAL: contextual_calibration(scores.probabilities, content_free.probabilities),
        PMI: domain_conditional_pmi(scores.log_probs, without_text),
    }
    return results | {
        name: probability_metrics(found, found.argmax(axis=1), true, labels)
        for name, found in fairer.items()
    }
