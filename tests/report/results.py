"""Results drawn from a seed, as pages are made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from sentilora.comparison import Comparison, Contender, Measured, compare_runs
from sentilora.conformal import Conformal
from sentilora.correction import Correction
from sentilora.data.dataset import Example
from sentilora.domains.matrix import Answers, Cell, DomainRows, transfer_cells
from sentilora.evaluation import Evaluation
from sentilora.evaluation.abstaining import selective_accuracy
from sentilora.evaluation.calibration import reliability
from sentilora.evaluation.errors import worst_errors
from sentilora.evaluation.metrics import classification_metrics, score_metrics
from sentilora.evaluation.recalibration import recalibration
from sentilora.scoring import Scores

HOSTILE = "<script>alert('1')</script> & \"$x$\""
ROWS = 120


def scores(gold: np.ndarray, labels: int, skill: float, temperature: float = 1.0) -> Scores:
    """Scores that are right the more often, the higher `skill` is."""
    logits = np.random.default_rng(len(gold)).normal(size=(len(gold), labels)) * 2
    logits[np.arange(len(gold)), gold] += skill
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True) - 0.01
    return Scores(log_probs.astype(np.float32), gold > 0, Correction(temperature))


def gold_of(labels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(labels, size=ROWS)


def history(steps: int = 4, seed: int = 0) -> list[dict[str, Any]]:
    """Evaluations of a training; the last but one is the best."""
    drawn = np.random.default_rng(seed).uniform(0.2, 0.9, size=(steps, 4))
    return [
        {
            "step": 10 * number,
            "train_loss": float(row[0]) if number else None,
            "loss": float(row[1]),
            "accuracy": float(row[2]),
            "macro_f1": float(row[3]),
            "best": 0 < number < steps - 1,
        }
        for number, row in enumerate(drawn)
    ]


def evaluated(
    labels: tuple[str, ...] = ("negative", "positive"),
    data: str = "films",
    text: str = "a text",
    temperature: float = 1.6,
) -> tuple[Evaluation, Scores, list[Example]]:
    gold = gold_of(len(labels))
    tuned = scores(gold, len(labels), 2.0, temperature)
    simple = classification_metrics(gold, np.zeros(ROWS, int), labels)
    evaluation = Evaluation(
        data=data,
        split="test",
        rows=ROWS,
        left_out=1234,
        baseline_rows=50,
        notes=("A note & more.",),
        results={
            "tuned": score_metrics(tuned, gold, labels),
            "untuned": score_metrics(scores(gold, len(labels), 0.3), gold, labels),
            "tfidf_logistic_regression": simple,
            "majority_class": simple,
        },
        calibration=recalibration(tuned, gold),
        selective_accuracy=selective_accuracy(tuned.probabilities, tuned.predicted, gold),
    )
    examples = [Example(f"{text} {n}", int(label), n + 1, "test") for n, label in enumerate(gold)]
    return evaluation, tuned, examples


def compared(names: tuple[str, ...] = ("tiny, default", "tiny, rank 1")) -> Comparison:
    labels = ("negative", "positive")
    gold = gold_of(2)
    untuned = score_metrics(scores(gold, 2, 0.3), gold, labels)
    examples = [
        Example(f"{names[0]} {n}", int(label), n + 1, "test") for n, label in enumerate(gold)
    ]

    def measured(skill: float, seed: int) -> Measured:
        said = scores(gold, 2, skill, 1.4)
        return Measured(
            base="tiny",
            predicted=tuple(said.predicted.tolist()),
            tuned=score_metrics(said, gold, labels),
            untuned=untuned,
            parameters=1_000_000,
            trained=3400,
            train_seconds=61.0 + seed,
            peak_bytes=2_100_000_000,
            trained_on="a GPU",
            asked_on="a CPU",
            adapter_bytes=1_900_000,
            latency=0.045,
            rows_per_second=20.0 + 10 * skill,
            bins=tuple(reliability(said.probabilities, gold)),
            worst=tuple(worst_errors(said, examples, labels, 5)),
        )

    contenders = tuple(
        Contender(name, tuple(measured(1.0 + number + seed / 2, seed) for seed in range(2)))
        for number, name in enumerate(names)
    )
    simple = classification_metrics(gold, np.zeros(ROWS, int), labels)
    predicted = {one.name: [run.predicted for run in one.runs] for one in contenders}
    return Comparison(
        data="films",
        split="test",
        rows=ROWS,
        left_out=7,
        labels=labels,
        contenders=contenders,
        pairs=tuple(compare_runs(predicted, gold.tolist())),
        baselines={"majority_class": simple},
        baseline_rows=50,
        notes=("A note & more.",),
    )


def transferred(names: tuple[str, ...] = ("films", "shops")) -> tuple[list[Cell], list[str]]:
    labels = ("negative", "positive")
    rows = [
        DomainRows(
            name,
            labels,
            tuple(gold_of(2, seed).tolist()),
            tuple(f"{name}{n}" for n in range(ROWS)),
        )
        for seed, name in enumerate(names)
    ]

    def answers(model: str | None) -> dict[str, Answers]:
        return {
            one.name: Answers(
                labels,
                scores(np.array(one.gold), 2, 0.2 if model is None else 3.0 - (model != one.name)),
                frozenset({f"{one.name}3"} if model == "mixture" else ()),
                Conformal(9, tuple(n / 10 for n in range(1, 10))) if model in names else None,
            )
            for one in rows
        }

    models = {name: answers(name) for name in (*names, "mixture")}
    return transfer_cells(rows, models, answers(None))
