"""Measuring an adapter folder: its data and rows found again, its model beside the baselines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentilora.cutting import cut_note
from sentilora.data import DataOptions, DataSet, load_data, parse_labels_option
from sentilora.errors import UserError
from sentilora.evaluation.evaluate import Evaluation, compare
from sentilora.evaluation.selection import Selection, baseline_rows
from sentilora.evaluation.zero_shot import CONTENT_FREE

if TYPE_CHECKING:
    from sentilora.artifact import Artifact, RowHashes
    from sentilora.classifier import Classifier

Scoring = Callable[["Classifier", str], Callable[[Sequence[str]], Any]]


def data_for(
    run: Path,
    data: str | None,
    *,
    text_column: str | None,
    label_column: str | None,
    labels: str | None,
    revision: str | None,
) -> tuple[DataSet, Artifact]:
    """The rows to evaluate the adapter in `run` on, under its own labels, and the adapter's folder.

    With `data` None they are those that it was trained with, as they were understood then.

    Raises UserError where neither says which they are, or they can't be read.
    """
    from sentilora.artifact import Artifact
    from sentilora.runs import CONFIG, RunConfig

    artifact = Artifact.read(run)
    options = DataOptions()
    if data is None:
        if not (run / CONFIG).exists():
            raise UserError(
                f"{run} holds an adapter without its run ({CONFIG} is missing), so its test rows "
                "aren't known. Name rows that it wasn't trained on with --data."
            )
        config = RunConfig.read(run)
        data, options = config.data, config.data_options
    options = replace(
        options,
        purpose="evaluate",
        labels=artifact.task.labels,
        label_map=parse_labels_option(labels)[1] if labels else options.label_map,
        text_column=text_column or options.text_column,
        label_column=label_column or options.label_column,
        revision=revision or options.revision,
    )
    return load_data(data, options), artifact


def measure(
    classifier: Classifier,
    dataset: DataSet,
    rows: RowHashes,
    selection: Selection,
    scoring: Scoring,
) -> Evaluation:
    """Evaluate a classifier on the rows selected from `dataset`, beside its baselines.

    `rows` are those of its training; `scoring` makes of the classifier a function from texts to
    `Scores`, under a description.
    """

    def untuned(texts: Sequence[str]) -> Any:
        with classifier.untuned() as base:
            return scoring(base, "scoring, untuned")(texts)

    with classifier.untuned() as base:
        content_free = base.scorer.score(CONTENT_FREE)
    evaluation = compare(
        tuned=scoring(classifier, "scoring"),
        untuned=untuned,
        data=dataset.name,
        labels=classifier.task.labels,
        selection=selection,
        baselines=baseline_rows(dataset, selection, rows.train),
        content_free=content_free,
        conformal=classifier.conformal,
    )
    task = classifier.task
    cut = cut_note(evaluation.texts_cut, evaluation.rows, task.max_length, task.long_texts)
    notes = [*evaluation.notes, *([cut] if cut else []), *_notes(classifier)]
    return replace(evaluation, notes=tuple(notes))


def _notes(classifier: Classifier) -> list[str]:
    notes = []
    temperature = classifier.correction.temperature
    if temperature != 1.0:
        notes.append(
            "The tuned model's probabilities are calibrated, with a temperature of "
            f"{temperature:.2f}."
        )
    if classifier.conformal is None:
        notes.append("No label sets: this adapter holds no conformal scores.")
    return notes
