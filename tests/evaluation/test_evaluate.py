"""A comparison measures every classifier on the same rows; its tables say what it found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from sentilora.conformal import Conformal
from sentilora.correction import Correction
from sentilora.data.dataset import DataReport, DataSet, Example
from sentilora.evaluation import (
    Evaluation,
    Metrics,
    ScoreFunction,
    baseline_rows,
    compare,
    select_rows,
)
from sentilora.evaluation.evaluate import CONTEXTUAL, MAJORITY, PMI, TFIDF, TUNED, UNTUNED
from sentilora.evaluation.metrics import classification_metrics
from sentilora.evaluation.recalibration import recalibration
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


def run(train: tuple[Example, ...] = TRAIN, **options: Any) -> Evaluation:
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
        **options,
    )


def shown(renderable: RenderableType) -> str:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


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


def asked_fairly() -> Evaluation:
    """All that an evaluation can hold; the base prefers "positive" three to one, text or not."""
    empty = Scores(np.log(np.tile([[0.02, 0.06]], (3, 1))).astype(np.float32), np.zeros(3, bool))
    return run(content_free=empty, conformal=Conformal(19, (0.15,) * 19))


def test_the_untuned_base_is_asked_in_two_more_ways() -> None:
    """It says 0.9 of "positive" where it finds "film" and 0.2 elsewhere: odds of 9 and 1/4, of
    which three to one is no more than its preference."""
    results = asked_fairly().results
    assert list(results) == [TUNED, UNTUNED, CONTEXTUAL, PMI, TFIDF, MAJORITY]
    right, wrong = 3 / 4, 1 / 4  # 9 to 3, of a film that is good and one that is bad
    none = 0.25 / 3 / (1 + 0.25 / 3)
    brier = 2 * np.mean([wrong**2, right**2, (1 - none) ** 2, none**2])
    for name in (CONTEXTUAL, PMI):
        assert results[name].accuracy == 0.5
        assert results[name].brier_score == pytest.approx(brier, abs=1e-6)
        assert results[name].label_mass is results[name].nll is None


def test_calibration_is_measured_before_and_after_the_temperature() -> None:
    log_probs = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]))
    scores = Scores(log_probs.astype(np.float32), np.ones(4, bool), Correction(2.0))
    found = recalibration(scores, [0, 1, 1, 1])
    assert found.temperature == 2.0
    for measured, confidence in (
        (found.before, [0.9, 0.9, 0.8, 0.7]),
        (found.after, [0.75, 0.75, 2 / 3, 0.7**0.5 / (0.7**0.5 + 0.3**0.5)]),
    ):
        sure = np.array(confidence)
        correct = np.array([1, 0, 1, 1])
        assert measured.nll == pytest.approx(
            -np.log(np.where(correct == 1, sure, 1 - sure)).mean(), rel=1e-5
        )
        assert measured.brier_score == pytest.approx(2 * np.square(correct - sure).mean(), rel=1e-5)
        assert measured.adaptive_ece == pytest.approx(
            (abs(2 * sure[0] - 1) + (1 - sure[2]) + (1 - sure[3])) / 4, rel=1e-5
        )
        assert sum(each.rows for each in measured.bins) == 4
    stored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert stored["bins"] == 15
    assert {"low", "high", "rows", "confidence", "accuracy"} == set(stored["after"]["bins"][0])


def test_what_abstaining_brings_is_in_the_json() -> None:
    stored = json.loads(json.dumps(asked_fairly().to_dict(), allow_nan=False))
    assert stored["calibration"]["before"] == stored["calibration"]["after"]  # no temperature
    # 0.9 of "positive" or 0.8 of "negative": of these, 1 - p is up to 0.15 for the first alone
    sets = stored["label_sets"]
    assert (sets["coverage"], sets["mean_size"], sets["empty"]) == (0.5, 0.5, 0.5)
    first, *_, last = stored["selective_accuracy"]
    assert (first["threshold"], first["share"], first["accuracy"]) == (0.0, 1.0, 1.0)
    assert (last["threshold"], last["share"], last["accuracy"]) == (0.95, 0.0, None)
    assert run().label_sets is None


def test_the_tables_say_how_sure_to_be() -> None:
    text = shown(evaluation_tables(asked_fairly()))
    assert max(map(cell_len, text.splitlines())) <= 80
    for start in ("untuned, contextual", "untuned, PMI", "no temperature", "never", "0.95"):
        assert any(line.startswith(start) for line in text.splitlines()), start
    assert "Label sets of 90 % coverage, by 19 rows of validation" in text
    assert "Holtzman" not in shown(evaluation_tables(run()))


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
