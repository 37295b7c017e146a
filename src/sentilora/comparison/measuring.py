"""From finished runs to a `Comparison`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sentilora.comparison import same_settings
from sentilora.comparison.measured import Measured, Measurer
from sentilora.comparison.result import Comparison, Contender, compare_runs
from sentilora.comparison.rows import ComparedRows, compared_rows
from sentilora.evaluation.baselines import majority_class, tfidf_logistic_regression
from sentilora.evaluation.evaluate import MAJORITY, TFIDF
from sentilora.evaluation.measuring import Scoring
from sentilora.evaluation.metrics import classification_metrics
from sentilora.evaluation.tables import TITLES
from sentilora.planned_runs import PlannedRun


def measure_runs(
    planned: Sequence[PlannedRun],
    data: str | None,
    folder: Path,
    scoring: Scoring,
    loading: Mapping[str, Any],
) -> Comparison:
    """Measure runs, all of them finished, and compare them.

    What was measured before is taken from `folder`. `data` None takes the rows that the first run
    was trained with; otherwise as for `Measurer`.

    Raises UserError where the runs can't be compared on the same rows, or one can't be used.
    """
    rows = compared_rows([run.folder for run in planned], data)
    examples = rows.selection.examples
    labels = rows.dataset.labels
    measurer = Measurer(examples, labels, folder, scoring, loading)
    found: dict[str, list[Measured]] = {}
    for number, run in enumerate(planned, 1):
        which = f"scoring {number} of {len(planned)}, {run.folder.name}"
        found.setdefault(run.contender, []).append(measurer.measure(run.folder, which))
    gold = [example.label for example in examples]
    baselines = _baselines(rows)
    predicted: Mapping[str, Sequence[Sequence[int]]] = {
        **{name: [run.predicted for run in runs] for name, runs in found.items()},
        **{TITLES[name]: [said] for name, said in baselines.items() if name == TFIDF},
    }
    selection = rows.selection
    return Comparison(
        data=rows.dataset.name,
        split=selection.split,
        rows=len(examples),
        left_out=selection.left_out,
        labels=labels,
        contenders=tuple(Contender(name, tuple(runs)) for name, runs in found.items()),
        pairs=tuple(compare_runs(predicted, gold)),
        baselines={
            name: classification_metrics(gold, said, labels) for name, said in baselines.items()
        },
        baseline_rows=len(rows.baselines.train),
        notes=(
            *(note for note in (selection.note, rows.baselines.note) if note),
            *same_settings.notes(planned),
        ),
    )


def _baselines(rows: ComparedRows) -> dict[str, list[int]]:
    """By name what each baseline says of the rows; those that can't learn are left out."""
    train, texts = rows.baselines.train, [row.text for row in rows.selection.examples]
    found = {}
    if len({example.label for example in train}) > 1:
        said = tfidf_logistic_regression(train, rows.baselines.validation, texts)
        found[TFIDF] = said.tolist()
    if train:
        found[MAJORITY] = majority_class(train, texts).tolist()
    return found
