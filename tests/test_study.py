"""The study of quality: draws are fair, finished cells stay, figures are what they are called."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from study import cells, draws, measures, paired

    return SimpleNamespace(cells=cells, draws=draws, measures=measures, paired=paired)


@pytest.mark.parametrize("rows", [3, 10, 32, 100, 600])
def test_a_draw_keeps_the_labels_proportions(study: SimpleNamespace, rows: int) -> None:
    gold = [0] * 360 + [1] * 180 + [2] * 60
    pool = study.draws.Texts([str(row) for row in range(600)], gold)
    drawn = study.draws.draw(pool, rows, seed=1)
    assert len(set(drawn.texts)) == len(drawn.texts) == rows
    for label, share in ((0, 0.6), (1, 0.3), (2, 0.1)):
        assert abs(Counter(drawn.gold)[label] - share * rows) <= 1
        assert label in drawn.gold
    assert [gold[int(text)] for text in drawn.texts] == drawn.gold
    assert drawn == study.draws.draw(pool, rows, seed=1)
    assert rows == 600 or drawn != study.draws.draw(pool, rows, seed=2)


def test_finished_cells_are_found_again(study: SimpleNamespace, tmp_path: Path) -> None:
    cells = [study.cells.Cell("tuned", "rows", 32, seed, {"epochs": 2}) for seed in range(3)]
    results = study.cells.Results(tmp_path / "results.jsonl")
    done = study.cells.Result(cells[1], {"accuracy": 0.5}, "0110", "a machine")
    results.add(done)
    again = study.cells.Results(tmp_path / "results.jsonl")
    assert again.missing(cells) == [cells[0], cells[2]]
    assert again.of(cells) == [done]


def test_calibration_error_against_the_plain_sum(study: SimpleNamespace) -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([1, 1, 1], size=500)
    true = generator.integers(3, size=500)
    expected = 0.0
    for low in range(15):
        rows = [row for row in range(500) if low / 15 <= probabilities[row].max() < (low + 1) / 15]
        if rows:
            confidence = np.mean([probabilities[row].max() for row in rows])
            accuracy = np.mean([probabilities[row].argmax() == true[row] for row in rows])
            expected += len(rows) / 500 * abs(confidence - accuracy)
    assert study.measures.calibration_error(probabilities, true) == pytest.approx(expected)


def test_a_difference_that_is_there_is_seen_and_one_that_is_not_is_not(
    study: SimpleNamespace,
) -> None:
    gold = [0, 1] * 200
    right = "".join(map(str, gold))
    half = "0" * 400
    gap, low, high = study.paired.difference([right, right], [half, right], gold)
    assert gap == pytest.approx(0.25)
    assert 0.2 < low < 0.25 < high < 0.3
    assert study.paired.difference([half], [half], gold) == (0.0, 0.0, 0.0)
    other = "1" * 400  # right where the first is wrong: equally good
    gap, low, high = study.paired.difference([half], [other], gold)
    assert gap == 0.0
    assert low < 0 < high
