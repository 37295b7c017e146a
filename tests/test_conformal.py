"""Label sets: their thresholds by hand and by a plain reference, their coverage by simulation."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest

from sentilora.abstention import Abstention
from sentilora.conformal import KEPT, Conformal, label_sets, true_label_scores
from sentilora.correction import corrected
from sentilora.errors import UserError
from sentilora.evaluation.calibration import fit_temperature

LABELS = ("bad", "middling", "good")
OUTSIDE = [0.0, 1.0, -0.1, 1.5, float("nan")]


def drawn(rows: int, seed: int, sharper: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of three labels, and true labels drawn from what they were before `sharper`."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(3, 0.6), size=rows)
    passed = generator.random((rows, 1)) > probabilities.cumsum(axis=1)
    return corrected(probabilities, 1 / sharper), passed.sum(axis=1).clip(0, 2)


def plain_threshold(scores: list[float], coverage: str) -> float:
    """The ceil((n + 1) coverage) / n quantile, in exact numbers; 1 where there is none."""
    rank = math.ceil((len(scores) + 1) * Fraction(coverage))
    return sorted(scores)[rank - 1] if rank <= len(scores) else 1.0


def test_by_hand() -> None:
    """Nine rows: 90 % takes the ninth score, 80 % the eighth, 95 % more rows than there are."""
    likely = [0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.25]
    found = Conformal.calibrate([[p, 1 - p] for p in likely], [0] * 9)
    assert found.threshold(0.9) == pytest.approx(0.75)
    assert found.threshold(0.8) == pytest.approx(0.6)
    assert found.threshold(0.1) == pytest.approx(0.05)
    assert found.threshold(0.95) == 1.0
    assert found.rows_needed(0.9) is None
    assert found.rows_needed(0.95) == 19
    sets = label_sets([[0.3, 0.7], [0.25, 0.75], [0.1, 0.9]], found.threshold(0.9))
    assert sets.tolist() == [[True, True], [True, True], [False, True]]


@pytest.mark.parametrize("rows", [1, 2, 9, 10, 99, 500, KEPT])
@pytest.mark.parametrize("coverage", ["0.01", "0.1", "0.5", "0.57", "0.7", "0.9", "0.95", "0.999"])
def test_the_threshold_is_the_plain_quantile(rows: int, coverage: str) -> None:
    probabilities, true = drawn(rows, seed=rows)
    scores = true_label_scores(probabilities, true).tolist()
    found = Conformal.calibrate(probabilities, true)
    assert found.threshold(float(coverage)) == plain_threshold(scores, coverage)
    assert (found.threshold(float(coverage)) < 1) == (found.rows_needed(float(coverage)) is None)


@pytest.mark.parametrize("rows", [KEPT + 1, 2_345, 10_000])
def test_of_many_rows_the_next_higher_score_is_kept(rows: int) -> None:
    probabilities, true = drawn(rows, seed=1)
    scores = np.sort(true_label_scores(probabilities, true))
    found = Conformal.calibrate(probabilities, true)
    assert len(found.scores) == KEPT
    for coverage in np.linspace(0.001, 0.999, 400):
        rank = math.ceil(round((rows + 1) * coverage, 9))
        kept = int(np.searchsorted(scores, found.threshold(coverage))) + 1  # scores don't repeat
        assert rank <= kept < rank + rows / KEPT + 1
        assert kept <= rows


def test_json_and_back_gives_the_same_sets() -> None:
    found = Conformal.calibrate(*drawn(3_000, seed=2))
    assert Conformal.from_dict(json.loads(json.dumps(found.to_dict()))) == found


# The promise.


@pytest.mark.parametrize("rows", [10, 60])
@pytest.mark.parametrize("coverage", [0.7, 0.9])
def test_on_exchangeable_rows_the_coverage_is_the_promised_one(rows: int, coverage: float) -> None:
    """However bad the model: in [c, c + 1 / (n + 1)] on average over calibration rows and texts."""
    probabilities, true = drawn(400_000, seed=3, sharper=3.0)  # far too sure
    generator = np.random.default_rng(4)
    draws = 3_000
    covered = np.empty(draws)
    for draw in range(draws):
        at = generator.integers(len(true), size=rows + 100)
        held, new = at[:rows], at[rows:]
        threshold = Conformal.calibrate(probabilities[held], true[held]).threshold(coverage)
        sets = label_sets(probabilities[new], threshold)
        covered[draw] = sets[np.arange(100), true[new]].mean()
    error = covered.std() / draws**0.5
    assert coverage - 4 * error <= covered.mean() <= coverage + 1 / (rows + 1) + 4 * error


def test_a_temperature_of_the_same_rows_costs_next_to_nothing() -> None:
    """As the docstring says: of three labels, with a hundred rows, less than half a point."""
    probabilities, true = drawn(100_000, seed=5, sharper=3.0)
    generator = np.random.default_rng(6)
    covered = []
    for _ in range(300):
        at = generator.integers(len(true), size=400)
        held, new = at[:100], at[100:]
        temperature = fit_temperature(probabilities[held], true[held])
        scores = Conformal.calibrate(corrected(probabilities[held], temperature), true[held])
        sets = label_sets(corrected(probabilities[new], temperature), scores.threshold(0.9))
        covered.append(sets[np.arange(300), true[new]].mean())
    assert np.mean(covered) > 0.895


def test_between_two_labels_a_temperature_moves_no_label() -> None:
    """Nor does it matter then that it was fitted on the same rows."""
    generator = np.random.default_rng(7)
    positive = generator.random(300)
    true = (generator.random(300) < positive).astype(int)
    plain = np.stack([1 - positive, positive], axis=1)
    wanted = label_sets(plain[100:], Conformal.calibrate(plain[:100], true[:100]).threshold(0.9))
    for temperature in (0.5, 3.0):
        other = corrected(plain, temperature)
        threshold = Conformal.calibrate(other[:100], true[:100]).threshold(0.9)
        assert (label_sets(other[100:], threshold) == wanted).all()


def test_all_alike_takes_all_labels() -> None:
    even = np.full((50, 4), 0.25)
    found = Conformal.calibrate(even, np.arange(50) % 4)
    assert label_sets(even, found.threshold(0.5)).all()


def test_a_label_that_was_never_true_or_predicted_is_no_trouble() -> None:
    probabilities = np.tile([0.7, 0.29, 0.01], (40, 1))
    found = Conformal.calibrate(probabilities, [0] * 30 + [1] * 10)
    assert label_sets(probabilities[:1], found.threshold(0.9)).tolist() == [[True, True, False]]
    assert label_sets(probabilities[:1], found.threshold(0.5)).tolist() == [[True, False, False]]


@pytest.mark.parametrize("coverage", OUTSIDE)
def test_a_coverage_that_cannot_be(coverage: float) -> None:
    with pytest.raises(UserError, match=r"coverage of .* above 0 and below 1"):
        Conformal(1, (0.5,)).threshold(coverage)


def test_no_rows() -> None:
    with pytest.raises(UserError, match="no rows"):
        Conformal.calibrate(np.zeros((0, 2)), [])


# Withholding labels.


def test_a_label_is_withheld_unless_its_set_is_it_alone() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0], [0.5, 0.45, 0.05], [0.4, 0.3, 0.3], [0.1, 0.8, 0.1]])
    rule = Abstention(LABELS, threshold=0.55, below=None)
    labels, sets = rule.decide([0, 0, 0, 0], probabilities)
    assert sets == [["bad"], ["bad", "middling"], [], ["middling"]]
    assert labels == ["bad", None, None, None]  # the last one's set is of another label


def test_a_label_is_withheld_below_its_probability() -> None:
    probabilities = np.array([[0.8, 0.2, 0.0], [0.79, 0.21, 0.0], [0.1, 0.8, 0.1]])
    labels, sets = Abstention(LABELS, threshold=None, below=0.8).decide([0, 0, 2], probabilities)
    assert (labels, sets) == (["bad", None, None], None)  # the chosen label's own, not the highest


def test_both_withhold() -> None:
    probabilities = np.array([[0.6, 0.4, 0.0], [0.95, 0.05, 0.0], [0.55, 0.44, 0.01]])
    labels, _ = Abstention(LABELS, threshold=0.57, below=0.58).decide([0, 0, 0], probabilities)
    assert labels == ["bad", "bad", None]
    assert Abstention.create(LABELS, None).decide([], np.zeros((0, 3))) == ([], None)


@pytest.mark.parametrize("value", OUTSIDE)
def test_values_outside_are_refused(value: float) -> None:
    some = Conformal(1, (0.5,))
    with pytest.raises(UserError, match="above 0 and below 1"):
        Abstention.create(LABELS, some, coverage=value)
    with pytest.raises(UserError, match="above 0 and below 1"):
        Abstention.create(LABELS, None, below=value)


def test_without_scores_the_remedy_is_named() -> None:
    with pytest.raises(UserError, match=r"Train again with validation rows.*--abstain-below"):
        Abstention.create(LABELS, None, coverage=0.9)
