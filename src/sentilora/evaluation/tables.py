"""An `Evaluation` as tables for a terminal of 80 columns.

Label names are the user's: they go in as `Text`, so that nothing in them is taken for markup.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sentilora.data.dataset import count_rows
from sentilora.evaluation.abstaining import Kept, SetFigures
from sentilora.evaluation.calibration import BINS
from sentilora.evaluation.evaluate import (
    CONTEXTUAL,
    MAJORITY,
    PMI,
    TFIDF,
    TUNED,
    UNTUNED,
    Evaluation,
)
from sentilora.evaluation.metrics import Metrics
from sentilora.evaluation.recalibration import Recalibration

LEGEND = (
    "ECE: the expected calibration error, how far confidence is from accuracy; label mass: the "
    "probability of all labels together; greedy: the share of rows on which greedy generation "
    "emits exactly a label."
)
ZERO_SHOT_LEGEND = (
    "Untuned, contextual: divided by what the base says of texts without content (contextual "
    "calibration, Zhao et al. 2021). Untuned, PMI: what the text adds to a label's log-probability "
    "(PMI_DC, Holtzman et al. 2021)."
)
WIDTH = 80
GAP = 2  # between columns
COUNT = 5  # cells that a count may take
TITLES = {
    TUNED: "tuned",
    UNTUNED: "untuned base",
    CONTEXTUAL: "untuned, contextual",
    PMI: "untuned, PMI",
    TFIDF: "TF-IDF + log. reg.",
    MAJORITY: "majority class",
}
ABSENT = "-"  # plain ASCII: a terminal or file of any encoding can show it
MATRIX_LABELS = 10  # with more labels the matrix is too wide to be read
CONFUSIONS = 10


def evaluation_tables(evaluation: Evaluation) -> RenderableType:
    """All of an evaluation: the comparison, the tuned model label by label, its confusions."""
    tuned = evaluation.tuned
    notes = [Text(note, style="dim") for note in (*evaluation.notes, *legends(evaluation))]
    parts: list[RenderableType] = [comparison_table(evaluation), *notes]
    parts += ["", per_class_table(tuned), "", confusion_table(tuned)]
    parts += ["", calibration_table(evaluation.calibration)]
    parts += [Text(calibration_text(evaluation.calibration), style="dim")]
    if evaluation.selective_accuracy:
        parts += ["", abstaining_table(evaluation.selective_accuracy)]
    if evaluation.label_sets is not None:
        parts += ["", Text(sets_text(evaluation.label_sets))]
    return Group(*parts)


def legends(evaluation: Evaluation) -> list[str]:
    """What the comparison's headings and lines mean."""
    return [LEGEND, *([ZERO_SHOT_LEGEND] if PMI in evaluation.results else [])]


def comparison_table(evaluation: Evaluation) -> Group:
    """A line a classifier; the accuracy's brackets are its 95 % Wilson interval."""
    table = plain_table("", "accuracy [95 %]", "macro-F1", "ECE", "label mass", "greedy")
    for name, metrics in evaluation.results.items():
        table.add_row(
            TITLES[name],
            accuracy_text(metrics),
            f"{metrics.macro_f1:.3f}",
            ABSENT if metrics.calibration_error is None else f"{metrics.calibration_error:.3f}",
            _percent(metrics.label_mass),
            _percent(metrics.greedy_share),
            style="bold" if name == TUNED else None,
        )
    title = f"{evaluation.data}, {evaluation.split}: {count_rows(evaluation.rows)}"
    return titled(title, table)


def per_class_table(metrics: Metrics) -> Group:
    """A line a label."""
    table = plain_table("label", "precision", "recall", "F1", "rows")
    for label, figures in metrics.per_class.items():
        ratios = (figures.precision, figures.recall, figures.f1)
        table.add_row(Text(label), *(f"{ratio:.3f}" for ratio in ratios), f"{figures.support:,}")
    return titled("Tuned, label by label", table)


def confusion_table(metrics: Metrics) -> Group:
    """The confusion matrix, a row for each true label; with many labels, its largest errors."""
    labels = metrics.labels
    if len(labels) > MATRIX_LABELS:
        return _largest_confusions(metrics)
    corner = "true \\ predicted"
    first = max(cell_len(name) for name in (corner, *labels))
    # Too wide for a column each, labels are numbered: before the row and above the column.
    numbered = first + sum(max(cell_len(label), COUNT) + GAP for label in labels) > WIDTH
    table = plain_table()
    table.add_column(corner, overflow="fold")
    for number, label in enumerate(labels, start=1):
        table.add_column(Text(str(number) if numbered else label), justify="right", no_wrap=True)
    for k, label in enumerate(labels):
        counts = [
            Text(f"{count:,}", style="bold green" if column == k else "red" if count else "dim")
            for column, count in enumerate(metrics.confusion[k])
        ]
        table.add_row(Text(f"{k + 1} {label}" if numbered else label), *counts)
    return titled("Confusion: the rows of each true label, by the label predicted", table)


