"""A comparison measures every classifier on the same rows; its tables say what it found."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from sentilora.data.dataset import DataReport, DataSet, Example
from sentilora.errors import UserError
from sentilora.evaluation import (
    Evaluation,
    Metrics,
    ScoreFunction,
    baseline_rows,
    compare,
    evaluate,
    select_rows,
)
from sentilora.evaluation.evaluate import MAJORITY, TFIDF, TUNED, UNTUNED
from sentilora.evaluation.metrics import classification_metrics
from sentilora.evaluation.tables import confusion_table, evaluation_tables
from sentilora.scoring.scores import Scores

LABELS = ("negative", "positive")


def says(word: str, mass: float) -> ScoreFunction:
    """A model that finds texts with `word` positive and gives the labels `mass` together."""

    def score(texts: Sequence[str]) -> Scores:
        positive = np.array([0.9 if word in text else 0.2 for text in texts])
        both = mass * np.stack([1 - positive, positive], axis=1)
        return Scores(np.log(both).astype(np.float32), np.full(len(texts), mass > 0.5))

    return score


def split(name: str, *pairs: tuple[str, int]) -> tuple[Example, ...]:
    return tuple(Example(text, label, row, name) for row, (text, label) in enumerate(pairs, 1))


TRAIN = split("train", ("good", 1), ("so good", 1), ("bad", 0), ("bad day", 0), ("very bad", 0))
TEST = split("test", ("good film", 1), ("bad film", 0), ("good cast", 1), ("dull", 0))


def run(train: tuple[Example, ...] = TRAIN) -> Evaluation:
    splits = {"train": train, "test": TEST}
    dataset = DataSet("films", "films", LABELS, "text", splits, DataReport(9, 9))
    selection = select_rows(dataset, None, (), ())
    return compare(
        tuned=says("good", 0.99),
        untuned=says("film", 0.1),
        data=dataset.name,
        labels=LABELS,
        selection=selection,
        baselines=baseline_rows(dataset, selection, ()),
    )


def shown(renderable: RenderableType) -> str:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


def test_one_model_is_measured_on_its_own_rows() -> None:
    metrics = evaluate(says("film", 0.8), TEST, LABELS)
    assert (metrics.rows, metrics.accuracy) == (4, 0.5)
    assert metrics.label_mass == pytest.approx(0.8)
    with pytest.raises(UserError, match="no rows"):
        evaluate(says("film", 0.8), [], LABELS)


def test_all_four_stand_side_by_side_on_the_same_rows() -> None:
    evaluation = run()
    assert list(evaluation.results) == [TUNED, UNTUNED, TFIDF, MAJORITY]
    accuracies = {name: metrics.accuracy for name, metrics in evaluation.results.items()}
    assert accuracies == {TUNED: 1.0, UNTUNED: 0.5, TFIDF: 1.0, MAJORITY: 0.5}
    assert {metrics.rows for metrics in evaluation.results.values()} == {evaluation.rows} == {4}
    assert evaluation.baseline_rows == 5


def test_a_baseline_generates_nothing_and_has_no_label_mass() -> None:
    results = run().results
    assert results[UNTUNED].label_mass == pytest.approx(0.1)
    assert results[UNTUNED].greedy_share == 0
    assert results[TFIDF].label_mass is results[MAJORITY].greedy_share is None


def test_baselines_without_rows_to_learn_from_are_left_out_and_it_is_said() -> None:
    evaluation = run(train=())
    assert list(evaluation.results) == [TUNED, UNTUNED]
    assert "no rows to train them on" in " ".join(evaluation.notes)
    evaluation = run(train=split("train", ("good", 1), ("better", 1)))
    assert list(evaluation.results) == [TUNED, UNTUNED, MAJORITY]
    assert "one label only" in " ".join(evaluation.notes)


def test_the_json_holds_everything() -> None:
    evaluation = run()
    stored = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    assert stored["labels"] == list(LABELS)
    assert (stored["split"], stored["rows"], stored["left_out"]) == ("test", 4, 0)
    results = {name: Metrics.from_dict(found) for name, found in stored["results"].items()}
    assert results == evaluation.results


def test_the_tables_fit_80_columns_and_show_the_figures() -> None:
    evaluation = run()
    text = shown(evaluation_tables(evaluation))
    assert max(map(cell_len, text.splitlines())) <= 80
    for expected in ("100.0 % [51.0, 100.0]", "99.0 %", "untuned base", "films, test: 4 rows"):
        assert expected in text
    (line,) = [line for line in text.splitlines() if line.startswith("majority class")]
    assert line.split() == ["majority", "class", "50.0", "%", "[15.0,", "85.0]", "0.333", *"---"]


def test_a_row_of_the_confusion_matrix_is_a_true_label() -> None:
    text = shown(confusion_table(classification_metrics([0, 0, 0, 1], [0, 1, 1, 1], LABELS)))
    lines = [line.split() for line in text.splitlines()]
    assert ["negative", "1", "2"] in lines
    assert ["positive", "0", "1"] in lines


def test_labels_are_shown_as_they_are_and_numbered_where_they_are_long() -> None:
    labels = ("[bold]no[/bold]", "yes " * 10, "情" * 20)
    text = shown(confusion_table(classification_metrics([0, 1, 2], [0, 1, 1], labels)))
    assert "1 [bold]no[/bold]" in text
    assert ["true", "\\", "predicted", "1", "2", "3"] in [
        line.split() for line in text.splitlines()
    ]
    assert max(map(cell_len, text.splitlines())) <= 80


def test_with_many_labels_the_most_frequent_errors_are_listed() -> None:
    labels = tuple(f"topic{k}" for k in range(30))
    true = [*range(30), 3, 3, 5]
    predicted = [*range(30), 7, 7, 1]
    text = shown(confusion_table(classification_metrics(true, predicted, labels)))
    body = [line.split() for line in text.splitlines()[3:]]
    assert body == [["topic3", "topic7", "2"], ["topic5", "topic1", "1"]]
