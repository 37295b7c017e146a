"""Puts an evaluation together: the tuned model, and what it has to beat, on the same rows.

A model comes in as a function from texts to `Scores`, so that this room needs no tensors and a test
needs no model; the untuned base is the same function with the adapter switched off, which asks it
under the very same prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sentilora.evaluation.baselines import majority_class, tfidf_logistic_regression
from sentilora.evaluation.metrics import Metrics, classification_metrics, score_metrics

if TYPE_CHECKING:
    from sentilora.data.dataset import Example
    from sentilora.evaluation.selection import BaselineRows, Selection
    from sentilora.scoring import Scores

ScoreFunction = Callable[[Sequence[str]], "Scores"]

# The keys of `Evaluation.results`, which are those of the JSON.
TUNED = "tuned"
UNTUNED = "untuned"
TFIDF = "tfidf_logistic_regression"
MAJORITY = "majority_class"


@dataclass(frozen=True)
class Evaluation:
    """A tuned model and its baselines, measured on the same rows."""

    data: str  # the data set's name
    split: str
    rows: int
    left_out: int  # rows that were trained on, so not measured
    baseline_rows: int  # rows that the majority class and TF-IDF learned from
    notes: tuple[str, ...]
    results: dict[str, Metrics]  # TUNED, UNTUNED and, where there are rows for them, the others

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
            "baseline_rows": self.baseline_rows,
            "labels": list(self.tuned.labels),
            "notes": list(self.notes),
            "results": {name: metrics.to_dict() for name, metrics in self.results.items()},
        }


def evaluate(score: ScoreFunction, examples: Sequence[Example], labels: Sequence[str]) -> Metrics:
    """Measures one model on `examples`; their class ids index `labels`.

    Raises UserError when there are no rows, or a score is not a finite number.
    """
    true = [example.label for example in examples]
    return score_metrics(score([example.text for example in examples]), true, labels)


def compare(
    *,
    tuned: ScoreFunction,
    untuned: ScoreFunction,
    data: str,
    labels: Sequence[str],
    selection: Selection,
    baselines: BaselineRows,
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
    """
    examples = selection.examples
    results = {
        TUNED: evaluate(tuned, examples, labels),
        UNTUNED: evaluate(untuned, examples, labels),
    }
    notes = [selection.note] if selection.note else []
    notes.append(baselines.note)
    texts = [example.text for example in examples]
    true = [example.label for example in examples]
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
    )