def calibration_table(calibration: Recalibration) -> Group:
    """The tuned model's probabilities before the temperature and after it."""
    table = plain_table("", "ECE", "adaptive ECE", "Brier score", "NLL")
    lines = {"before": calibration.before, "after": calibration.after}
    if calibration.temperature == 1.0:
        lines = {"no temperature": calibration.after}
    for name, found in lines.items():
        figures = (found.ece, found.adaptive_ece, found.brier_score, found.nll)
        table.add_row(name, *(f"{figure:.3f}" for figure in figures))
    return titled(f"Tuned, {calibration_title(calibration)}", table)


def calibration_title(calibration: Recalibration) -> str:
    """What the table is of; before and after a temperature only where there is one."""
    title = f"calibration in {BINS} bins"
    if calibration.temperature != 1.0:
        title += f", before and after the temperature of {calibration.temperature:.2f}"
    return title


def calibration_text(calibration: Recalibration) -> str:
    """What the table's figures mean."""
    chance = calibration.chance
    return (
        f"So many rows of a perfectly calibrated model, as sure as this one, show an ECE of "
        f"{chance.mean:.3f} [{chance.low:.3f}, {chance.high:.3f}] by chance. NLL: -log of the true "
        "label's probability among the labels; adaptive ECE: in bins of like many rows."
    )


def abstaining_table(kept: Sequence[Kept]) -> Group:
    """A line a threshold: how many labels are kept, and how right they are."""
    table = plain_table("abstain below", "rows kept", "share", "accuracy of these [95 %]")
    for each in kept:
        found = ABSENT
        if each.accuracy is not None and each.accuracy_interval is not None:
            found = share_text(each.accuracy, each.accuracy_interval)
        below = f"{each.threshold:g}" if each.threshold else "never"
        table.add_row(below, f"{each.rows:,}", _percent(each.share), found)
    return titled("Tuned, abstaining below a probability", table)


def sets_text(sets: SetFigures) -> str:
    """What is to be said of the label sets, in sentences."""
    found = share_text(sets.coverage, sets.coverage_interval)
    said = (
        f"Label sets of {100 * sets.asked:g} % coverage, by {count_rows(sets.calibrated_on)} of "
        f"validation: they hold the true label on {found} of these rows, and "
        f"{sets.mean_size:.2f} labels on average; {_percent(sets.single)} hold one label"
    )
    if sets.single_accuracy is not None:
        said += f" (right: {_percent(sets.single_accuracy)})"
    return f"{said}, {_percent(sets.empty)} none."


def accuracy_text(metrics: Metrics) -> str:
    """Such as `86.3 % [84.1, 88.2]`."""
    return share_text(metrics.accuracy, metrics.accuracy_interval)


def share_text(share: float, interval: tuple[float, float]) -> str:
    """A share with its interval, in per cent."""
    low, high = interval
    return f"{100 * share:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def _largest_confusions(metrics: Metrics) -> Group:
    labels = metrics.labels
    errors = sorted(
        (
            (count, labels[true], labels[predicted])
            for true, row in enumerate(metrics.confusion)
            for predicted, count in enumerate(row)
            if count and true != predicted
        ),
        key=lambda error: -error[0],
    )
    shown = errors[:CONFUSIONS]
    table = plain_table()
    table.add_column("true", overflow="fold")
    table.add_column("predicted", overflow="fold")
    table.add_column("rows", justify="right", no_wrap=True)
    for count, true, predicted in shown:
        table.add_row(Text(true), Text(predicted), f"{count:,}")
    title = f"Confusion: the {len(shown)} most frequent of {len(errors)} kinds of error"
    return titled(title, table)


def plain_table(*headings: str, least: int | None = None) -> Table:
    """Without frames: the first column of names, which are folded, the others of figures.

    least
        So many cells are kept for names, however wide the figures are.
    """
    # With the box's own blank between columns, this makes a gap of GAP.
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, GAP - 1, 0, 0), pad_edge=False)
    for number, heading in enumerate(headings):
        if number == 0:
            table.add_column(Text(heading), overflow="fold", min_width=least)
        else:
            table.add_column(Text(heading), justify="right", no_wrap=True)
    return table


def titled(title: str, table: Table) -> Group:
    """The table under a bold line."""
    # Not the table's own title, which would be wrapped to the width of the table.
    return Group(Text(title, style="bold"), table)


def _percent(share: float | None) -> str:
    return ABSENT if share is None else f"{100 * share:.1f} %"
