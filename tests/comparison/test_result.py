"""Pairs of contenders against the tests that they are made of, and a contender's runs together."""

from __future__ import annotations

import json
from statistics import mean

import numpy as np
import pytest

from sentilora.comparison import Contender, Measured
from sentilora.comparison.result import compare_runs
from sentilora.evaluation.calibration import calibration_error, reliability
from sentilora.evaluation.errors import WrongAnswer
from sentilora.evaluation.metrics import probability_metrics
from sentilora.evaluation.paired import accuracy_difference, holm, mcnemar


def test_every_two_with_holms_correction() -> None:
    generator = np.random.default_rng(0)
    gold = generator.integers(2, size=200)
    wrong = {"a": 0.1, "b": 0.3, "c": 0.12}
    runs = {
        name: [np.where(generator.random(200) < share, 1 - gold, gold).tolist() for _ in range(2)]
        for name, share in wrong.items()
    }
    pairs = compare_runs(runs, gold.tolist())
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    right = {name: np.asarray(each) == gold for name, each in runs.items()}
    for pair in pairs:
        one, other = right[pair.first], right[pair.second]
        assert pair.p_value == mcnemar(one, other)
        assert pair.difference == accuracy_difference(one, other)
        assert pair.difference.value == pytest.approx(one.mean() - other.mean())
    assert [pair.corrected for pair in pairs] == holm([pair.p_value for pair in pairs])
    assert pairs[0].corrected < 0.01 < pairs[1].corrected


def test_one_against_itself_and_one_alone() -> None:
    gold = [0, 1, 1]
    (pair,) = compare_runs({"a": [[0, 1, 0]], "b": [[0, 1, 0]]}, gold)
    assert (pair.difference.value, pair.corrected) == (0.0, 1.0)
    assert compare_runs({"a": [gold]}, gold) == []


LABELS = ("a", "b", "c")


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """[N, K] probabilities and [N] true labels."""
    generator = np.random.default_rng(seed)
    return generator.dirichlet(np.ones(3), size=80), np.random.default_rng(0).integers(3, size=80)


def measured(seed: int) -> Measured:
    said, gold = drawn(seed)
    figures = probability_metrics(said, said.argmax(axis=1), gold, LABELS)
    return Measured(
        base="tiny",
        predicted=tuple(said.argmax(axis=1).tolist()),
        tuned=figures,
        untuned=figures,
        parameters=1000,
        trained=10,
        train_seconds=1.0,
        peak_bytes=None,
        trained_on="a GPU",
        asked_on="a CPU",
        adapter_bytes=100,
        latency=0.1,
        rows_per_second=10.0,
        bins=tuple(reliability(said, gold)),
        worst=(WrongAnswer("a text", 3, "test", "a", "b", 0.9, 0.1),),
    )


def test_a_contenders_runs_together_are_the_rows_of_all() -> None:
    one = Contender("tiny", tuple(map(measured, range(3))))
    said = np.concatenate([drawn(seed)[0] for seed in range(3)])
    gold = np.tile(drawn(0)[1], 3)
    whole = probability_metrics(said, said.argmax(axis=1), gold, LABELS)
    assert one.confusion == whole.confusion
    gaps = [each.rows * abs(each.accuracy - each.confidence) for each in one.bins]
    assert sum(gaps) / len(gold) == pytest.approx(calibration_error(said, gold))
    assert sum(each.rows for each in one.bins) == len(gold)


def test_json_has_a_contenders_figures_over_its_runs() -> None:
    one = Contender("tiny", tuple(map(measured, range(3))))
    over = json.loads(json.dumps(one.to_dict()))["over_runs"]
    for name, values in (
        ("accuracy", [run.tuned.accuracy for run in one.runs]),
        ("macro_f1", [run.tuned.macro_f1 for run in one.runs]),
        ("calibration_error", [run.tuned.calibration_error for run in one.runs]),
    ):
        found = over[name]
        assert found["mean"] == mean(value or 0.0 for value in values)
        assert [found["least"], found["most"]] == [min(values), max(values)]
    assert over["accuracy"]["interval"] == list(one.accuracy_interval)


def test_what_is_measured_is_the_same_once_it_is_kept() -> None:
    one = measured(0)
    assert Measured.from_dict(json.loads(json.dumps(one.to_dict()))) == one
