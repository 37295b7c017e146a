"""An evaluation as a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from sentilora.data.dataset import Example
from sentilora.evaluation import Evaluation
from sentilora.evaluation.errors import WORST, worst_errors
from sentilora.evaluation.evaluate import TUNED
from sentilora.evaluation.recalibration import Recalibration
from sentilora.evaluation.tables import (
    ABSENT,
    MATRIX_LABELS,
    TITLES,
    abstaining_table,
    accuracy_text,
    calibration_table,
    calibration_text,
    calibration_title,
    comparison_table,
    confusion_table,
    legends,
    per_class_table,
    sets_text,
)
from sentilora.report.learning import learning_plot
from sentilora.report.page import render, shortened
from sentilora.report.plots import Point, accuracy_plot, reliability_plot
from sentilora.report.tables import Grid, Row, confusion_map, grid
from sentilora.scoring import Scores
from sentilora.training.history import Entry, best_entry


def evaluation_page(
    evaluation: Evaluation,
    scores: Scores,
    examples: Sequence[Example],
    *,
    run: str,
    base: str,
    history: Sequence[Entry],
    shown: Callable[[str], Markup] = shortened,
) -> str:
    """The page's HTML.

    Parameters
    ----------
    scores, examples
        [N] the tuned model's scores of the rows that `evaluation` is about, and these rows.
    run, base, history
        The names of the adapter and of its base, and the evaluations during its training.
    shown
        Makes HTML of a text that was got wrong.
    """
    tuned = evaluation.tuned
    gold = [example.label for example in examples]
    wrong = sum(said != true for said, true in zip(scores.predicted, gold, strict=True))
    worst = worst_errors(scores, examples, tuned.labels)
    few_labels = len(tuned.labels) <= MATRIX_LABELS
    return render(
        "evaluation.html",
        evaluation=evaluation,
        run=run,
        base=base,
        headline=accuracy_text(tuned),
        against=grid(comparison_table(evaluation)),
        remarks=(*evaluation.notes, *legends(evaluation)),
        accuracies=accuracy_plot(
            [
                Point(TITLES[name], figures.accuracy, *figures.accuracy_interval, name == TUNED)
                for name, figures in evaluation.results.items()
            ]
        ),
        by_label=grid(per_class_table(tuned)),
        confusion=confusion_map(tuned.labels, tuned.confusion) if few_labels else None,
        confusions=grid(confusion_table(tuned)),
        reliability=_reliability(evaluation.calibration),
        calibration=grid(calibration_table(evaluation.calibration)),
        calibration_title=calibration_title(evaluation.calibration),
        calibration_remark=calibration_text(evaluation.calibration),
        abstaining=grid(abstaining_table(evaluation.selective_accuracy)),
        sets=evaluation.label_sets and sets_text(evaluation.label_sets),
        learning=learning_plot(history) if len(history) > 1 else None,
        validations=_validations(history),
        wrong=wrong,
        worst=[(error, shown(error.text)) for error in worst],
        most=WORST,
    )


def _reliability(found: Recalibration) -> Markup:
    """With the temperature and, where there is one, before it."""
    return reliability_plot(found.after.bins, None if found.temperature == 1 else found.before.bins)


def _validations(history: Sequence[Entry]) -> Grid:
    """A line an evaluation of the training; the best stands out."""
    best = best_entry(history)
    rows = [
        Row(
            f"{entry['step']:,}",
            (
                ABSENT if entry["train_loss"] is None else f"{entry['train_loss']:.3f}",
                f"{entry['loss']:.3f}",
                f"{100 * entry['accuracy']:.1f} %",
                f"{entry['macro_f1']:.3f}",
            ),
            "strong" if entry is best else "",
        )
        for entry in history
    ]
    headings = ("training loss", "loss", "accuracy", "macro-F1")
    return Grid("step", headings, (False,) * len(headings), tuple(rows))
