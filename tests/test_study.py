"""The study of quality: draws are fair, and finished cells stay."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from study import cells, draws

    return SimpleNamespace(cells=cells, draws=draws)


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
